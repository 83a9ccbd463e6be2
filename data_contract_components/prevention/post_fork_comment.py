"""Writes the comment on a pull request from a fork, whose own run may not: …prevention.post_fork_comment DIRECTORY.

DIRECTORY holds the artifact of that run, which the fork may have forged. It is read as data and never run. The pull
request comes from GitHub, not from the artifact.
"""

import argparse
import json
import os
import stat
import sys
from pathlib import Path

from data_contract_components.command import command
from data_contract_components.errors import DataContractError
from data_contract_components.prevention.contract_report.contract_report import MalformedReportError, from_json
from data_contract_components.prevention.github.api import GitHub
from data_contract_components.prevention.post_pull_request_comment import UNFINISHED, post_files

REPORT_NAME, LOG_NAME = "contract_report.json", "test_output.log"
MAX_BYTES = 2_000_000


class UnfitArtifactError(DataContractError):
    """The artifact of the fork's run is not what the workflow uploads, so nothing was posted."""


def ensure_artifact_is_fit(directory: Path) -> None:
    """Raises UnfitArtifactError unless report and log are regular, small files or absent, and the report is valid."""
    for name in (REPORT_NAME, LOG_NAME):
        if os.path.lexists(directory / name):
            status = (directory / name).lstat()
            if not stat.S_ISREG(status.st_mode):
                raise UnfitArtifactError(f"{name} is not a regular file")
            if status.st_size > MAX_BYTES:
                raise UnfitArtifactError(f"{name} has {status.st_size} bytes, more than {MAX_BYTES}")
    if (directory / REPORT_NAME).exists():
        try:
            from_json((directory / REPORT_NAME).read_text(encoding="utf-8"))
        except (UnicodeDecodeError, MalformedReportError) as error:
            reason = "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error)
            raise UnfitArtifactError(f"{REPORT_NAME} is not a contract report: {reason}") from error


@command(UNFINISHED)
def main(arguments: list[str] | None = None) -> int:
    """0: as post_pull_request_comment, or there is no such pull request any more; 2: nothing could be posted."""
    parser = argparse.ArgumentParser(description="Write the comment on a pull request from a fork.")
    parser.add_argument("directory", type=Path, help=f"with {REPORT_NAME} and {LOG_NAME} of the fork's run")
    directory = parser.parse_args(arguments).directory
    variables = dict(os.environ)
    run = json.loads(Path(variables["GITHUB_EVENT_PATH"]).read_text(encoding="utf-8"))["workflow_run"]
    if not run["head_repository"]:
        print("the fork was deleted; nothing posted")
        return 0
    ensure_artifact_is_fit(directory)
    github = GitHub(
        variables["GITHUB_API_URL"], variables["GITHUB_TOKEN"], variables["GITHUB_REPOSITORY"], pull_request=0
    )
    fork = run["head_repository"]
    branch = f"{fork['owner']['login']}:{run['head_branch']}"
    numbers = github.find_pull_requests(branch, run["head_sha"], fork["full_name"])
    if len(numbers) != 1:
        print(f"open pull requests with this commit: {numbers}; nothing posted")
        return 0
    # The comment names the run that checked, so that it is compared with later runs of the same workflow.
    variables |= {
        "PR_NUMBER": str(numbers[0]),
        "GITHUB_SHA": run["head_sha"],
        "GITHUB_RUN_ID": str(run["id"]),
        "GITHUB_RUN_NUMBER": str(run["run_number"]),
        "GITHUB_RUN_ATTEMPT": str(run["run_attempt"]),
    }
    post_files(variables, directory / REPORT_NAME, directory / LOG_NAME)
    return 0


if __name__ == "__main__":
    sys.exit(main())
