"""What a pull request changes, put into the report: which line of which migration broke a clause, and more."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal

from data_contract_components.command import render_error
from data_contract_components.detection._get_data_migration_changes import get_data_migration_changes
from data_contract_components.detection.contract_violation_detector import Violation
from data_contract_components.detection.migration_changes.changes import SchemaChange
from data_contract_components.detection.migration_changes.comparison import MigrationComparison
from data_contract_components.detection.migration_changes.schema_changes import find_cause
from data_contract_components.prevention.contract_report.contract_report import COULD_NOT_CHECK, NO_CAUSE, Report

NO_CHANGES: dict[str, Any] = {"base_commit": None, "changes": [], "contract_changes": [], "broken_promises": []}


def add_changes(report: Report, base: str, loosened: Literal["fail", "report"]) -> Report:
    """The report, compared with the git ref `base`; where that cannot be done, it has not passed and says why."""
    try:
        comparison = get_data_migration_changes(base, has_checked_database=report["outcome"] != COULD_NOT_CHECK)
    except Exception as error:  # noqa: BLE001 - the violations that were found are still reported
        outcome = COULD_NOT_CHECK if report["outcome"] == "passed" else report["outcome"]
        return report | {"outcome": outcome, "comparison": NO_CHANGES | {"base": base, "error": render_error(error)}}
    return merge_changes(report, comparison, loosened)


def merge_changes(report: Report, comparison: MigrationComparison, loosened: Literal["fail", "report"]) -> Report:
    """The report, each violation with its cause, and `comparison`; broken promises fail it unless only reported."""
    changes = comparison.changes
    earlier = {_get_clause(violation) for violation in comparison.earlier_violations}
    contracts = [
        contract
        | {
            "violations": [
                violation | {"is_earlier": True}
                if (contract["contract_name"], violation["column_name"], violation["key"]) in earlier
                else violation | _find_facts(changes, contract["table_schema"], contract["table_name"], violation)
                for violation in contract["violations"]
            ]
        }
        for contract in report["contracts"]
    ]
    is_stopped = comparison.broken_promises and loosened == "fail" and report["outcome"] == "passed"
    return report | {
        "outcome": "violations" if is_stopped else report["outcome"],
        "contracts": contracts,
        "comparison": {
            "base": comparison.base,
            "base_commit": comparison.base_commit,
            "error": None,
            "changes": [dataclasses.asdict(change) for change in changes],
            "contract_changes": [dataclasses.asdict(change) for change in comparison.contract_changes],
            "broken_promises": _make_broken_promises(comparison),
        },
    }


def _get_clause(violation: Violation) -> tuple[str, str, str]:
    return violation.contract_name, violation.column_name, violation.key


def _find_facts(
    changes: Sequence[SchemaChange], table_schema: str, table_name: str, violation: dict[str, Any]
) -> dict[str, Any]:
    """The line that broke a clause, and what its column or its table is called now."""
    change = find_cause(changes, table_schema, table_name, violation["column_name"], violation["key"])
    if change is None or change.place is None:
        return {}
    place = dataclasses.asdict(change.place)
    if change.change != "renamed":
        return {"cause": place}
    names = {"table_schema": f"{change.after}.{table_name}", "table_name": f"{table_schema}.{change.after}"}
    name = change.after if change.column_name else names[str(change.key)]
    return {"cause": place, "renamed_to": name, "is_rename_certain": change.is_certain}


def _make_broken_promises(comparison: MigrationComparison) -> list[dict[str, Any]]:
    """One for each contract of the base that was loosened or deleted, with what it promised and is broken."""
    promises: dict[str, dict[str, Any]] = {}
    for violation in comparison.broken_promises:
        name = violation.contract_name
        head_name = comparison.head_names.get(name)
        table = (violation.table_schema, violation.table_name)
        promise = promises.setdefault(
            name,
            {
                "contract_name": name,
                # A promise is broken and not kept by another contract only where its own contract has changed.
                "path": next(
                    c.place.path for c in comparison.contract_changes if c.contract_name == (head_name or name)
                ),
                "line": _find_line(comparison, head_name or name, "$"),
                "is_deleted": head_name is None,
                "owner": {"channel": None} | comparison.owners[name],
                "table_schema": violation.table_schema,
                "table_name": violation.table_name,
                "is_table_missing": any(
                    change.column_name is None and change.change in ("removed", "renamed")
                    for change in comparison.changes
                    if (change.table_schema, change.table_name) == table
                ),
                "violations": [],
            },
        )
        facts = NO_CAUSE | {
            "column_name": violation.column_name,
            "key": violation.key,
            "line": _find_line(comparison, head_name or name, f"$.schema.properties.{violation.column_name}"),
            "expected": violation.expected,
            "found": violation.found,
            "message": str(violation),
        }
        promise["violations"].append(facts | _find_facts(comparison.changes, *table, facts))
    return list(promises.values())


def _find_line(comparison: MigrationComparison, contract_name: str, json_path: str) -> int | None:
    """The line of the change of a contract at `json_path` or inside of it, or else of any change of it."""
    lines = [
        (f"{change.json_path}.".startswith(f"{json_path}."), change.place.line)
        for change in comparison.contract_changes
        if change.contract_name == contract_name
    ]
    return next((line for is_inside, line in sorted(lines, key=lambda pair: not pair[0])), None)
