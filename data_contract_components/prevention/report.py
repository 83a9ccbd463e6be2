"""Step 7 of the flow: what a check found, as one report from which every rendering is made.

python -m data_contract_components.prevention.report checks, writes contract_report.json and prints it as text;
with --from FILE it checks nothing and renders the report that is there.
"""

import argparse
import datetime
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from data_contract_components.contract_definition._json_text import find_json_lines
from data_contract_components.contract_definition.contract_spec import ContractSpec, JsonPath, get_effect
from data_contract_components.data_assets._applied_revisions import ensure_applied_revisions_are_current
from data_contract_components.data_assets._query_postgres_helper import REPOSITORY_DIRECTORY
from data_contract_components.detection._get_data_catalog import TABLE_KEY, get_data_catalog, get_table_names
from data_contract_components.detection._get_data_contract_specs import (
    CONTRACT_DIRECTORY,
    get_data_contract_specs,
    get_table_key,
    get_tables,
)
from data_contract_components.detection.contract_violation_detector import (
    WHOLE_TABLE,
    ContractViolationDetector,
    Violation,
)
from data_contract_components.errors import DataContractError, InvalidContractSpecError
from data_contract_components.prevention._read_report import COULD_NOT_CHECK, Report, make_failure_report, read_report
from data_contract_components.prevention._render_annotations import render_annotations
from data_contract_components.prevention._render_html import render_html
from data_contract_components.prevention._render_markdown import get_run, render_summary
from data_contract_components.prevention._render_text import render_text

EXIT_STATUS = {"passed": 0, "violations": 1, COULD_NOT_CHECK: 2}
RENDERERS: dict[str, Callable[[Report, str], str]] = {
    "json": lambda report, _: json.dumps(report, indent=2, ensure_ascii=False) + "\n",
    "text": lambda report, _: render_text(report),
    "annotations": lambda report, _: render_annotations(report),
    "summary": lambda report, log: render_summary(report, log, get_run(os.environ)),
    "html": lambda report, _: render_html(report),
}


def get_report(today: datetime.date | None = None) -> Report:
    """What the contracts of this checkout say of the database, or why that cannot be said.

    Shape: that of contract_report.schema.json; contracts in the order of their files, clauses and violations in theirs.
    """
    try:
        ensure_applied_revisions_are_current()
        specs = get_data_contract_specs()
        catalog_df = get_data_catalog(tables=get_tables(specs))
        table_names = get_table_names()
    except InvalidContractSpecError as error:
        problems = [
            {
                "path": _shorten_paths(str(problem.path)),
                "line": problem.line,
                "message": f"{problem.json_path}: {problem.message}",
            }
            for problem in error.problems
        ]
        return make_failure_report(_shorten_paths(str(error)), problems)
    except DataContractError as error:
        return make_failure_report(_shorten_paths(str(error)))
    texts = {name: (CONTRACT_DIRECTORY / f"{name}.json").read_text(encoding="utf-8-sig") for name in specs}
    return make_report(specs, texts, catalog_df, table_names, today or datetime.datetime.now(datetime.UTC).date())


def _shorten_paths(text: str) -> str:
    """Paths of this checkout as git has them."""
    return text.replace(f"{REPOSITORY_DIRECTORY}/", "")


def make_report(
    specs: dict[str, ContractSpec],
    texts: dict[str, str],
    catalog_df: pd.DataFrame,
    table_names: list[tuple[str, str]],
    today: datetime.date,
) -> Report:
    """The report of contracts (`texts`: their files') beside the catalog of their tables."""
    detector = ContractViolationDetector(specs, catalog_df, today)
    violations: dict[str, list[Violation]] = {}
    for violation in [*detector.find_violations("binding"), *detector.find_violations("reported")]:
        violations.setdefault(violation.contract_name, []).append(violation)
    found_tables = set(catalog_df[list(TABLE_KEY)].itertuples(index=False, name=None))
    contracts = [
        _make_contract(name, spec, texts[name], today, violations.get(name, []))
        | {"is_table_missing": tuple(get_table_key(spec).values()) not in found_tables}
        for name, spec in specs.items()
    ]
    is_broken = any(contract["violations"] for contract in contracts if contract["effect"] == "binding")
    return {
        "outcome": "violations" if is_broken else "passed",
        "error": None,
        "problems": [],
        "contracts": contracts,
        "tables_without_contract": [
            {"table_schema": schema, "table_name": name}
            for schema, name in table_names
            if (schema, name) not in get_tables(specs)
        ],
        "comparison": None,
    }


def _make_contract(
    contract_name: str, spec: ContractSpec, text: str, today: datetime.date, violations: list[Violation]
) -> dict[str, Any]:
    """What a contract says of itself, what became of its clauses, and its violations, with their lines in the file."""
    lines = dict(find_json_lines(text))
    clauses = list(_find_clauses(spec))
    lines_of_clauses = {(column_name, key): lines[json_path] for column_name, key, json_path, _ in clauses}
    effect = get_effect(spec, today)
    broken = {(violation.column_name, violation.key) for violation in violations}
    broken |= {(WHOLE_TABLE, violation.key) for violation in violations if violation.key == "additionalColumns"}
    no_words = {"email": None, "channel": None, "columns": None}
    return {
        "contract_name": contract_name,
        "path": _shorten_paths(str(CONTRACT_DIRECTORY / f"{contract_name}.json")),
        "name": spec["name"],
        "namespace": spec["namespace"],
        "doc": spec["doc"],
        "status": spec.get("status", "active"),
        "sunset": spec.get("sunset"),
        "effect": effect,
        "owner": {"channel": None} | spec["owner"],
        "consumers": [no_words | consumer for consumer in spec.get("consumers", [])],
        **get_table_key(spec),
        "line": lines["schema", "table_name"],
        "clauses": [
            {
                "column_name": column_name,
                "key": key,
                "line": lines[json_path],
                "expected": expected,
                "state": "unchecked"
                if effect == "unchecked"
                else "missing"
                if (column_name, "column_name") in broken
                else "broken"
                if (column_name, key) in broken
                else "kept",
            }
            for column_name, key, json_path, expected in clauses
        ],
        "violations": [
            {
                "column_name": violation.column_name,
                "key": violation.key,
                "line": lines_of_clauses.get((violation.column_name, violation.key)) or lines[_find_place(violation)],
                "expected": violation.expected,
                "found": violation.found,
                "message": str(violation),
                "cause": None,
                "likely_renamed_to": None,
            }
            for violation in violations
        ],
    }


def _find_clauses(spec: ContractSpec) -> Iterator[tuple[str, str, JsonPath, Any]]:
    """Column, key, place and value of each clause, in the contract's order."""
    schema = spec["schema"]
    for key in ("table_type", "additionalColumns"):
        if key in schema:
            yield WHOLE_TABLE, key, ("schema", key), schema[key]
    for column_name, column in schema["properties"].items():
        parts = {"constraints": column["constraints"], "array_element": column.get("array_element", {})}
        for part, constraints in parts.items():
            prefix = "array_element_" if part == "array_element" else ""
            for key, expected in constraints.items():
                if not key.startswith("x-"):
                    yield column_name, prefix + key, ("schema", "properties", column_name, part, key), expected


def _find_place(violation: Violation) -> JsonPath:
    """Where in the contract it says what a violation breaks that is none of a column's clauses."""
    if violation.column_name == WHOLE_TABLE or violation.key == "additionalColumns":
        return "schema", violation.key
    return "schema", "properties", violation.column_name


def main(arguments: list[str] | None = None) -> int:
    """0 passed, 1 violations, 2 could not check; a report that is only rendered: 0."""
    parser = argparse.ArgumentParser(description="Check the contracts, and write what was found as a report.")
    parser.add_argument("--from", type=Path, dest="source", metavar="FILE", help="render this report, check nothing")
    parser.add_argument("--format", choices=RENDERERS, help="default: json, or text with --from")
    parser.add_argument("--output", type=Path, metavar="FILE", help="default: contract_report.json; with --from, none")
    parser.add_argument("--log", type=Path, metavar="FILE", help="the tests' output, for the summary")
    options = parser.parse_args(arguments)
    report = read_report(options.source) if options.source else get_report()
    log = options.log.read_text(encoding="utf-8", errors="replace") if options.log and options.log.exists() else ""
    rendering = RENDERERS[options.format or ("text" if options.source else "json")](report, log)
    output = options.output or (None if options.source else REPOSITORY_DIRECTORY / "contract_report.json")
    if output is None:
        print(rendering, end="")
        return 0
    output.write_text(rendering, encoding="utf-8")
    if options.source:
        return 0
    print(render_text(report), end="")
    return EXIT_STATUS[report["outcome"]]


if __name__ == "__main__":
    sys.exit(main())
