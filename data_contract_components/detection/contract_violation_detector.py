"""Step 5 of the flow, for columns: where the catalog is not what the contracts say."""

import datetime
import functools
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from data_contract_components.command import command
from data_contract_components.contract_definition._json_text import render_difference, render_json_path, render_value
from data_contract_components.contract_definition.contract_spec import (
    ELEMENT_PREFIX,
    WHOLE_TABLE,
    ConsumerQuery,
    Contract,
    Enforcement,
    JsonPath,
    TableName,
    find_clauses,
    find_replacement,
    get_enforcement,
)
from data_contract_components.contract_definition.spec_problems import ANY_DATABASE, SpecProblem, locate_problem
from data_contract_components.contract_definition.table_lists import strip_index
from data_contract_components.contract_definition.waivers import (
    TABLE_CLAUSE,
    UNNEEDED,
    Waiver,
    find_unneeded_waivers,
    find_waivers,
)
from data_contract_components.detection._consumer_queries import ConsumerState, Refusal, find_failed_query, get_key
from data_contract_components.detection._contract_detector import ContractDetector, run_detector
from data_contract_components.detection._current_state import CurrentState
from data_contract_components.detection._get_data_catalog import CONSTRAINT_COLUMNS, CatalogColumn
from data_contract_components.detection._get_data_contract_specs import get_table_key
from data_contract_components.detection._table_constraints import find_broken_clauses
from data_contract_components.detection.failed_query import FailedQuery
from data_contract_components.detection.migration_changes.changes import Place, SchemaChange
from data_contract_components.errors import DataContractError

# The keys of a contract's column, in the order in which they are compared.
COMPARED_KEYS = ("data_type", *CONSTRAINT_COLUMNS)
# By schema and name, the columns of each table by name, in the table's order.
Tables = dict[TableName, dict[str, CatalogColumn]]
OTHER_DATABASE = f"nothing else was compared; {ANY_DATABASE}"


@dataclass(frozen=True)
class ContractColumn:
    """A column under contract, beside the CatalogColumn that it is compared with.

    `expected` are the values by those of COMPARED_KEYS that the contract mentions: a key that is absent is not checked,
    a key that is None means that the column must have none.
    """

    contract_name: str
    table_catalog: str | None
    table_schema: str
    table_name: str
    column_name: str
    expected: dict[str, Any]


@dataclass(frozen=True)
class Violation:
    """One clause of a contract that the catalog does not keep.

    `key` is one of COMPARED_KEYS, "column_name" (the column is missing) or "additionalColumns" (the contract does not
    list it); for the WHOLE_TABLE, one of TABLE_CLAUSES, with an index where it is an entry of a list. `reason` is why
    what is declared does not count, or what follows from another database.

    A consumer's `query` that is refused has the key "queries", one that gives other columns "resultColumns", and both
    have its name in place of a column's; a column that a writer does not write as it has to has the key "consumers".
    Two keys are about the end of a contract: "replacedBy" names none that could take over; "sunset" is too soon.
    `json_path` is where the contract has the clause. While its `waiver` is valid, the violation fails nothing.
    Only the comparison with the base knows the `cause`.
    """

    contract_name: str
    table_schema: str
    table_name: str
    column_name: str
    key: str
    expected: Any
    found: Any
    reason: str | None = None
    json_path: JsonPath | None = None
    query: FailedQuery | None = None
    cause: SchemaChange | Place | None = None
    waiver: Waiver | None = None

    @property
    def is_waived(self) -> bool:
        return self.waiver is not None and self.waiver.is_valid

    def __str__(self) -> str:
        if self.key == "resultColumns" and self.query:
            words = render_difference(self.expected, self.found)
            return f"Result of query {self.column_name} of {self.query.consumer} {words}"
        if self.query:
            state = f" (SQL state {self.query.sql_state})" if self.query.sql_state else ""
            return f"Query {self.column_name} of {self.query.consumer} fails: {self.found}{state}"
        if self.key == "consumers":
            return str(self.found)
        if self.key == "column_name":
            return f"Column '{self.expected}' is defined in contract but missing from data catalog"
        if self.key == "additionalColumns":
            return f"Column '{self.found}' is in data catalog but not defined in contract"
        key = strip_index(self.key)
        words = "".join(f" {letter}" if letter.isupper() else letter for letter in key).replace("_", " ")
        text = f"{words.title()}: expected {render_value(self.expected)}, found {render_value(self.found)}"
        return f"{text} ({self.reason})" if self.reason else text


def render_finding(violation: Violation) -> str:
    """The violation on one line, with its contract, table and column."""
    text = f"{violation.contract_name}, {violation.table_name}.{violation.column_name}: {violation}"
    return f"{text}; {violation.waiver}" if violation.waiver else text


class UnneededWaiverError(DataContractError):
    """Waivers are for clauses that are kept; each of `problems` says which lines to delete."""

    def __init__(self, problems: Sequence[SpecProblem]) -> None:
        super().__init__("\n".join([f"{UNNEEDED}:", *map(str, problems)]))
        self.problems = problems


class ContractViolationDetector(ContractDetector):
    """Finds the clauses that the catalog does not keep."""

    @functools.cached_property
    def catalog_columns(self) -> list[CatalogColumn]:
        """The rows of `catalog_df`; who has them can set them in its place."""
        return CatalogColumn.from_df(self.catalog_df)

    def transform_contract_specs_to_catalog_format(self) -> list[ContractColumn]:
        """The columns under contract, with the catalog's names of their keys, in the order of the contracts."""
        return [
            ContractColumn(
                contract_name,
                **get_table_key(contract.spec),
                column_name=column_name,
                expected=column["constraints"]
                | {f"{ELEMENT_PREFIX}{key}": value for key, value in column.get("array_element", {}).items()},
            )
            for contract_name, contract in self.contracts.items()
            for column_name, column in contract.spec["schema"]["properties"].items()
        ]

    def detect_constraint_violations(self) -> list[dict[str, str]]:
        """What breaks the contracts that bind, in their order; of each, first the columns that are missing.

        Shape: one dict per violation, with the keys `contract_name`, `table_name`, `column_name`, `violations` (text).
        """
        return [
            {
                "contract_name": violation.contract_name,
                "table_name": violation.table_name,
                "column_name": violation.column_name,
                "violations": str(violation)
                + _render_place(violation.query)
                + (f"; {violation.waiver}" if violation.waiver else ""),
            }
            for violation in self.find_violations("binding")
        ]

    def find_violations(self, *enforcements: Enforcement | Literal["waived"]) -> list[Violation]:
        """The violations of the contracts with one of these enforcements, in the same order.

        Those that a waiver excuses are not "binding" but "waived".
        """
        columns: dict[str, list[ContractColumn]] = {name: [] for name in self.contracts}
        for column in self.transform_contract_specs_to_catalog_format():
            columns[column.contract_name].append(column)
        tables: Tables = {}
        for found in self.catalog_columns:
            table = tables.setdefault((found.table_schema, found.table_name), {})
            table[found.column_name] = found
        violations: list[Violation] = []
        for contract_name, contract in self.contracts.items():
            enforcement = get_enforcement(contract.spec, self.today)
            if enforcement == "unchecked" and enforcement not in enforcements:
                continue
            broken = [*_find_violations(contract_name, contract, columns[contract_name], tables, self.consumer_state)]
            if enforcement == "binding":
                broken += _find_wrong_replacement(contract_name, contract, self.contracts.values(), tables)
            for violation in locate(broken, contract, self.today, is_table_missing=contract.table not in tables):
                is_excused = enforcement == "binding" and violation.is_waived
                if ("waived" if is_excused else enforcement) in enforcements:
                    violations.append(violation)
        return violations

    def find_unneeded_waivers(self) -> list[SpecProblem]:
        """The waivers of clauses that are kept, of the contracts that bind."""
        if not any(contract.spec.get("waivers") for contract in self.contracts.values()):
            return []  # most projects have none, and need no second comparison
        violations = self.find_violations("binding", "waived")
        # Of a missing table, or of another database, nothing else was compared.
        others = {violation.contract_name for violation in violations if violation.key == "table_catalog"}
        tables = {(found.table_schema, found.table_name) for found in self.catalog_columns}
        used = {(violation.contract_name, violation.waiver.clause) for violation in violations if violation.waiver}
        broken = {(v.contract_name, render_json_path(v.json_path)): None for v in violations if v.json_path}
        return [
            locate_problem(Path(), contract, *problem)
            for contract_name, contract in self.contracts.items()
            if contract_name not in others and contract.table in tables
            if get_enforcement(contract.spec, self.today) == "binding"
            for problem in find_unneeded_waivers(
                contract, *([clause for name, clause in found if name == contract_name] for found in (used, broken))
            )
        ]

    def ensure_waivers_are_needed(self) -> None:
        """Raises: UnneededWaiverError where a waiver is for a clause that is kept."""
        if problems := self.find_unneeded_waivers():
            raise UnneededWaiverError(problems)


def locate(
    violations: Iterable[Violation], contract: Contract, today: datetime.date, *, is_table_missing: bool = False
) -> Iterator[Violation]:
    """The violations of a contract, each with the JSON path of its clause, and with its waiver if there is one."""
    clauses = {(clause.column_name, clause.key): clause.json_path for clause in find_clauses(contract.spec)}
    waivers = find_waivers(contract.spec, today)
    for violation in violations:
        column_name = WHOLE_TABLE if violation.key == "additionalColumns" else violation.column_name
        json_path = violation.json_path or clauses[column_name, violation.key]
        is_of_table = is_table_missing and violation.key == "column_name"
        waiver = waivers.get(TABLE_CLAUSE if is_of_table else render_json_path(json_path))
        yield replace(violation, json_path=json_path, waiver=waiver)


def _render_place(query: FailedQuery | None) -> str:
    return f", {query.path}:{query.line}:{query.column}" if query else ""


def _find_violations(
    contract_name: str,
    contract: Contract,
    columns: list[ContractColumn],
    tables: Tables,
    consumer_state: ConsumerState,
) -> Iterator[Violation]:
    schema = contract.spec["schema"]
    violation = partial(Violation, contract_name, *contract.table)
    table = tables.get(contract.table, {})
    found_table = next(iter(table.values()), None)
    if found_table and schema.get("table_catalog", found_table.table_catalog) != found_table.table_catalog:
        values = (schema["table_catalog"], found_table.table_catalog)
        yield violation(WHOLE_TABLE, "table_catalog", *values, OTHER_DATABASE)
        return
    for column in columns:
        if column.column_name not in table:
            yield violation(column.column_name, "column_name", column.column_name, None)
    if found_table and schema.get("table_type", found_table.table_type) != found_table.table_type:
        yield violation(WHOLE_TABLE, "table_type", schema["table_type"], found_table.table_type)
    if found_table:
        for broken in find_broken_clauses(schema, found_table.constraints):
            yield violation(WHOLE_TABLE, *broken)
    for column in columns:
        if found := table.get(column.column_name):
            for key in COMPARED_KEYS:
                if key in column.expected and not _is_kept(key, column.expected[key], getattr(found, key)):
                    # A foreign key that is not enforced does not explain one where the contract allows none.
                    reason = None if column.expected[key] is None else (found.not_enforced or {}).get(key)
                    yield violation(column.column_name, key, column.expected[key], getattr(found, key), reason)
    if not schema.get("additionalColumns", True):
        for column_name in table:
            if column_name not in schema["properties"]:
                yield violation(column_name, "additionalColumns", None, column_name)
    yield from _find_writer_violations(violation, contract, table, consumer_state)
    for query in contract.queries:
        if (verdict := consumer_state.verdicts.get(get_key(query))) and (refusal := verdict.refusal):
            yield make_query_violation(contract_name, contract, query, refusal)


def _find_wrong_replacement(
    contract_name: str, contract: Contract, contracts: Iterable[Contract], tables: Tables
) -> Iterator[Violation]:
    """Where another contract is named as taking over, and it is not active or its table is not there."""
    if replacement := find_replacement(contract, contracts):
        status = replacement.spec.get("status", "active")
        found = {"active": None, "draft": "a draft"}.get(status, f"a {status} contract")
        if found is None and replacement.table not in tables:
            found = f"no table {'.'.join(replacement.table)}"
        if found:
            names = (contract_name, *contract.table, WHOLE_TABLE, "replacedBy")
            yield Violation(*names, contract.spec["replacedBy"], found, json_path=("replacedBy",))


def _find_writer_violations(
    violation: Callable[..., Violation], contract: Contract, table: dict[str, CatalogColumn], state: ConsumerState
) -> Iterator[Violation]:
    """What a writer without queries cannot write, or does not, though it has to."""
    automatic = state.automatic_columns.get(contract.table)
    # None: the database was not asked. In older versions, a consumer is somebody to talk to and nothing else.
    if automatic is None or contract.spec["spec-version"] < "1.2.0":
        return
    for index, consumer in enumerate(contract.spec.get("consumers", [])):
        if consumer["role"] == "reader" or consumer.get("queries"):
            continue
        place, who = ("consumers", index), f"writer {consumer['name']}"
        written = consumer.get("columns", contract.spec["schema"]["properties"])
        for name, column in table.items():
            if not column.is_nullable and name not in automatic and name not in written:
                words = f"{who} does not write it, and it is NOT NULL and has no default"
                yield violation(name, "consumers", None, words, None, place)
        for number, name in enumerate(consumer.get("columns", [])):
            if table and name not in table and name not in contract.spec["schema"]["properties"]:
                words = f"{who} writes it, and it does not exist"
                yield violation(name, "consumers", None, words, None, (*place, "columns", number))
            if automatic.get(name) or (name in table and not table[name].is_updatable):
                words = f"{who} writes it, and it is {'generated always' if automatic.get(name) else 'not updatable'}"
                yield violation(name, "consumers", None, words, None, (*place, "columns", number))


def make_query_violation(contract_name: str, contract: Contract, query: ConsumerQuery, refusal: Refusal) -> Violation:
    failed = find_failed_query(query, refusal)
    name, place = query.name, query.json_path
    return Violation(contract_name, *contract.table, name, "queries", None, refusal.message, None, place, failed)


def _is_kept(key: str, expected: Any, found: Any) -> bool:
    # A column may have several foreign keys, and the contract asks for one of them.
    if key == "references" and expected is not None:
        target = {name: value for name, value in expected.items() if not name.startswith("x-")}
        return target in (found or [])
    # PostgreSQL does not know the dimensions of a view's column.
    if key == "array_element_dimensions" and found == 0:
        return True
    # Two objects with the same keys are equal in any order.
    if key == "fields" and expected is not None and found is not None:
        return list(expected.items()) == list(found.items())
    return bool(expected == found)


@command("nothing was changed")
def main(arguments: list[str] | None = None) -> int:
    """0: the catalog keeps all clauses; 1: it breaks one; 2: could not check."""
    return run_detector(arguments, "Find where the database is not what the contracts say.", _detect)


def _detect(state: CurrentState) -> list[str]:
    detector = ContractViolationDetector(*state)
    findings = [render_finding(violation) for violation in detector.find_violations("binding")]
    if not findings:
        detector.ensure_waivers_are_needed()
    return findings


if __name__ == "__main__":
    sys.exit(main())
