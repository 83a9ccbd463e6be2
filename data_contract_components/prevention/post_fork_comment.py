"""Writes the comment on a pull request from a fork, whose own run may not: …prevention.post_fork_comment DIRECTORY.

DIRECTORY holds what that run has kept, which is data that anybody may have made up. It is read and never run; which
pull request it is about, GitHub says.
"""

import argparse
import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

import jsonschema_rs

from data_contract_components.command import command
from data_contract_components.errors import DataContractError
from data_contract_components.prevention import post_pull_request_comment
from data_contract_components.prevention.github.api import GitHub, PullRequest

SCHEMA_PATH = Path(__file__).parent / "contract_report" / "contract_report.schema.json"
REPORT_NAME, LOG_NAME = "contract_report.json", "test_output.log"
MAX_BYTES = 2_000_000


class UnfitArtifactError(DataContractError):
    """What the fork's run has kept is not what our workflow keeps, so nothing was posted."""


def ensure_artifact_is_fit(directory: Path) -> None:
    """Report and log are plain files of a usual size or absent, and the report is one. Raises: UnfitArtifactError."""
    for name in (REPORT_NAME, LOG_NAME):
        if os.path.lexists(directory / name):
            status = (directory / name).lstat()
            if not stat.S_ISREG(status.st_mode):
                raise UnfitArtifactError(f"{name} is no plain file")
            if status.st_size > MAX_BYTES:
                raise UnfitArtifactError(f"{name} has {status.st_size} bytes, more than {MAX_BYTES}")
    if not (directory / REPORT_NAME).exists():
        return
    schema = json.loads(SCHEMA_PATH.read_text(encoding="utf-8"))
    try:
        report = json.loads((directory / REPORT_NAME).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UnfitArtifactError(f"{REPORT_NAME} is no JSON") from error
    for problem in jsonschema_rs.validator_for(schema).iter_errors(report):
        # Not the message, which quotes the report; the path consists of the schema's keys.
        raise UnfitArtifactError(f"{REPORT_NAME} is no report: {'.'.join(map(str, problem.instance_path)) or '$'}")


def find_pull_requests(run: dict[str, Any], pull_requests: list[PullRequest]) -> list[int]:
    """The numbers of those whose newest commit is the one that `run` has checked."""
    head = (run["head_sha"], run["head_repository"]["full_name"])
    return [
        pull_request.number
        for pull_request in pull_requests
        if (pull_request.sha, pull_request.head_repository) == head
    ]


@command("the comment may be written or not, the next run will see")
def main(arguments: list[str] | None = None) -> int:
    """0: as post_pull_request_comment has it, or there is no such pull request any more; 2: nothing could be posted."""
    parser = argparse.ArgumentParser(description="Write the comment on a pull request from a fork.")
    parser.add_argument("directory", type=Path, help=f"with {REPORT_NAME} and {LOG_NAME} of the fork's run")
    directory = parser.parse_args(arguments).directory
    variables = os.environ
    run = json.loads(Path(variables["GITHUB_EVENT_PATH"]).read_text(encoding="utf-8"))["workflow_run"]
    if not run["head_repository"]:
        print("the fork is gone; nothing posted")
        return 0
    github = GitHub(
        variables["GITHUB_API_URL"], variables["GITHUB_TOKEN"], variables["GITHUB_REPOSITORY"], pull_request=0
    )
    ensure_artifact_is_fit(directory)
    branch = f"{run['head_repository']['owner']['login']}:{run['head_branch']}"
    numbers = find_pull_requests(run, github.get_pull_requests(branch))
    if len(numbers) != 1:
        print(f"open pull requests with this commit: {numbers}; nothing posted")
        return 0
    # The comment is that of the run that has checked, so that a later one of the same workflow is known as such.
    variables |= {
        "PR_NUMBER": str(numbers[0]),
        "GITHUB_SHA": run["head_sha"],
        "GITHUB_RUN_ID": str(run["id"]),
        "GITHUB_RUN_NUMBER": str(run["run_number"]),
        "GITHUB_RUN_ATTEMPT": str(run["run_attempt"]),
    }
    return post_pull_request_comment.main(
        ["--report", str(directory / REPORT_NAME), "--log", str(directory / LOG_NAME)]
    )


if __name__ == "__main__":
    sys.exit(main())
