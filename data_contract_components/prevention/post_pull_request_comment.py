"""Step 8 of the flow: writes to a pull request what contract_report.json says, in one comment that is kept up to date.

The comment starts with a line that nobody sees and that says which run of the workflow it is from.
"""

import argparse
import json
import os
import re
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from data_contract_components.command import command, write_escaped
from data_contract_components.prevention.contract_report.contract_report import (
    COULD_NOT_CHECK,
    MALFORMED_REPORT,
    make_failure_report,
)
from data_contract_components.prevention.github.api import (
    ATTEMPTS,
    TIMEOUT_SECONDS,
    Comment,
    GitHub,
    GitHubError,
    UnclearPostError,
)
from data_contract_components.prevention.github.workflow_run import Run, get_run
from data_contract_components.prevention.renderings.annotations import escape_message
from data_contract_components.prevention.renderings.markdown import render_comment, render_resolved

DEADLINE_SECONDS = 180.0
# What the report calls it, and the comment's first line.
OUTCOMES = {"passed": "resolved", "violations": "violations", COULD_NOT_CHECK: "could-not-check"}
URL = r"https?://[^/?#@\s]+[^?#\s]*"
NUMBER = r"[1-9][0-9]{0,17}"
VARIABLES = {
    "GITHUB_TOKEN": r"[!-~]+",
    "GITHUB_API_URL": URL,
    "GITHUB_SERVER_URL": URL,
    "GITHUB_REPOSITORY": r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+",
    "GITHUB_RUN_ID": NUMBER,
    "GITHUB_RUN_NUMBER": NUMBER,
    "GITHUB_RUN_ATTEMPT": NUMBER,
    "GITHUB_SHA": r"[0-9a-f]{7,64}",
    "PR_NUMBER": NUMBER,
}
MARKER = "<!-- data-contract-report run={} attempt={} outcome={} -->"
MARKER_PATTERN = re.compile(MARKER.format(f"({NUMBER})", f"({NUMBER})", "([a-z-]+)"))


class Posted(NamedTuple):
    """One of our comments; `age` is the (number, attempt) of its run."""

    comment: Comment
    age: tuple[int, int]
    outcome: str


def post_comment(github: GitHub, run: Run, outcome: str, text: str) -> str:
    """The pull request has one comment of ours that says `text`, or what a newer run says; this is told in words.

    A pull request without one gets none when the outcome is "resolved".
    Raises: GitHubError; the comment is then as it was, unless the error is about a surplus one.
    """
    age = (run.number, run.attempt)
    body = f"{MARKER.format(*age, outcome)}\n{text}"
    login = github.get_login()
    own = _get_own(github, login)
    created = None
    if not own:
        if outcome == "resolved":
            return "the contracts are kept, and no comment says otherwise: nothing posted"
        created = _create(github, login, body, age)
        # Another run may have done the same since. The login of an app's token is known only now.
        listed = [Posted(created, age, outcome), *_get_own(github, created.login)]
        own = sorted({posted.comment.id: posted for posted in listed}.values())
    kept, *surplus = own
    newest = max(own, key=lambda posted: posted.age)
    if newest.age > age:
        if created and created.id != kept.comment.id:
            github.delete_comment(created)
        return (
            f"this is run {age[0]}, attempt {age[1]}, and comment {newest.comment.id} is that of run {newest.age[0]}, "
            f"attempt {newest.age[1]}: left as it is; who wants a new one deletes it"
        )
    if outcome == kept.outcome == "resolved":
        # It goes on naming the commit that fixed it, but an older run that ends late learns of this one.
        body = MARKER_PATTERN.sub(MARKER.format(*age, outcome), kept.comment.body, count=1)
    if not created or created.id != kept.comment.id:
        github.update_comment(kept.comment, body)
    for posted in surplus:
        github.delete_comment(posted.comment)
    return f"comment {kept.comment.id} {'created' if created else 'updated'}, outcome {outcome}"


def _get_own(github: GitHub, login: str) -> list[Posted]:
    """The comments that a run has posted, the oldest first."""
    matches = [(comment, MARKER_PATTERN.match(comment.body)) for comment in github.get_comments()]
    return [
        Posted(comment, (int(match[1]), int(match[2])), match[3])
        for comment, match in matches
        if match and comment.login == login
    ]


def _create(github: GitHub, login: str, body: str, age: tuple[int, int], attempts: int = ATTEMPTS) -> Comment:
    try:
        return github.create_comment(body)
    except UnclearPostError:
        for posted in _get_own(github, login):
            if posted.age == age:
                return posted.comment
        if attempts == 1:
            raise
    return _create(github, login, body, age, attempts - 1)


def get_report(path: Path, token: str) -> dict[str, Any]:
    """What the file says; where it says nothing, a report that nothing could be checked, with the reason."""
    try:
        report = json.loads(_read_text(path, token))
    except OSError as error:
        return make_failure_report(f"{path} cannot be read: {error.strerror}")
    except (ValueError, RecursionError) as error:
        return make_failure_report(f"{path} is no JSON: {error}")
    if not isinstance(report, dict) or str(report.get("outcome")) not in OUTCOMES:
        return make_failure_report(f"{path} is no contract report")
    return report


def get_log(path: Path, token: str) -> str:
    try:
        return _read_text(path, token)
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}\n"


def _read_text(path: Path, token: str) -> str:
    return path.read_bytes().decode("utf-8", "replace").replace(token, "***")


def render(report: dict[str, Any], log: str, run: Run) -> tuple[str, str]:
    """The outcome and the text of the comment."""
    if report["outcome"] == "passed":
        return OUTCOMES["passed"], render_resolved(run)
    try:
        text = render_comment(report, log, run)
    except MALFORMED_REPORT as error:
        report = make_failure_report(f"the contract report is not whole: {type(error).__name__}, {error}")
        text = render_comment(report, log, run)
    # JSON can name half of a surrogate pair; GitHub refuses it.
    return OUTCOMES[report["outcome"]], text.encode("utf-8", "replace").decode()


def find_variable_problems(variables: Mapping[str, str]) -> list[str]:
    """The variables that are not set, or not to what GitHub sets them, in words."""
    problems = []
    for name, pattern in VARIABLES.items():
        value = variables.get(name, "")
        # The value itself is not shown: a wrong token may be a right one with a line end.
        if not re.fullmatch(pattern, value):
            problems.append(f"{name} does not match {pattern}" if value else f"{name} is not set")
    return problems


@command("the comment may be written or not, the next run will see")
def main(
    argv: list[str] | None = None,
    timeout_seconds: float = TIMEOUT_SECONDS,
    deadline_seconds: float = DEADLINE_SECONDS,
) -> int:
    """0: the comment is as it should be, or a warning says why not; 2: called wrongly; 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(
        description="Write to the pull request what the contract report says, in one comment that is kept up to date.",
        epilog="Exit status: 0, also when the comment could not be written: that is a warning; 2 called wrongly. "
        f"Environment: {', '.join(VARIABLES)}.",
    )
    parser.add_argument("--report", type=Path, default=Path("contract_report.json"), help="(default: %(default)s)")
    parser.add_argument("--log", type=Path, default=Path("test_output.log"), help="(default: %(default)s)")
    options = parser.parse_args(argv)
    if problems := find_variable_problems(os.environ):
        parser.error(
            f"{'; '.join(problems)}. GitHub Actions sets all but two of them; these are for `env:` of the step: "
            "GITHUB_TOKEN: ${{ github.token }} and PR_NUMBER: ${{ github.event.pull_request.number }}"
        )
    said: list[str] = []
    # A thread, as the one thing that ends in time whatever the server does: one byte a second is no timeout.
    worker = threading.Thread(
        target=lambda: said.append(_post(options.report, options.log, timeout_seconds)), daemon=True
    )
    worker.start()
    worker.join(deadline_seconds)
    too_late = f"no end after {deadline_seconds:g} s; the comment may be written or not, the next run will see"
    write_escaped(f"{said[0] if said else _render_warning(too_late)}\n")
    return 0


def _post(report_path: Path, log_path: Path, timeout_seconds: float) -> str:
    """What has happened, in words, or as a warning."""
    get = os.environ.__getitem__
    token = get("GITHUB_TOKEN")
    run = get_run(os.environ)
    assert run is not None  # main() has looked at each variable
    github = GitHub(get("GITHUB_API_URL"), token, run.repository, int(get("PR_NUMBER")), timeout_seconds)
    try:
        outcome, text = render(get_report(report_path, token), get_log(log_path, token), run)
        return post_comment(github, run, outcome, text)
    except GitHubError as error:
        return _render_warning(str(error))
    except Exception as error:  # noqa: BLE001
        # Not its text: that of an error nobody has thought of may hold the token.
        return _render_warning(f"unexpected {type(error).__name__}; this is an error in {Path(__file__).name}")


def _render_warning(text: str) -> str:
    text = f"{text}. The verdict on the contracts stands; the report is in the job's summary."
    return f"::warning title=The comment on the pull request could not be written::{escape_message(text)}"


if __name__ == "__main__":
    sys.exit(main())
