"""The run of GitHub Actions that this process is part of."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Run:
    """A run of the workflow; of two runs, the one with the greater (number, attempt) is newer."""

    server_url: str
    repository: str
    run_id: int
    number: int
    attempt: int
    sha: str

    @property
    def url(self) -> str:
        return f"{self.server_url}/{self.repository}/actions/runs/{self.run_id}/attempts/{self.attempt}"


def get_run(environment: Mapping[str, str]) -> Run | None:
    """The run that GitHub's environment variables describe; None outside of a workflow."""
    try:
        return Run(
            environment["GITHUB_SERVER_URL"],
            environment["GITHUB_REPOSITORY"],
            int(environment["GITHUB_RUN_ID"]),
            int(environment["GITHUB_RUN_NUMBER"]),
            int(environment["GITHUB_RUN_ATTEMPT"]),
            environment["GITHUB_SHA"],
        )
    except (KeyError, ValueError):
        return None
