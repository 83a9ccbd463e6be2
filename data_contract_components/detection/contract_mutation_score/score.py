"""Breaks each clause of a contract in an open transaction, and finds out whether the detector notices it."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import wrap
from typing import Any, Literal

from data_contract_components.contract_definition._json_text import render_value
from data_contract_components.contract_definition.contract_spec import (
    ELEMENT_PREFIX,
    TABLE_CLAUSES,
    WHOLE_TABLE,
    Clause,
    Contract,
    Enforcement,
    TableSchema,
    find_clauses,
)
from data_contract_components.contract_definition.table_lists import TABLE_LISTS, find_listed
from data_contract_components.data_assets._query_postgres_helper import PostgresDB, read_sql
from data_contract_components.detection._consumer_queries import ConsumerState
from data_contract_components.detection._get_data_catalog import PreparedCatalog, get_data_catalog
from data_contract_components.detection.contract_mutation_score.mutations import (
    NEW_NAME,
    Target,
    get_mutations,
    get_mutations_of_copy,
)
from data_contract_components.detection.contract_violation_detector import (
    COMPARED_KEYS,
    ContractViolationDetector,
    Violation,
)
from data_contract_components.errors import DataContractError, QueryError
from data_contract_components.escaping import cut

LINE_LENGTH = 80
# SQL states that are not about the statement: connection, rights, resources, locks, the operator, the server itself.
SURROUNDINGS = ("08", "25", "42501", "53", "55P03", "57", "58", "XX")
TARGETS_SQL = read_sql(Path(__file__).with_name("targets.sql"))


class RefusedError(DataContractError):
    """PostgreSQL does not run the statement on this table."""


@dataclass(frozen=True)
class Verdict:
    """Whether the broken clause is noticed, and the statement that broke it, or why there is none."""

    clause: Clause
    state: Literal["noticed", "unnoticed", "already broken", "cannot break"]
    note: str


class ContractMutations:
    """A contract and its table in an open transaction, where each change is undone as soon as it is judged.

    `table_catalog` is the name of a scratch database, in place of the one that the contract names.
    """

    def __init__(
        self, transaction: PostgresDB, contract: Contract, enforcement: Enforcement, table_catalog: str | None = None
    ) -> None:
        schema: TableSchema = {**contract.spec["schema"]}
        if table_catalog and "table_catalog" in schema:
            schema["table_catalog"] = table_catalog
        self._contract = replace(contract, spec={**contract.spec, "schema": schema})
        self._clauses = find_clauses(contract.spec)
        self._transaction, self._enforcement = transaction, enforcement
        self._table = contract.table
        self._other_columns: list[str] = []
        self._targets = self._get_targets()
        with self._undone("select"):  # so that the catalog's settings do not apply to the statements
            self._catalog = PreparedCatalog(transaction, contract.table)
        self._violations: dict[str, list[Violation]] = {}
        self._before = self._find_violations()

    def get_verdicts(self, progress: Callable[[], object] = lambda: None) -> list[Verdict]:
        """One verdict per clause, in the contract's order, with a call of `progress` after each.

        Raises: QueryError, for example without the rights.
        """
        verdicts: list[Verdict] = []
        for clause in self._clauses:
            verdicts.append(self._get_verdict(clause))
            progress()
        return verdicts

    def find_unpromised(self) -> dict[str, list[str]]:
        """What can change unnoticed, as the contract does not mention it: for each key, the columns."""
        mentioned = {(clause.column_name, clause.key) for clause in self._clauses}
        unpromised: dict[str, list[str]] = {"column_name": self._other_columns} if self._other_columns else {}
        for name, target in self._targets.items():
            for key, value in self._get_values_of_table(target) if name == WHOLE_TABLE else _get_values(target):
                if (name, key) not in mentioned and name not in unpromised.get(key, ()):
                    with suppress(RefusedError, IndexError):
                        statement = get_mutations(target, key, value)[0]
                        if self._find_violations(statement) == self._before:
                            unpromised.setdefault(key, []).append(name)
        return unpromised

    def _get_values_of_table(self, target: Target) -> Iterator[tuple[str, Any]]:
        """What a contract could promise of the whole table, without the entries of lists that this one has."""
        listed = find_listed(self._contract.spec["schema"])
        primary_keys = [constraint.columns for constraint in target.constraints if constraint.key == "primaryKey"]
        for key in TABLE_CLAUSES:
            if key in TABLE_LISTS:
                of_key = (constraint for constraint in target.constraints if constraint.key == key)
                yield from ((key, constraint.value) for constraint in of_key if constraint.identity not in listed)
            elif key == "primaryKey":
                yield key, next(iter(primary_keys), None)
            else:
                yield key, getattr(target, key, None)

    def _get_verdict(self, clause: Clause) -> Verdict:
        expected = {(clause.column_name, clause.key)}
        if clause.key in ("table_schema", "table_name"):
            expected = {(name, "column_name") for name in self._targets if name != WHOLE_TABLE}
        for violation in self._before:
            is_missing = violation.key == "column_name" and violation.column_name == clause.column_name
            is_same = violation.key == clause.key and (
                violation.column_name == clause.column_name or clause.key == "additionalColumns"
            )
            if is_missing or is_same or violation.key == "table_catalog":
                return Verdict(clause, "already broken", str(violation))
        if not self._targets:
            return Verdict(clause, "already broken", "the table is missing")
        if clause.key == "table_catalog":
            return Verdict(clause, "cannot break", "no statement renames the database that it runs in")
        if clause.key in ("additionalColumns", "additionalConstraints") and clause.expected:
            return Verdict(clause, "cannot break", "true promises nothing")
        if clause.key == "additionalColumns":
            expected = {(NEW_NAME, clause.key)}
        target, reason = self._targets[clause.column_name], "no statement is known for it"
        for get_statements in (get_mutations, get_mutations_of_copy):
            for statement in get_statements(target, clause.key, clause.expected):
                try:
                    violations = self._find_violations(statement)
                except RefusedError as error:
                    reason = str(error)
                    continue
                found = {(violation.column_name, violation.key) for violation in violations}
                return Verdict(clause, "noticed" if expected and expected <= found else "unnoticed", statement)
        return Verdict(clause, "cannot break", reason)

    def _find_violations(self, statement: str = "select") -> list[Violation]:
        # A statement may break several clauses, and each time finds the same table.
        if statement not in self._violations:
            detector = ContractViolationDetector({"": self._contract}, consumer_state=ConsumerState())
            with self._undone(statement):
                detector.catalog_columns = self._catalog.get_columns()
            self._violations[statement] = detector.find_violations(self._enforcement, "waived")
        return self._violations[statement]

    def _get_targets(self) -> dict[str, Target]:
        """The table as WHOLE_TABLE, and its columns under contract; nothing where there is no such table."""
        catalog_df = get_data_catalog(self._transaction, {self._table})
        # So that each type is named with its schema. Only here, as it changes how the catalog prints defaults.
        with self._undone("set local search_path = ''"):
            targets_df = self._transaction.query(TARGETS_SQL, self._table)
        merged_df = catalog_df.merge(targets_df, on="column_name", how="left", validate="one_to_one")
        merged_df["primary_key_columns"] = [list(merged_df["column_name"][merged_df["primaryKey"]])] * len(merged_df)
        merged_df["brackets"] = ""
        targets: dict[str, Target] = {}
        for target in Target.from_df(merged_df):
            name = target.column_name
            targets.setdefault(WHOLE_TABLE, replace(target, column_name=""))
            if name in self._contract.spec["schema"]["properties"]:
                targets[name] = target
            elif self._contract.spec["schema"].get("additionalColumns", True):
                self._other_columns.append(name)
        return targets

    @contextmanager
    def _undone(self, statement: str) -> Iterator[None]:
        try:
            try:
                self._transaction.get_rows(f"savepoint before_mutation; {statement}")
            except QueryError as error:
                if error.sql_state and not error.sql_state.startswith(SURROUNDINGS):
                    raise RefusedError(error.reason) from error
                raise
            yield
        finally:
            self._transaction.get_rows("rollback to savepoint before_mutation")


def _get_values(target: Target) -> Iterator[tuple[str, Any]]:
    """What a contract could promise of the column."""
    for key in COMPARED_KEYS:
        if not key.startswith(ELEMENT_PREFIX) or target.data_type == "ARRAY":
            yield key, getattr(target, key)


def render_verdicts(contract_name: str, verdicts: list[Verdict], unpromised: dict[str, list[str]]) -> str:
    """The clauses of a contract by column, in lines of at most LINE_LENGTH."""
    lines = [f"{contract_name}: {render_score(verdicts)}"]
    column_name = None
    for verdict in verdicts:
        if column_name != verdict.clause.column_name:
            column_name = verdict.clause.column_name
            lines.append(f"  {column_name}")
        lines.append(f"    {verdict.state:<15}{verdict.clause.key}: {render_value(verdict.clause.expected)}")
        if verdict.state != "noticed":
            lines += wrap(verdict.note, LINE_LENGTH, initial_indent=" " * 19, subsequent_indent=" " * 19)
    if unpromised:
        lines.append("  not promised, so a change goes unnoticed")
    for key, columns in unpromised.items():
        lines += wrap(f"{key}: {', '.join(columns)}", LINE_LENGTH, initial_indent=" " * 4, subsequent_indent=" " * 6)
    return "\n".join(cut(line, LINE_LENGTH) for line in lines)


def render_score(verdicts: list[Verdict]) -> str:
    """How many of the clauses that could be broken are noticed; rounded down, as 999 of 1,000 are not 100 %."""
    counts = Counter(verdict.state for verdict in verdicts)
    tried = counts["noticed"] + counts["unnoticed"]
    words = [f"{counts['noticed']} of {tried} noticed" + (f", {100 * counts['noticed'] // tried} %" if tried else "")]
    words += [f"{counts['already broken']} already broken"] if counts["already broken"] else []
    return "; ".join(words)
