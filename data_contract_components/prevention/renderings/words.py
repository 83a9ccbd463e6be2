"""Step 8 of the flow: the words that all renderings of a report share."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, TypeGuard

from data_contract_components.contract_definition.contract_spec import WHOLE_TABLE
from data_contract_components.detection.failed_query import FailedQuery
from data_contract_components.detection.migration_changes.changes import SchemaChange
from data_contract_components.prevention.contract_report.contract_report import (
    BrokenPromise,
    CheckedContract,
    ContractReport,
    Owner,
    ReportedContract,
    ReportedViolation,
)

SHOWN_TABLES = 20
# Instead of the values, if a whole column or table is missing or not allowed.
EXPECTED_WORDS = {
    "column_name": "present",
    "table_name": "present",
    "additionalColumns": "absent",
    "queries": "accepted",
}
FOUND_WORDS = {"column_name": "missing", "table_name": "missing", "additionalColumns": "present"}
# Of a query's line.
QUOTED_CHARACTERS = 72
EARLIER = "Already broken in the base."


@dataclass(frozen=True)
class Finding:
    """What people are shown of a violation, or of a missing table instead of the violation of each of its columns.

    `text` is the whole finding in words. `violation` has the cause; a missing table has that of its first column.
    """

    column_name: str
    key: str
    expected: Any
    found: Any
    line: int | None
    text: str
    violation: ReportedViolation


def find_findings(contract: ReportedContract) -> list[Finding]:
    """One finding per violation, or a single one for a missing table."""
    violations = contract.violations
    if contract.is_table_missing and violations and violations[0].key == "column_name":
        text = f"Table '{contract.table}' is defined in contract but missing from data catalog"
        text += _render_new_name(violations[0])
        missing = Finding(WHOLE_TABLE, "table_name", contract.table_name, None, contract.line, text, violations[0])
        return [missing, *_find_findings(violation for violation in violations if violation.query)]
    return _find_findings(violations)


def _find_findings(violations: Iterable[ReportedViolation]) -> list[Finding]:
    return [
        Finding(
            violation.column_name,
            violation.key,
            violation.expected,
            violation.found,
            violation.line,
            _render_violation(violation),
            violation,
        )
        for violation in violations
    ]


def _render_violation(violation: ReportedViolation) -> str:
    text = violation.message
    if violation.key not in ("column_name", "additionalColumns", "queries"):
        text = f"{violation.column_name}: {text}"
    return text + _render_new_name(violation)


def _render_new_name(violation: ReportedViolation) -> str:
    verb = "was" if violation.is_rename_certain else "seems"
    return f"; it {verb} renamed to '{violation.renamed_to}'" if violation.renamed_to else ""


def count(things: Collection[object], noun: str) -> str:
    return f"{len(things):,} {noun}{'' if len(things) == 1 else 's'}"


def quote_line(query: FailedQuery) -> list[str]:
    """The line of the query that PostgreSQL names, and below it a mark at the place; a long line from near there."""
    start = max(0, query.column - 1 - QUOTED_CHARACTERS // 2)
    text = query.source_line[start : start + QUOTED_CHARACTERS].replace("\t", " ")
    return [f"{'…' if start else ''}{text}", f"{' ' * (query.column - 1 - start + bool(start))}^"]


def render_place(path: str, line: int | None) -> str:
    return f"{path}:{line}" if line else path


def render_owner(owner: Owner) -> str:
    return f"{owner.name}, {owner.email}"


def render_verdict(contract: ReportedContract) -> str:
    """What is wrong with the contract: the rest of a sentence that begins with its name."""
    if isinstance(contract, BrokenPromise):
        return f"was {'deleted' if contract.is_deleted else 'loosened'}; the database breaks the old promise"
    return f"is broken, but not enforced ({render_status(contract)})" if is_not_enforced(contract) else "is broken"


def is_not_enforced(contract: ReportedContract) -> TypeGuard[CheckedContract]:
    """Whether its violations are only reported."""
    return isinstance(contract, CheckedContract) and contract.enforcement == "reported"


def render_status(contract: CheckedContract) -> str:
    return contract.status + (f", sunset {contract.sunset}" if contract.sunset else "")


def render_line_label(contract: ReportedContract) -> str:
    """What happened on the line of the contract that a violation names."""
    return "loosened in" if isinstance(contract, BrokenPromise) else "promised in"


def find_harmless_changes(report: ContractReport) -> list[tuple[SchemaChange, str]]:
    """The changes of tables under contract that break no clause, each in words and with the owners."""
    owners = {contract.contract_name: contract.owner.name for contract in report.contracts}
    broken: set[tuple[str, str, str | None]] = set()
    for contract in (*report.contracts, *report.broken_promises):
        table = (contract.table_schema, contract.table_name)
        broken |= {(*table, violation.column_name) for violation in contract.violations}
        broken |= {(*table, None)} if contract.is_table_missing else set()
    changes = report.comparison.changes if report.comparison else ()
    harmless = []
    for change in changes:
        if change.contract_names and (change.table_schema, change.table_name, change.column_name) not in broken:
            names = [owners[name] for name in change.contract_names if name in owners]
            harmless.append((change, f"{change} (owner: {', '.join(names)})" if names else str(change)))
    return harmless


def find_covered_tables(report: ContractReport) -> set[str]:
    """The tables that are there and have a contract that is not retired."""
    return {
        contract.table
        for contract in report.contracts
        if not contract.is_table_missing and contract.enforcement != "unchecked"
    }


def render_coverage(report: ContractReport) -> str:
    """How many tables have a contract, and which have none."""
    without = [f"{table.table_schema}.{table.table_name}" for table in report.tables_without_contract]
    tables = find_covered_tables(report)
    text = f"{len(tables)} of {len(tables) + len(without)} tables under contract"
    if len(without) > SHOWN_TABLES:
        without = [*without[:SHOWN_TABLES], f"and {len(without) - SHOWN_TABLES} more"]
    return f"{text}; without: {', '.join(without)}" if without else text
