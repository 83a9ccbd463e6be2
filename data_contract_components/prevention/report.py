"""The report as a command: python -m data_contract_components.prevention.report.

It checks, writes contract_report.json and prints it as text. With --from FILE it checks nothing and renders that
report, which needs Python only, and Jinja2 for the HTML page.
"""

import argparse
import os
import re
import sys
from dataclasses import replace
from pathlib import Path

from data_contract_components.command import add_today, command, render_error, write_escaped
from data_contract_components.contract_definition.contract_spec import get_today
from data_contract_components.detection.migration_changes.changes import LOOSENED, Place
from data_contract_components.errors import DataContractError, MigrationError, SettingsError
from data_contract_components.escaping import hide_passwords
from data_contract_components.prevention.contract_report.contract_report import (
    COULD_NOT_CHECK,
    ContractReport,
    MalformedReportError,
    from_json,
    to_json,
)
from data_contract_components.prevention.contract_report.pull_request_diff import PullRequestDiff
from data_contract_components.prevention.github.workflow_run import get_run
from data_contract_components.prevention.renderings.annotations import render_annotations
from data_contract_components.prevention.renderings.junit import render_junit
from data_contract_components.prevention.renderings.markdown import render_summary
from data_contract_components.prevention.renderings.text import render_text
from data_contract_components.settings import get_settings

REPORT_NAME = "contract_report.json"
EXIT_STATUS = {"passed": 0, "violations": 1, COULD_NOT_CHECK: 2}
# What the programs of a workflow write before or in the line that says what is wrong.
ERROR_LINE = re.compile(r"\berror\b|\bfatal\b|\bfail|unhealthy|denied|no such|not found", re.IGNORECASE)
BUILD_STEP = re.compile(r"^(?:#\d+ )?(?:\d+\.\d+ )?")  # docker's, before each line
ERROR_LINES = 5
FORMATS = ("text", "annotations", "summary", "junit", "html")


@command("no report was written")
def main(arguments: list[str] | None = None) -> int:
    """Of a check: 0 passed, 1 violations, 2 could not check or not compare; with --from: 0 rendered, 2 not a report."""
    parser = argparse.ArgumentParser(
        description="Check the contracts, and write the result as a report.",
        epilog="Exit status: 0 all contracts are kept; 1 a contract is broken, was loosened and its old promises are "
        "broken, or ends without enough notice; 2 the contracts could not be checked, or are kept but could not be "
        "compared with the base. "
        "With --from: 0 the report was rendered, whatever its outcome; 2 it could not be read or written. "
        "130 after Ctrl-C.",
    )
    parser.add_argument("--base", metavar="REF", help="a git ref; reports what changed since then")
    parser.add_argument(
        "--loosened",
        default="fail",
        metavar="{fail,report}",
        help="with --base: whether a contract that is loosened together with its table fails (default: fail)",
    )
    parser.add_argument(
        "--head",
        metavar="REF",
        help="with --base, in a pull request's merge: its last commit; lines are of that commit",
    )
    add_today(parser)
    parser.add_argument("--migrate", action="store_true", help="apply the migrations to the database first")
    parser.add_argument(
        "--not-checked", metavar="REASON", help="check nothing; the report has the reason, and the errors in --log"
    )
    parser.add_argument("--from", type=Path, dest="source", metavar="FILE", help="render this report, check nothing")
    parser.add_argument("--format", choices=FORMATS, default="text", help="with --from (default: text)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="with --from (default: standard output)")
    parser.add_argument("--log", type=Path, metavar="FILE", help="the tests' output for the summary, or what failed")
    options = parser.parse_args(arguments)
    if options.source and (
        options.base is not None or options.today or options.migrate or options.not_checked is not None
    ):
        parser.error("--base, --today, --migrate and --not-checked are for a check; --from renders an earlier report")
    if options.source:
        return _render_file(options)
    if options.format != "text" or options.output or (options.log and options.not_checked is None):
        parser.error("--format and --output need --from, --log needs it or --not-checked")
    if options.head is not None and options.base is None:
        parser.error("--head needs --base")
    # First, so that a run that crashes leaves no report of an earlier one.
    report_path = _get_directory() / REPORT_NAME
    for path in (report_path, report_path.with_suffix(".html")):
        path.unlink(missing_ok=True)
    report = _check(options) if options.not_checked is None else _make_report_of_failure(options)
    report = _add_source(report, options.head)
    report_path.write_text(to_json(report), encoding="utf-8")
    print(render_text(report), end="")
    return EXIT_STATUS[report.outcome]


def _check(options: argparse.Namespace) -> ContractReport:
    # Not by argparse: the value comes from a variable of the repository, so the report has to name the mistake.
    if options.loosened not in LOOSENED:
        text = f'--loosened is "{options.loosened}"; write {" or ".join(LOOSENED)}. '
        text += "In the workflow, it is the repository's variable LOOSENED_CONTRACTS."
        return _add_diff(ContractReport(COULD_NOT_CHECK, text), options)
    try:
        # Here, as a report is rendered also where nothing is installed.
        from data_contract_components.data_assets.migrate_db import migrate
        from data_contract_components.prevention.contract_report.get_contract_report import get_contract_report
        from data_contract_components.prevention.contract_report.pull_request_changes import add_changes
    except Exception as error:  # noqa: BLE001 - the report has the reason
        return ContractReport(COULD_NOT_CHECK, render_error(error))
    today = options.today or get_today()
    try:
        get_settings()
        if options.migrate:
            migrate()
        report = get_contract_report(today)
    except Exception as error:  # noqa: BLE001 - the report has the reason
        place = Place(error.path, error.line, error.revision) if isinstance(error, MigrationError) else None
        report = ContractReport(COULD_NOT_CHECK, render_error(error), place)
    return report if options.base is None else add_changes(report, options.base, options.loosened, options.head, today)


def _get_directory() -> Path:
    """The directory for the report; where the settings are wrong, which the report says, the current one."""
    try:
        return get_settings().root_directory
    except SettingsError:
        return Path.cwd()


def _make_report_of_failure(options: argparse.Namespace) -> ContractReport:
    """A report with the reason for which nothing was checked, and the last lines of the log that name an error."""
    log = _read_log(options.log)
    if options.log and not log:
        log = f"error: {options.log} is missing or empty"
    lines = [BUILD_STEP.sub("", line).strip() for line in log.splitlines() if ERROR_LINE.search(line)]
    text = "\n".join([options.not_checked, *list(dict.fromkeys(lines))[-ERROR_LINES:]])
    return _add_diff(ContractReport(COULD_NOT_CHECK, hide_passwords(text)), options)


def _add_diff(report: ContractReport, options: argparse.Namespace) -> ContractReport:
    """The report, placed in the diff with the base if there is one."""
    if options.base is None:
        return report
    try:
        return PullRequestDiff(get_settings().git_directory, options.base, options.head).move(report)
    except DataContractError:  # the reason is known, and only its place in the diff is not
        return report


def _read_log(path: Path | None) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path and path.exists() else ""


def _add_source(report: ContractReport, head: str | None) -> ContractReport:
    try:
        from data_contract_components.prevention.contract_report.report_source import get_report_source

        return replace(report, source=get_report_source(os.environ, head))
    except DataContractError:
        return report  # which names its error: a package is missing, or the settings are wrong


def _render_file(options: argparse.Namespace) -> int:
    status = 0
    try:
        report = from_json(options.source.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, MalformedReportError) as error:
        reason = getattr(error, "strerror", None) or error
        report, status = ContractReport(COULD_NOT_CHECK, f"{options.source.name} cannot be read: {reason}"), 2
    text = _render(report, options.format, _read_log(options.log))
    if options.output:
        options.output.write_text(text, encoding="utf-8", errors="backslashreplace")
    elif options.format in ("annotations", "html"):
        write_escaped(text)
    else:
        print(text, end="")
    return status


def _render(report: ContractReport, format_name: str, log: str) -> str:
    match format_name:
        case "annotations":
            return render_annotations(report)
        case "summary":
            return render_summary(report, log, get_run(os.environ))
        case "junit":
            return render_junit(report)
        case "html":
            # Here, as only the page needs a package.
            from data_contract_components.prevention.renderings.html_page import render_html

            return render_html(report)
    return render_text(report)


if __name__ == "__main__":
    sys.exit(main())
