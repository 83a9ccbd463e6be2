"""Step 8 of the flow: the words that all renderings of a report share."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeGuard

from data_contract_components.contract_definition.contract_spec import ELEMENT_PREFIX, WHOLE_TABLE
from data_contract_components.detection.failed_query import FailedQuery
from data_contract_components.detection.migration_changes.changes import ContractChange, Place, SchemaChange
from data_contract_components.prevention.contract_report.contract_report import (
    BrokenPromise,
    CheckedContract,
    Comparison,
    ContractReport,
    Owner,
    ReportedContract,
    ReportedViolation,
)

SHOWN_TABLES = 20
SHOWN_LINES = 30
# Instead of the values, if a whole column or table is missing or not allowed.
EXPECTED_WORDS = {
    "column_name": "present",
    "table_name": "present",
    "additionalColumns": "absent",
    "queries": "accepted",
    "consumers": "accepted",
}
FOUND_WORDS = {"column_name": "missing", "table_name": "missing", "additionalColumns": "present"}
TOO_SOON = "ends without enough notice"
QUERY_NOTES = "What the consumers' queries show, besides violations"
# Of a query's line.
QUOTED_CHARACTERS = 72
TO_FIX = "Files to fix"
EARLIER = "Already broken in the base."
NOT_BUILT = "Promised, not built yet: the migration is missing."
NOT_COMPARED = (
    "not compared: what changed in migrations and contracts was not looked at; to compare with the branch main, add "
    "--base main"
)
# How a clause came to be broken. "promised": the contract came first. "not known": nothing was compared, or no change
# explains it. "loosened": a promise of the base. "too soon": its contract ends. "not replaced": what it names as taking
# over cannot.
Situation = Literal[
    "renamed",
    "dropped",
    "changed",
    "not allowed",
    "not writable",
    "promised",
    "loosened",
    "too soon",
    "not replaced",
    "not known",
    "earlier",
]
# Changes at these paths of a contract concern each of its clauses.
WHOLE_CONTRACT = ("$", "$.status", "$.sunset", "$.schema.table_catalog", "$.schema.table_schema", "$.schema.table_name")


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
        others = (v for v in violations if v.query or v.key in ("sunset", "replacedBy"))
        return [missing, *_find_findings(others)]
    return _find_findings(violations)


def find_waived(contract: CheckedContract) -> list[Finding]:
    """The findings that a valid waiver excuses."""
    return find_findings(replace(contract, violations=contract.waived_violations))


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
    if violation.key not in ("column_name", "additionalColumns") and violation.query is None:
        text = f"{violation.column_name}: {text}"
    return text + _render_new_name(violation)


def _render_new_name(violation: ReportedViolation) -> str:
    verb = "was" if violation.is_rename_certain else "seems"
    return f"; it {verb} renamed to '{violation.renamed_to}'" if violation.renamed_to else ""


def count(things: Collection[object], noun: str) -> str:
    return f"{len(things):,} {noun}{'' if len(things) == 1 else 's'}"


def quote_query(query: FailedQuery) -> list[str]:
    """The line of the query that PostgreSQL names, and below it a mark at the place; of a long line, what is near."""
    start = max(0, query.column - 1 - QUOTED_CHARACTERS // 2)
    text = query.source_line[start : start + QUOTED_CHARACTERS].replace("\t", " ")
    is_cut = len(query.source_line) > start + QUOTED_CHARACTERS
    return [f"{'…' * bool(start)}{text}{'…' * is_cut}", f"{' ' * (query.column - 1 - start + bool(start))}^"]


def render_query_place(query: FailedQuery) -> str:
    return f"{render_place(query.path, query.line)}, column {query.column}"


def find_query_notes(contract: CheckedContract) -> list[str]:
    """The entries of QUERY_NOTES; they fail no check."""
    columns = {
        "relied on, not promised": contract.relied_on_columns,
        "promised, not read by any query": contract.unread_columns,
    }
    notes = [f"{title}: {', '.join(names)}" for title, names in columns.items() if names]
    return notes + [
        f"could not try query {query.name} of {query.consumer}: {query.reason}" for query in contract.untried_queries
    ]


def cut_list(lines: list[str], shown: int = SHOWN_LINES) -> list[str]:
    """The first lines, and how many more there are."""
    return lines if len(lines) <= shown else [*lines[:shown], f"- and {len(lines) - shown} more"]


def render_place(path: str, line: int | None) -> str:
    return f"{path}:{line}" if line else path


def render_owner(owner: Owner) -> str:
    return f"{owner.name}, {owner.email}"


def render_outcome(report: ContractReport) -> str:
    """The outcome and its counts, without a reason."""
    if not report.is_checked:
        return "could not check"
    promises = report.broken_promises
    binding = [contract for contract in report.contracts if contract.enforcement == "binding"]
    # A promise of the base has the path that its contract has now. These were deleted, or bind no more.
    others = {promise.path for promise in promises} - {contract.path for contract in binding}
    total = count([*binding, *others], "contract")
    numbers = {state: len(contracts) for state, contracts in find_broken_contracts(report).items()}
    loosened = [promise for promise in promises if not promise.is_only_too_soon]
    numbers |= {
        "loosened": sum(not promise.is_deleted for promise in loosened),
        "deleted": sum(promise.is_deleted for promise in loosened),
        "without enough notice of the end": len(promises) - len(loosened),
    }
    text = ", ".join(f"{number} {state}" for state, number in numbers.items() if number)
    text = text.replace(" ", f" of {total} ", 1) if text else f"{total} kept"
    if loosened:
        text += f", and {'its old promise is' if len(loosened) == 1 else 'their old promises are'} broken"
    elif report.weaker_promises and not promises:
        text += f"; {_render_weaker(report.weaker_promises)}"
    if report.problems:
        text += f"; {count({problem.path for problem in report.problems}, 'file')} to fix"
    if waived := [finding for contract in report.contracts for finding in find_waived(contract)]:
        text += f"; {count(waived, 'violation')} waived"
    if report.conclusion == "could not compare":
        return f"could not compare: {text}, but what changed since the base is not known"
    return f"{report.outcome}: {text}"


def find_problems(report: ContractReport) -> list[str]:
    """What is wrong with files, each with its place; nothing if nothing was checked, as the error has it then."""
    problems = report.problems if report.is_checked else ()
    return [f"{render_place(problem.path, problem.line)}: {problem.message}" for problem in problems]


def render_day(report: ContractReport) -> str:
    """As on which day was checked, if it is not the day of the check."""
    is_other = report.source and report.today and not report.source.date.startswith(report.today)
    return f"Checked as on {report.today}, to try it out." if is_other else ""


def _render_weaker(changes: Collection[ContractChange]) -> str:
    deleted = {change.contract_name for change in changes if change.deletes_contract}
    loosened = {change.contract_name for change in changes} - deleted
    parts = []
    if loosened:
        parts.append(f"{len(loosened)} promise{'s' if len(loosened) == 1 else ''} less than in the base")
    if deleted:
        parts.append(f"{len(deleted)} {'was' if len(deleted) == 1 else 'were'} deleted")
    owners = "its owner" if len(loosened | deleted) == 1 else "their owners"
    return f"{' and '.join(parts)}: {owners} must agree"


def find_broken_contracts(report: ContractReport) -> dict[str, list[CheckedContract]]:
    """The contracts that fail the check, by "broken" and "not built yet"; without a state that none has."""
    found: dict[str, list[CheckedContract]] = {"broken": [], "not built yet": []}
    for contract in report.contracts:
        if contract.enforcement == "binding" and contract.violations:
            found["not built yet" if is_not_built(contract, report.comparison) else "broken"].append(contract)
    return {state: contracts for state, contracts in found.items() if contracts}


def find_situations(contract: ReportedContract, comparison: Comparison | None) -> dict[tuple[str, str], Situation]:
    """How each violation of the contract came about, by its column and key."""
    changes = [
        change
        for change in (comparison.contract_changes if comparison else ())
        if change.contract_name == contract.contract_name
        and (change.kind in ("added", "tightened", "loosened") or change.json_path == "$.consumers")
    ]
    return {
        (violation.column_name, violation.key): _find_situation(contract, violation, changes)
        for violation in contract.violations
    }


def _find_situation(
    contract: ReportedContract, violation: ReportedViolation, changes: Iterable[ContractChange]
) -> Situation:
    """`changes` are those by which this checkout's contract came to promise what it does."""
    if isinstance(contract, BrokenPromise):
        return "too soon" if violation.key == "sunset" else "loosened"
    if violation.is_earlier:
        return "earlier"
    if violation.key == "replacedBy":
        return "not replaced"
    if violation.key == "consumers":
        is_new = any(change.json_path == "$.consumers" for change in changes)
        return "not writable" if violation.cause else "promised" if is_new else "not known"
    if violation.query:
        kinds = {change.kind for change in changes if change.place.line == violation.line} - {"metadata"}
        if "added" in kinds or (kinds and violation.cause is None):
            return "promised"
        return "changed" if violation.cause else "not known"
    if violation.renamed_to:
        return "renamed"
    kinds = {change.kind for change in changes if _concerns(change.json_path, violation)}
    is_missing = violation.key == "column_name"
    # What was added by this checkout, and was not dropped by it, was never there.
    if kinds and (violation.cause is None or ("added" in kinds and not is_missing)):
        return "promised"
    if violation.cause is None:
        return "not known"
    return "dropped" if is_missing else "not allowed" if violation.key == "additionalColumns" else "changed"


def _concerns(json_path: str, violation: ReportedViolation) -> bool:
    """Whether the broken clause is at that path of the contract, or below it."""
    column, key = f"$.schema.properties.{violation.column_name}", violation.key
    element_key = key.removeprefix(ELEMENT_PREFIX)
    clauses: tuple[str, ...] = (
        f"{column}.constraints.{key}",
        f"{column}.array_element.{element_key}",
        f"$.schema.{key}",
    )
    if key == "column_name":
        clauses = (column,)
    return json_path in WHOLE_CONTRACT or any(f"{clause}.".startswith(f"{json_path}.") for clause in clauses)


def is_not_built(contract: ReportedContract, comparison: Comparison | None) -> bool:
    """Whether all that is wrong with the contract is that it came before the migration."""
    return set(find_situations(contract, comparison).values()) == {"promised"}


def render_verdict(contract: ReportedContract, comparison: Comparison | None = None) -> str:
    """What is wrong with the contract: the rest of a sentence that begins with its name."""
    if isinstance(contract, BrokenPromise):
        if contract.is_only_too_soon:
            return TOO_SOON
        return f"was {'deleted' if contract.is_deleted else 'loosened'}; the database breaks the old promise"
    if isinstance(contract, CheckedContract) and contract.waived_violations and not contract.violations:
        return "is kept, but for what is waived"
    if is_not_enforced(contract):
        return f"is broken, but not enforced ({render_status(contract)})"
    return "is promised, not built yet: the migration is missing" if is_not_built(contract, comparison) else "is broken"


def render_promise_state(promise: BrokenPromise) -> str:
    return TOO_SOON if promise.is_only_too_soon else f"{'deleted' if promise.is_deleted else 'loosened'} and broken"


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
    causes: set[Place] = set()
    for contract in (*report.contracts, *report.broken_promises):
        table = (contract.table_schema, contract.table_name)
        broken |= {(*table, violation.column_name) for violation in contract.violations}
        broken |= {(*table, None)} if contract.is_table_missing else set()
        # A promise of the whole table may be broken by a constraint, or by one of its columns; a query, by any change.
        causes |= {v.cause for v in contract.violations if (v.column_name == WHOLE_TABLE or v.query) and v.cause}
    changes = report.comparison.changes if report.comparison else ()
    harmless = []
    for change in changes:
        is_broken = (change.table_schema, change.table_name, change.column_name) in broken or change.place in causes
        if change.contract_names and not is_broken:
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
