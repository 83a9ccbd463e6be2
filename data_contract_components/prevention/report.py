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

from data_contract_components.prevention._read_report import (
    COULD_NOT_CHECK,
    MALFORMED_REPORT,
    Report,
    make_failure_report,
    read_report,
)
from data_contract_components.prevention._render_annotations import render_annotations
from data_contract_components.prevention._render_html import render_html
from data_contract_components.prevention._render_markdown import get_run, render_summary
from data_contract_components.prevention._render_text import render_text

REPORT_PATH = Path(__file__).resolve().parents[2] / "contract_report.json"
EXIT_STATUS = {"passed": 0, "violations": 1, COULD_NOT_CHECK: 2}
RENDERERS: dict[str, Callable[[Report, str], str]] = {
    "text": lambda report, _: render_text(report),
    "annotations": lambda report, _: render_annotations(report),
    "summary": lambda report, log: render_summary(report, log, get_run(os.environ)),
    "html": lambda report, _: render_html(report),
}


def main(arguments: list[str] | None = None) -> int:
    """0 passed, 1 violations, 2 could not check; a report that is only rendered: 0, or 2 when it cannot be written."""
    parser = argparse.ArgumentParser(description="Check the contracts, and write what was found as a report.")
    parser.add_argument("--base", metavar="REF", help="a git ref; tells what changed since then")
    parser.add_argument(
        "--loosened",
        choices=("fail", "report"),
        default="fail",
        help="with --base: whether a contract that is loosened together with its table fails (default: fail)",
    )
    parser.add_argument("--from", type=Path, dest="source", metavar="FILE", help="render this report, check nothing")
    parser.add_argument("--format", choices=RENDERERS, default="text", help="with --from (default: text)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="with --from (default: standard output)")
    parser.add_argument("--log", type=Path, metavar="FILE", help="with --from: the tests' output, for the summary")
    options = parser.parse_args(arguments)
    if not options.source and (options.format != "text" or options.output or options.log):
        parser.error("--format, --output and --log go with --from")
    try:
        if options.source:
            _render(options)
            return 0
        report = _check(options)
        REPORT_PATH.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; no report was written", file=sys.stderr)
        return 130
    print(_make_encodable(render_text(report)), end="")
    return EXIT_STATUS[report["outcome"]]


def _check(options: argparse.Namespace) -> Report:
    # Here, as a report is rendered also where nothing is installed.
    from data_contract_components.prevention._get_report import get_report
    from data_contract_components.prevention._report_changes import add_changes

    report = get_report()
    return report if options.base is None else add_changes(report, options.base, options.loosened)


def _render(options: argparse.Namespace) -> None:
    report = read_report(options.source)
    log = options.log.read_text(encoding="utf-8", errors="replace") if options.log and options.log.exists() else ""
    render = RENDERERS[options.format]
    try:
        text = render(report, log)
    except MALFORMED_REPORT as error:
        text = render(make_failure_report(f"the report is not whole: {error!r}"), log)
    if options.output:
        options.output.write_text(_make_encodable(text), encoding="utf-8")
    else:
        print(_make_encodable(text), end="")


def _make_encodable(text: str) -> str:
    """`text`, without the halves of characters that JSON can hold and UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode()


if __name__ == "__main__":
    sys.exit(main())
