"""Adds to the report what changed since the base: the cause of each violation, and the broken promises."""

import datetime
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from data_contract_components.command import render_error
from data_contract_components.contract_definition._json_text import render_json, render_json_path
from data_contract_components.contract_definition.contract_spec import WHOLE_TABLE
from data_contract_components.contract_definition.spec_problems import InvalidContractSpecError
from data_contract_components.contract_definition.waivers import TABLE_CLAUSE
from data_contract_components.detection._get_data_migration_changes import get_data_migration_changes
from data_contract_components.detection.contract_violation_detector import Violation
from data_contract_components.detection.migration_changes.causes import find_cause
from data_contract_components.detection.migration_changes.changes import Loosened, Place, SchemaChange
from data_contract_components.detection.migration_changes.comparison import MigrationComparison
from data_contract_components.errors import THIS_CHECKOUT, MigrationError
from data_contract_components.prevention.contract_report.contract_report import (
    COULD_NOT_CHECK,
    BrokenPromise,
    CheckedContract,
    ClauseState,
    Comparison,
    ContractReport,
    ReportedViolation,
)
from data_contract_components.prevention.contract_report.get_contract_report import (
    group_by_contract,
    make_owner,
    make_violation,
)
from data_contract_components.prevention.contract_report.pull_request_diff import PullRequestDiff
from data_contract_components.settings import get_settings

C = TypeVar("C", CheckedContract, BrokenPromise)


def add_changes(
    report: ContractReport, base: str, loosened: Loosened, head: str | None = None, today: datetime.date | None = None
) -> ContractReport:
    """The report, compared with the git ref `base`; if that fails, it has not passed, and has the reason.

    Each violation has its cause. Broken promises fail the report unless `loosened` is "report". Lines are those of the
    git ref `head`, which this checkout merges into the base, or else of this checkout.
    """
    diff = None
    try:
        diff = PullRequestDiff(get_settings().git_directory, base, head)
        if report.place:
            return diff.move(report)  # a comparison would fail at the same revision
        has_database = report.outcome != COULD_NOT_CHECK
        comparison = get_data_migration_changes(base, has_checked_database=has_database, today=today)
    except Exception as error:  # noqa: BLE001 - the violations that were found are still reported
        if isinstance(error, MigrationError) and error.name == THIS_CHECKOUT and report.error and not report.problems:
            # Why the database could not be brought up to date.
            place = Place(error.path, error.line, error.revision)
            report = replace(report, error=render_error(error), place=place)
        outcome = COULD_NOT_CHECK if report.outcome == "passed" else report.outcome
        is_same = isinstance(error, InvalidContractSpecError) and report.problems
        if not is_same and (text := render_error(error)) != report.error:
            report = replace(report, outcome=outcome, comparison=Comparison(base, error=text))
        return diff.move(report) if diff else report
    return diff.move(_add_comparison(report, comparison, loosened))


def _add_comparison(report: ContractReport, comparison: MigrationComparison, loosened: Loosened) -> ContractReport:
    earlier = {(violation.contract_name, *_identify(violation)) for violation in comparison.earlier_violations}
    causes = _find_causes([*comparison.violations, *comparison.waived_violations])
    promises = tuple(
        _add_causes(_make_broken_promise(comparison, name, violations), comparison.changes, _find_causes(violations))
        for name, violations in group_by_contract(comparison.broken_promises).items()
    )
    contracts = tuple(_add_query_changes(contract, comparison) for contract in report.contracts)
    is_broken = any(contract.violations for contract in contracts if contract.enforcement == "binding")
    is_failed = is_broken or bool(promises if loosened == "fail" else comparison.short_notices)
    return replace(
        report,
        outcome="violations" if is_failed and report.outcome == "passed" else report.outcome,
        contracts=tuple(_add_causes(contract, comparison.changes, causes, earlier) for contract in contracts),
        comparison=Comparison(
            comparison.base,
            comparison.base_commit,
            changes=comparison.changes,
            contract_changes=comparison.contract_changes,
            broken_promises=promises,
        ),
    )


def _find_causes(violations: Iterable[Violation]) -> dict[tuple[str, ...], SchemaChange | Place | None]:
    return {(violation.contract_name, *_identify(violation)): violation.cause for violation in violations}


def _add_query_changes(contract: CheckedContract, comparison: MigrationComparison) -> CheckedContract:
    """The contract with what is only seen by comparing: its queries that do something else than in the base."""
    known = {(v.column_name, v.key) for v in (*contract.violations, *contract.waived_violations)}
    new = [
        violation
        for violation in (*comparison.violations, *comparison.waived_violations)
        if violation.query
        and violation.contract_name == contract.contract_name
        and (violation.column_name, violation.key) not in known
    ]
    lines = {clause.column_name: clause.line for clause in contract.clauses if clause.key == "queries"}
    states: dict[str, ClauseState] = {
        v.column_name: "waived" if v.is_waived else "broken" for v in new if v.key == "queries"
    }

    def make_violations(*, waived: bool) -> tuple[ReportedViolation, ...]:
        return tuple(make_violation(v, lines[v.column_name]) for v in new if v.is_waived == waived)

    unmoved = comparison.unmoved_consumers.get(contract.contract_name)
    return replace(
        contract,
        transition=contract.transition and replace(contract.transition, unmoved=unmoved),
        violations=contract.violations + make_violations(waived=False),
        waived_violations=contract.waived_violations + make_violations(waived=True),
        clauses=tuple(
            replace(clause, state=states.get(clause.column_name, clause.state)) if clause.key == "queries" else clause
            for clause in contract.clauses
        ),
        read_columns=comparison.read_columns.get(contract.contract_name),
        untried_queries=tuple(q for q in comparison.untried_queries if q.contract_name == contract.contract_name),
    )


def _add_causes(
    contract: C,
    changes: Sequence[SchemaChange],
    query_causes: Mapping[tuple[str, ...], SchemaChange | Place | None],
    earlier: Collection[tuple[str, ...]] = (),
) -> C:
    """Each violation with the call that broke the clause, and with the new name of its column or table."""
    table_schema, table_name = contract.table_schema, contract.table_name

    def add_cause(violation: ReportedViolation) -> ReportedViolation:
        clause = (contract.contract_name, *_identify(violation))
        if clause in earlier:
            return replace(violation, is_earlier=True)
        if violation.key in ("sunset", "replacedBy"):
            return violation  # which no change of the contract's own table does
        change = query_causes.get(clause)
        if isinstance(change, Place):
            return replace(violation, cause=change)
        if change is None:
            values = (violation.column_name, violation.key, violation.expected, violation.found)
            change = find_cause(changes, table_schema, table_name, *values)
        if change is None or change.place is None:
            return violation
        if change.change != "renamed" or violation.column_name == WHOLE_TABLE:
            return replace(violation, cause=change.place)
        # A query may read another table than the contract's.
        names = {
            "table_schema": f"{change.after}.{change.table_name}",
            "table_name": f"{change.table_schema}.{change.after}",
        }
        name = change.after if change.column_name else names[str(change.key)]
        return replace(violation, cause=change.place, renamed_to=name, is_rename_certain=change.is_certain)

    found: dict[str, Any] = {"violations": tuple(map(add_cause, contract.violations))}
    if isinstance(contract, CheckedContract):
        found["waived_violations"] = tuple(map(add_cause, contract.waived_violations))
    return replace(contract, **found)


def _identify(violation: Violation | ReportedViolation) -> tuple[str, str, str]:
    """Column and key, and of what the contract does not list, which constraint it is."""
    found = render_json(violation.found) if violation.key == "additionalConstraints" else ""
    return violation.column_name, violation.key, found


def _make_broken_promise(comparison: MigrationComparison, name: str, violations: list[Violation]) -> BrokenPromise:
    """A contract of the base that was loosened or deleted and that the database breaks."""
    table_schema, table_name = violations[0].table_schema, violations[0].table_name
    head_name = comparison.head_names.get(name)
    # A promise is broken, and no other contract keeps it, only if its own contract has changed.
    contract_changes = [change for change in comparison.contract_changes if change.contract_name == (head_name or name)]

    def find_line(*json_paths: str) -> int | None:
        """The line of the first change at one of `json_paths` or below it, or else of the contract's first change."""
        inside = (
            change
            for json_path in json_paths
            for change in contract_changes
            if f"{change.json_path}.".startswith(f"{json_path}.")
        )
        return next(inside, contract_changes[0]).place.line

    def find_clause_line(violation: Violation) -> int | None:
        path = violation.json_path or ()
        clauses = (render_json_path(path), TABLE_CLAUSE if violation.key == "column_name" else "")
        for change in contract_changes:
            if change.waived_clause in clauses:
                return change.place.line
        # A lost entry of a list is a change of the list.
        clause = path[:2] if violation.column_name == WHOLE_TABLE else path
        whole = {"schema": f"$.schema.properties.{violation.column_name}", "consumers": "$.consumers"}
        return find_line(render_json_path(clause), whole.get(str(path[0]), "$.status"))

    return BrokenPromise(
        contract_name=name,
        path=contract_changes[0].place.path,
        line=find_line("$"),
        owner=make_owner(comparison.owners[name]),
        table_schema=table_schema,
        table_name=table_name,
        is_table_missing=any(
            change.column_name is None
            and change.change in ("removed", "renamed")
            and (change.table_schema, change.table_name) == (table_schema, table_name)
            for change in comparison.changes
        ),
        violations=tuple(make_violation(violation, find_clause_line(violation)) for violation in violations),
        is_deleted=head_name is None,
    )
