"""Reports that several test modules render, post or read."""

import dataclasses
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from data_contract_components.detection.failed_query import FailedQuery, UntriedQuery
from data_contract_components.detection.migration_changes.changes import (
    ContractChange,
    Place,
    SchemaChange,
    UnmovedConsumers,
)
from data_contract_components.prevention.contract_report.contract_report import (
    BrokenPromise,
    CheckedContract,
    Comparison,
    Consumer,
    ContractReport,
    Outcome,
    Owner,
    ReportedClause,
    ReportedViolation,
    Table,
    Transition,
)
from data_contract_components.prevention.github.workflow_run import Run

CONTRACT = "data_contract_components/contract_definition/object_images_contract_spec.json"
MIGRATION = "data_contract_components/data_assets/db_migrations/versions/00e9b3375a5f_create_met_museum_seed_tables.py"
RUN = Run("https://github.example", "museum/guide", 77, 12, 1, "0123456789abcdef0123456789abcdef01234567")
CAUSE = Place(MIGRATION, 120, "00e9b3375a5f", "op.create_table")
COMMIT = "0123456789abcdef"


def example_violation(**changes: Any) -> ReportedViolation:
    message = "Data Type: expected integer, found bigint"
    violation = ReportedViolation("object_id", "data_type", "integer", "bigint", message, line=26)
    return replace(violation, **changes)


def missing_column(name: str, **changes: Any) -> ReportedViolation:
    message = f"Column '{name}' is defined in contract but missing from data catalog"
    violation = ReportedViolation(name, "column_name", name, None, message, line=30)
    return replace(violation, **changes)


def example_contract(**changes: Any) -> CheckedContract:
    """A contract that is broken in one column."""
    contract = CheckedContract(
        contract_name="object_images_contract_spec",
        path=CONTRACT,
        line=18,
        owner=Owner("Data Engineering Team", "data-eng@museum.org", "#data-eng"),
        table_schema="public",
        table_name="object_images",
        is_table_missing=False,
        violations=(example_violation(),),
        name="object-images-contract-spec",
        namespace="met-museum-data",
        doc="About images.",
        status="active",
        sunset=None,
        enforcement="binding",
        consumers=(
            Consumer("Data Science", "reader", "trains the model", "ds@museum.org", columns=("primary_image",)),
        ),
        table_catalog="postgres",
        clauses=(
            ReportedClause("object_id", "data_type", "integer", 26, "broken"),
            ReportedClause("object_id", "is_nullable", False, 28, "kept"),
        ),
    )
    return replace(contract, **changes)


def example_report(outcome: Outcome = "violations", **changes: Any) -> ContractReport:
    """A report with one contract; `changes` are of the contract."""
    return ContractReport(
        outcome, contracts=(example_contract(**changes),), tables_without_contract=(Table("public", "object"),)
    )


def example_comparison(text: str = "text", **changes: Any) -> Comparison:
    """Changes of a table, of a column and of a clause, and a broken promise, with `text` in every free text."""
    place = Place(text, 7, text, text)
    change = SchemaChange("changed", text, text, f"{text}2", text, text, text, True, (text,), place)
    violation = ReportedViolation(text, "data_type", text, text, text, line=3, cause=place, renamed_to=text)
    promise = BrokenPromise(text, text, 3, Owner(text, text, text), text, text, False, (violation,), is_deleted=False)
    comparison = Comparison(
        text,
        COMMIT,
        changes=(change, replace(change, change="added", column_name=None, contract_names=())),
        contract_changes=(ContractChange(text, Place(text, 3), text, "loosened", text, text, text, text),),
        broken_promises=(promise,),
    )
    return replace(comparison, **changes)


def with_every_text(part: Any, change: Callable[[str], str]) -> Any:
    """A copy of a report or of a part of it, with each text changed that is not one of a few fixed words."""
    if dataclasses.is_dataclass(part) and not isinstance(part, type):
        fixed = ("outcome", "enforcement", "state", "change", "kind")
        names = [field.name for field in dataclasses.fields(part) if field.name not in fixed]
        return replace(part, **{name: with_every_text(getattr(part, name), change) for name in names})
    if isinstance(part, tuple):
        return tuple(with_every_text(item, change) for item in part)
    return change(part) if isinstance(part, str) else part


def filled(report: ContractReport, text: str) -> ContractReport:
    """A copy with `text` in the place of each text; with a "2" after it where one was, so that these differ."""
    copy: ContractReport = with_every_text(report, lambda before: text + "2" * before.endswith("2"))
    return copy


def report_with(text: str) -> ContractReport:
    """The example with a comparison, filled with `text`."""
    query = FailedQuery("a consumer", "a path", 7, 2, "a line", "a state", "a hint")
    report = example_report(
        violations=(example_violation(renamed_to="a name"), example_violation(key="queries", query=query)),
        read_columns=("a column",),
        untried_queries=(UntriedQuery("a contract", "a consumer", "a path", "a reason"),),
        transition=Transition(
            *("a name", "a path", "a schema", "a table", ("a difference",)), UnmovedConsumers(("a name",), ("a name",))
        ),
        days_past_sunset=31,
        drop_call="a call",
    )
    return filled(replace(report, comparison=example_comparison()), text)
