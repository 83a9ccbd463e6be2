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
    "json": lambda report, _: json.dumps(report, indent=2, ensure_ascii=False) + "\n",
    "text": lambda report, _: render_text(report),
    "annotations": lambda report, _: render_annotations(report),
    "summary": lambda report, log: render_summary(report, log, get_run(os.environ)),
    "html": lambda report, _: render_html(report),
}


def main(arguments: list[str] | None = None) -> int:
    """0 passed, 1 violations, 2 could not check; a report that is only rendered: 0."""
    parser = argparse.ArgumentParser(description="Check the contracts, and write what was found as a report.")
    parser.add_argument("--from", type=Path, dest="source", metavar="FILE", help="render this report, check nothing")
    parser.add_argument("--format", choices=RENDERERS, help="default: json, or text with --from")
    parser.add_argument("--output", type=Path, metavar="FILE", help="default: contract_report.json; with --from, none")
    parser.add_argument("--log", type=Path, metavar="FILE", help="the tests' output, for the summary")
    parser.add_argument("--base", metavar="REF", help="a git ref; tells what changed since then")
    parser.add_argument(
        "--loosened",
        choices=("fail", "report"),
        default="fail",
        help="with --base: what a database does that breaks a contract which is loosened with it (default: fail)",
    )
    options = parser.parse_args(arguments)
    if options.source:
        report = read_report(options.source)
    else:
        # Here, as a report is rendered also where nothing is installed.
        from data_contract_components.prevention._get_report import get_report

        report = get_report()
        if options.base and report["outcome"] != COULD_NOT_CHECK:
            from data_contract_components.prevention._report_changes import add_changes

            report = add_changes(report, options.base, options.loosened)
    log = options.log.read_text(encoding="utf-8", errors="replace") if options.log and options.log.exists() else ""
    render = RENDERERS[options.format or ("text" if options.source else "json")]
    try:
        rendering = render(report, log)
    except MALFORMED_REPORT as error:
        rendering = render(make_failure_report(f"the report is not whole: {error!r}"), log)
    output = options.output or (None if options.source else REPORT_PATH)
    if output is None:
        print(rendering, end="")
    else:
        output.write_text(rendering, encoding="utf-8")
    if options.source:
        return 0
    print(render_text(report), end="")
    return EXIT_STATUS[report["outcome"]]


if __name__ == "__main__":
    sys.exit(main())
