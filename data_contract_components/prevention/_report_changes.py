"""What a pull request changes, put into the report: which line of which migration broke a clause, and more."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal

from data_contract_components.detection._contract_changes import ContractChange
from data_contract_components.detection._get_data_migration_changes import (
    MigrationComparison,
    get_data_migration_changes,
)
from data_contract_components.detection._schema_changes import SchemaChange, find_cause
from data_contract_components.detection.contract_violation_detector import Violation
from data_contract_components.errors import DataContractError
from data_contract_components.prevention._read_report import Report

NO_CHANGES: dict[str, Any] = {"base_commit": None, "changes": [], "contract_changes": [], "broken_promises": []}


def add_changes(report: Report, base: str, loosened: Literal["fail", "report"]) -> Report:
    """The report, compared with the git ref `base`; where that cannot be done, the reason is in it."""
    try:
        comparison = get_data_migration_changes(base)
    except DataContractError as error:
        return report | {"comparison": NO_CHANGES | {"base": base, "error": str(error)}}
    return merge_changes(report, comparison, loosened)


def merge_changes(report: Report, comparison: MigrationComparison, loosened: Literal["fail", "report"]) -> Report:
    """The report, each violation with its cause, and `comparison`; broken promises fail it unless only reported."""
    earlier = {_get_clause(violation) for violation in comparison.earlier_violations}
    contracts = [
        contract
        | {
            "violations": [
                violation | _find_facts(comparison.changes, contract["table_schema"], contract["table_name"], violation)
                if (contract["contract_name"], violation["column_name"], violation["key"]) not in earlier
                else violation | {"is_earlier": True}
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
            "changes": [dataclasses.asdict(change) for change in comparison.changes],
            "contract_changes": [dataclasses.asdict(change) for change in comparison.contract_changes],
            "broken_promises": [_make_broken_promise(promise, comparison) for promise in comparison.broken_promises],
        },
    }


def _get_clause(violation: Violation) -> tuple[str, str, str]:
    return violation.contract_name, violation.column_name, violation.key


def _find_facts(
    changes: Sequence[SchemaChange], table_schema: str, table_name: str, violation: dict[str, Any]
) -> dict[str, Any]:
    """The line that broke a clause, and what its column is called now."""
    change = find_cause(changes, table_schema, table_name, violation["column_name"], violation["key"])
    if change is None or change.path is None:
        return {}
    facts: dict[str, Any] = {
        "cause": {
            "path": change.path,
            "line": change.line,
            "revision": change.revision,
            "statement": change.statement,
        }
    }
    if change.change == "renamed" and change.column_name == violation["column_name"]:
        facts |= {"renamed_to": change.after, "is_rename_certain": change.is_certain}
    return facts


def _make_broken_promise(promise: Violation, comparison: MigrationComparison) -> dict[str, Any]:
    """What the base's contract promised, who was promised it, and what broke it."""
    change = _find_contract_change(promise, comparison.contract_changes)
    facts = {
        "contract_name": promise.contract_name,
        "path": change.path if change else None,
        "line": change.line if change else None,
        "owner": {"name": change.owner_name, "email": change.owner_email} if change else None,
        "table_schema": promise.table_schema,
        "table_name": promise.table_name,
        "column_name": promise.column_name,
        "key": promise.key,
        "expected": promise.expected,
        "found": promise.found,
        "message": str(promise),
        "cause": None,
        "renamed_to": None,
        "is_rename_certain": False,
        "is_earlier": False,
    }
    return facts | _find_facts(comparison.changes, promise.table_schema, promise.table_name, facts)


def _find_contract_change(promise: Violation, changes: Sequence[ContractChange]) -> ContractChange | None:
    """The change of the contract that took the promise back; of one that was renamed, any that names its old file."""
    own = [change for change in changes if change.contract_name == promise.contract_name]
    own += [change for change in changes if str(change.before).endswith(f"/{promise.contract_name}.json")]
    of_column = [change for change in own if promise.column_name in change.json_path]
    return next(iter(of_column + own), None)
