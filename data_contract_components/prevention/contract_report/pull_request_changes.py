"""Adds to the report what changed since the base: the cause of each violation, and the broken promises."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TypeVar

from data_contract_components.command import render_error
from data_contract_components.contract_definition.contract_spec import ELEMENT_PREFIX
from data_contract_components.contract_definition.spec_problems import InvalidContractSpecError
from data_contract_components.detection._get_data_migration_changes import get_data_migration_changes
from data_contract_components.detection.contract_violation_detector import Violation
from data_contract_components.detection.migration_changes.changes import Loosened, Place, SchemaChange
from data_contract_components.detection.migration_changes.comparison import MigrationComparison
from data_contract_components.detection.migration_changes.schema_changes import find_cause
from data_contract_components.errors import THIS_CHECKOUT, MigrationError
from data_contract_components.prevention.contract_report.contract_report import (
    COULD_NOT_CHECK,
    BrokenPromise,
    CheckedContract,
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


def add_changes(report: ContractReport, base: str, loosened: Loosened, head: str | None = None) -> ContractReport:
    """The report, compared with the git ref `base`; if that fails, it has not passed, and has the reason.

    Each violation has its cause. Broken promises fail the report unless `loosened` is "report". Lines are those of the
    git ref `head`, which this checkout merges into the base, or else of this checkout.
    """
    diff = None
    try:
        diff = PullRequestDiff(get_settings().git_directory, base, head)
        if report.place:
            return diff.move(report)  # a comparison would fail at the same revision
        comparison = get_data_migration_changes(base, has_checked_database=report.outcome != COULD_NOT_CHECK)
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
    earlier = {
        (violation.contract_name, violation.column_name, violation.key) for violation in comparison.earlier_violations
    }
    promises = tuple(
        _add_causes(_make_broken_promise(comparison, name, violations), comparison.changes)
        for name, violations in group_by_contract(comparison.broken_promises).items()
    )
    is_failed = bool(promises) and loosened == "fail" and report.outcome == "passed"
    return replace(
        report,
        outcome="violations" if is_failed else report.outcome,
        contracts=tuple(_add_causes(contract, comparison.changes, earlier) for contract in report.contracts),
        comparison=Comparison(
            comparison.base,
            comparison.base_commit,
            changes=comparison.changes,
            contract_changes=comparison.contract_changes,
            broken_promises=promises,
        ),
    )


def _add_causes(contract: C, changes: Sequence[SchemaChange], earlier: Collection[tuple[str, str, str]] = ()) -> C:
    """Each violation with the call that broke the clause, and with the new name of its column or table."""
    table_schema, table_name = contract.table_schema, contract.table_name

    def add_cause(violation: ReportedViolation) -> ReportedViolation:
        if (contract.contract_name, violation.column_name, violation.key) in earlier:
            return replace(violation, is_earlier=True)
        change = find_cause(changes, table_schema, table_name, violation.column_name, violation.key)
        if change is None or change.place is None:
            return violation
        if change.change != "renamed":
            return replace(violation, cause=change.place)
        names = {"table_schema": f"{change.after}.{table_name}", "table_name": f"{table_schema}.{change.after}"}
        name = change.after if change.column_name else names[str(change.key)]
        return replace(violation, cause=change.place, renamed_to=name, is_rename_certain=change.is_certain)

    return replace(contract, violations=tuple(map(add_cause, contract.violations)))


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

    def find_clause_line(column_name: str, key: str) -> int | None:
        column = f"$.schema.properties.{column_name}"
        element_key = key.removeprefix(ELEMENT_PREFIX)
        return find_line(f"{column}.constraints.{key}", f"{column}.array_element.{element_key}", column)

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
        violations=tuple(
            make_violation(violation, find_clause_line(violation.column_name, violation.key))
            for violation in violations
        ),
        is_deleted=head_name is None,
    )
