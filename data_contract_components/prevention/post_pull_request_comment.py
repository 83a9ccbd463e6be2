"""Step 9 of the flow: writes contract_report.json to a pull request, as one comment that is kept up to date.

The comment starts with a hidden line that names the run of the workflow which wrote it. The result in one sentence
becomes a check of the commit, as the merge box shows the title of a check.
"""

import argparse
import os
import re
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from data_contract_components.command import command, write_escaped
from data_contract_components.errors import DataContractError
from data_contract_components.prevention.contract_report.contract_report import (
    COULD_NOT_CHECK,
    ContractReport,
    MalformedReportError,
    from_json,
)
from data_contract_components.prevention.github.api import (
    ATTEMPTS,
    Comment,
    GitHub,
    GitHubError,
    UnclearPostError,
)
from data_contract_components.prevention.github.workflow_run import Run, get_run
from data_contract_components.prevention.renderings.annotations import escape_message
from data_contract_components.prevention.renderings.markdown import render_comment, render_resolved
from data_contract_components.prevention.renderings.sentence import render_sentence

DEADLINE_SECONDS = 180.0
NOT_WRITTEN = "The comment on the pull request could not be written"
UNFINISHED = "the comment may or may not be written, and the next run updates it"
# The outcome in the report, and in the comment's hidden line.
OUTCOMES = {"passed": "resolved", "violations": "violations", COULD_NOT_CHECK: "could-not-check"}
ASKS = "asks"  # passed, but the owner of a contract must agree
RANKS = {"resolved": 0, ASKS: 1, "violations": 2, "could-not-check": 2}
CHECK_NAME = "Data contracts"
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


class WrongVariablesError(DataContractError):
    """Environment variables are not set, or not as GitHub sets them, so nothing was posted.

    The values are not shown: a wrong token may be a right one with a line end.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__(
            f"{'; '.join(problems)}. GitHub Actions sets all but two of them; put these two into `env:` of the step: "
            "GITHUB_TOKEN: ${{ github.token }} and PR_NUMBER: ${{ github.event.pull_request.number }}"
        )
        self.problems = problems


class OwnComment(NamedTuple):
    """A comment that this program posted; `version` is the (number, attempt) of its run, greater for a newer run."""

    comment: Comment
    version: tuple[int, int]
    outcome: str


def post_comment(github: GitHub, run: Run, outcome: str, text: str) -> str:
    """What was done, in words. The pull request has one comment afterwards, with `text`.

    If a newer run has posted, its comment stays, and this run deletes only its own. A pull request without a comment
    gets none if the outcome is "resolved".
    Raises: GitHubError; the comment is then unchanged, unless the error is about a surplus one.
    """
    version = (run.number, run.attempt)
    body = f"{MARKER.format(*version, outcome)}\n{text}"
    login = github.get_login()
    own = _get_own(github, login)
    created = None
    if not own:
        if outcome == "resolved":
            return "the contracts are kept, and there is no comment to update: nothing posted"
        created = _create(github, login, body, version)
        # Another run may have posted at the same time. The login of an app's token is known only now.
        listed = [OwnComment(created, version, outcome), *_get_own(github, created.login)]
        own = sorted({posted.comment.id: posted for posted in listed}.values())
    kept, *surplus = own
    newest = max(own, key=lambda posted: posted.version)
    if newest.version > version:
        if created and created.id != kept.comment.id:
            github.delete_comment(created)
        return (
            f"this is run {version[0]}, attempt {version[1]}, and comment {newest.comment.id} is from run "
            f"{newest.version[0]}, attempt {newest.version[1]}: left unchanged; to get a new one, delete it"
        )
    if outcome == kept.outcome == "resolved":
        # The text still names the commit that fixed it; the new hidden line stops an older run that ends late.
        body = MARKER_PATTERN.sub(MARKER.format(*version, outcome), kept.comment.body, count=1)
    if not created or created.id != kept.comment.id:
        github.update_comment(kept.comment, body)
    for posted in surplus:
        github.delete_comment(posted.comment)
    done = f"comment {kept.comment.id} {'created' if created else 'updated'}, outcome {outcome}"
    if kept.comment.node_id and RANKS[outcome] > RANKS.get(kept.outcome, 0):
        # Somebody may have hidden it when all was well.
        try:
            github.show_comment(kept.comment)
        except GitHubError as error:
            done += f"\n{_render_warning('A hidden comment could not be shown again', str(error))}"
    return done


def post_sentence(github: GitHub, run: Run, report: ContractReport) -> str:
    """What was done, in words. The commit has a check with the result in one sentence, if the token may write checks.

    Its conclusion is never a failure: that is the one of the job that checked, and one violation is one failed check.
    """
    conclusion = "success" if get_outcome(report) == "resolved" else "neutral"
    sentence = render_sentence(report)
    try:
        github.create_check(run.sha, CHECK_NAME, conclusion, sentence, f"[The run that checked]({run.url})", run.url)
    except GitHubError as error:
        if error.status in (403, 404):
            return (
                f"no check with the sentence in the merge box, which needs the permission `checks: write`: {sentence}"
            )
        return _render_warning("The sentence in the merge box could not be written", str(error))
    return f"check created: {sentence}"


def _get_own(github: GitHub, login: str) -> list[OwnComment]:
    """The oldest first."""
    matches = [(comment, MARKER_PATTERN.match(comment.body)) for comment in github.get_comments()]
    return [
        OwnComment(comment, (int(match[1]), int(match[2])), match[3])
        for comment, match in matches
        if match and comment.login == login
    ]


def _create(github: GitHub, login: str, body: str, version: tuple[int, int], attempts: int = ATTEMPTS) -> Comment:
    try:
        return github.create_comment(body)
    except UnclearPostError:
        for posted in _get_own(github, login):
            if posted.version == version:
                return posted.comment
        if attempts == 1:
            raise
    return _create(github, login, body, version, attempts - 1)


def read_report(path: Path, token: str) -> ContractReport:
    """The report in the file; if there is none, a report that nothing could be checked, with the reason."""
    try:
        return from_json(_read_text(path, token))
    except OSError as error:
        return ContractReport(COULD_NOT_CHECK, f"{path} cannot be read: {error.strerror}")
    except MalformedReportError as error:
        return ContractReport(COULD_NOT_CHECK, f"{path} is not a contract report: {error}")


def _read_text(path: Path, token: str) -> str:
    return path.read_bytes().decode("utf-8", "replace").replace(token, "***")


def get_outcome(report: ContractReport) -> str:
    """The outcome as the comment's hidden line has it."""
    return ASKS if report.asks else OUTCOMES[report.outcome]


def render(report: ContractReport, log: str, run: Run) -> str:
    """The text of the comment."""
    text = render_resolved(run) if get_outcome(report) == "resolved" else render_comment(report, log, run)
    # JSON can contain half of a surrogate pair, which GitHub rejects.
    return text.encode("utf-8", "replace").decode()


def post_files(variables: Mapping[str, str], report_path: Path, log_path: Path) -> None:
    """Prints what was done, or a warning if it failed, after DEADLINE_SECONDS at the latest.

    Raises: WrongVariablesError.
    """
    problems = [
        f"{name} does not match {pattern}" if variables.get(name) else f"{name} is not set"
        for name, pattern in VARIABLES.items()
        if not re.fullmatch(pattern, variables.get(name, ""))
    ]
    run = get_run(variables)
    if problems or run is None:
        raise WrongVariablesError(problems)
    token, number = variables["GITHUB_TOKEN"], int(variables["PR_NUMBER"])
    github = GitHub(variables["GITHUB_API_URL"], token, run.repository, number)

    def post() -> str:
        try:
            try:
                log = _read_text(log_path, token)
            except OSError as error:
                log = f"{log_path} cannot be read: {error.strerror}\n"
            report = read_report(report_path, token)
            done = post_comment(github, run, get_outcome(report), render(report, log, run))
            return f"{done}\n{post_sentence(github, run, report)}"
        except GitHubError as error:
            return _render_warning(NOT_WRITTEN, str(error))
        except Exception as error:  # noqa: BLE001
            # Without its text: that of an unexpected error may hold the token.
            reason = f"unexpected {type(error).__name__}; this is an error in {Path(__file__).name}"
            return _render_warning(NOT_WRITTEN, reason)

    results: list[str] = []
    # A thread, as only that ends in time whatever the server does: one byte per second is no timeout.
    worker = threading.Thread(target=lambda: results.append(post()), daemon=True)
    worker.start()
    worker.join(DEADLINE_SECONDS)
    late = f"not finished after {DEADLINE_SECONDS:g} s; {UNFINISHED}"
    write_escaped(f"{results[0] if results else _render_warning(NOT_WRITTEN, late)}\n")


def _render_warning(title: str, text: str) -> str:
    text = f"{text}. The result of the check is unaffected; the report is in the job's summary."
    return f"::warning title={title}::{escape_message(text)}"


@command(UNFINISHED)
def main(argv: list[str] | None = None) -> int:
    """0: the comment is up to date, or a warning has the reason; 2: called wrongly; 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(
        description="Write the contract report to the pull request, as one comment that is kept up to date.",
        epilog="Exit status: 0, also if the comment could not be written, which is a warning; 2 called wrongly. "
        f"Environment: {', '.join(VARIABLES)}.",
    )
    parser.add_argument("--report", type=Path, default=Path("contract_report.json"), help="(default: %(default)s)")
    parser.add_argument("--log", type=Path, default=Path("test_output.log"), help="(default: %(default)s)")
    options = parser.parse_args(argv)
    post_files(os.environ, options.report, options.log)
    return 0


if __name__ == "__main__":
    sys.exit(main())
