"""The report as a command: python -m data_contract_components.prevention.report.

It checks, writes contract_report.json and prints it as text; with --from FILE it checks nothing and renders the report
that is there, which needs Python's own library only.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from data_contract_components.command import command, render_error, write_escaped
from data_contract_components.prevention.contract_report.contract_report import (
    COULD_NOT_CHECK,
    MALFORMED_REPORT,
    Report,
    UnreadableReportError,
    make_failure_report,
    read_report,
)
from data_contract_components.prevention.github.workflow_run import get_run
from data_contract_components.prevention.renderings.annotations import render_annotations
from data_contract_components.prevention.renderings.html_page import render_html
from data_contract_components.prevention.renderings.markdown import render_summary
from data_contract_components.prevention.renderings.text import render_text

REPORT_PATH = Path(__file__).resolve().parents[2] / "contract_report.json"
LOOSENED = ("fail", "report")
EXIT_STATUS = {"passed": 0, "violations": 1, COULD_NOT_CHECK: 2}
RENDERERS: dict[str, Callable[[Report, str], str]] = {
    "text": lambda report, _: render_text(report),
    "annotations": lambda report, _: render_annotations(report),
    "summary": lambda report, log: render_summary(report, log, get_run(os.environ)),
    "html": lambda report, _: render_html(report),
}


@command("no report was written")
def main(arguments: list[str] | None = None) -> int:
    """Of a check: 0 passed, 1 violations, 2 could not check or not compare; of --from: 0 rendered, 2 not a report."""
    parser = argparse.ArgumentParser(
        description="Check the contracts, and write what was found as a report.",
        epilog="Exit status: 0 all contracts are kept; 1 a contract is broken, or was loosened and is broken as it "
        "was; 2 the contracts could not be checked, or are kept and could not be compared with the base. With --from: "
        "0 the report was rendered, whatever it says; 2 it could not be read or written. 130 after Ctrl-C.",
    )
    parser.add_argument("--base", metavar="REF", help="a git ref; reports what changed since then")
    parser.add_argument(
        "--loosened",
        default="fail",
        metavar="{fail,report}",
        help="with --base: whether a contract that is loosened together with its table fails (default: fail)",
    )
    parser.add_argument("--from", type=Path, dest="source", metavar="FILE", help="render this report, check nothing")
    parser.add_argument("--format", choices=RENDERERS, default="text", help="with --from (default: text)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="with --from (default: standard output)")
    parser.add_argument("--log", type=Path, metavar="FILE", help="with --from: the tests' output, for the summary")
    options = parser.parse_args(arguments)
    if options.source and options.base is not None:
        parser.error("--base is for a check, and --from renders a report that is there")
    if options.source:
        return _render(options)
    if options.format != "text" or options.output or options.log:
        parser.error("--format, --output and --log go with --from")
    # First, so that a run that crashes leaves no report of another one.
    for path in (REPORT_PATH, REPORT_PATH.with_suffix(".html")):
        path.unlink(missing_ok=True)
    report = _check(options)
    REPORT_PATH.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(render_text(report), end="")
    return EXIT_STATUS[report["outcome"]]


def _check(options: argparse.Namespace) -> Report:
    # Not an error of argparse: the value is that of a variable, so the report has to say what is wrong with it.
    if options.loosened not in LOOSENED:
        return make_failure_report(f'--loosened (LOOSENED) is "{options.loosened}"; write {" or ".join(LOOSENED)}.')
    try:
        # Here, as a report is rendered also where nothing is installed.
        from data_contract_components.prevention.contract_report.get_contract_report import get_report
        from data_contract_components.prevention.contract_report.pull_request_changes import add_changes

        report = get_report()
    except Exception as error:  # noqa: BLE001 - the report says why there is no other
        return make_failure_report(render_error(error))
    return report if options.base is None else add_changes(report, options.base, options.loosened)


def _render(options: argparse.Namespace) -> int:
    log = options.log.read_text(encoding="utf-8", errors="replace") if options.log and options.log.exists() else ""
    render = RENDERERS[options.format]
    status = 0
    try:
        text = render(read_report(options.source), log)
    except (UnreadableReportError, *MALFORMED_REPORT) as error:
        reason = str(error) if isinstance(error, UnreadableReportError) else f"the report is not whole: {error!r}"
        text, status = render(make_failure_report(reason), log), 2
    if options.output:
        options.output.write_text(text, encoding="utf-8", errors="backslashreplace")
    elif options.format in ("annotations", "html"):
        write_escaped(text)
    else:
        print(text, end="")
    return status


if __name__ == "__main__":
    sys.exit(main())
