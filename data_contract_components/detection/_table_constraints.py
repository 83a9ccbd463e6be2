"""The constraints of a table in the catalog, and which promises of the whole table they do not keep."""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from data_contract_components.contract_definition.contract_spec import TableSchema
from data_contract_components.contract_definition.table_lists import (
    TABLE_LISTS,
    find_listed,
    get_entries,
    identify_entry,
    make_entry_key,
)

# The contract's keys of the kinds of constraints. No key is for an exclusion constraint.
KEYS = {"PRIMARY KEY": "primaryKey", "UNIQUE": "unique", "FOREIGN KEY": "foreignKeys", "CHECK": "checks"}


class BrokenClause(NamedTuple):
    """What a Violation of the whole table has."""

    key: str
    expected: Any
    found: Any
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class TableConstraint:
    """A constraint of a table, or a unique index.

    `kind` is one of KEYS, or "EXCLUDE". `definition` is the condition of a CHECK, or what no contract can list: an
    exclusion constraint, or a unique index with a condition or on an expression. `reason` is why PostgreSQL does not
    enforce it for every row, `refuses_rows` whether it refuses new rows nevertheless.
    """

    kind: str
    name: str
    columns: list[str]
    references: dict[str, Any] | None
    definition: str | None
    reason: str | None
    refuses_rows: bool

    @property
    def key(self) -> str | None:
        """The key under which a contract lists it; None where none can."""
        return None if self.kind == "UNIQUE" and self.definition else KEYS.get(self.kind)

    @property
    def value(self) -> Any:
        """What a contract has there, in a list under most keys."""
        if self.kind == "FOREIGN KEY":
            return {"columns": self.columns, "references": self.references}
        return self.columns if self.definition is None else self.definition

    @property
    def identity(self) -> Hashable:
        """Equal to that of an entry of a contract that promises the same."""
        return identify_entry(self.key, self.value) if self.key else None


def find_broken_clauses(schema: TableSchema, constraints: list[TableConstraint]) -> Iterator[BrokenClause]:
    """The promises of the whole table that its constraints do not keep."""
    listed = find_listed(schema)
    if "primaryKey" in schema:
        yield from _compare_primary_key(schema["primaryKey"], constraints)
    for key in TABLE_LISTS:
        of_key = [constraint for constraint in constraints if constraint.key == key]
        kept = {constraint.identity for constraint in of_key if constraint.reason is None}
        for index, expected in enumerate(get_entries(schema, key)):
            identity = identify_entry(key, expected)
            if identity not in kept:
                others = [c.value for c in of_key if c.identity in kept - listed and _is_similar(c, expected)]
                reason = next((constraint.reason for constraint in of_key if constraint.identity == identity), None)
                yield BrokenClause(make_entry_key(key, index), expected, others or None, reason)
    if not schema.get("additionalConstraints", True):
        others = [c for c in constraints if c.refuses_rows and c.kind != "PRIMARY KEY" and c.identity not in listed]
        # A constraint and an index may say the same.
        for constraint in {str(constraint.value): constraint for constraint in others}.values():
            found = {constraint.key: constraint.value} if constraint.key else constraint.value
            yield BrokenClause("additionalConstraints", False, found)


def _compare_primary_key(expected: list[str] | None, constraints: list[TableConstraint]) -> Iterator[BrokenClause]:
    keys = [constraint for constraint in constraints if constraint.key == "primaryKey"]
    found = next((constraint.columns for constraint in keys if constraint.reason is None), None)
    if found != expected:
        reason = None if expected is None else next((constraint.reason for constraint in keys), None)
        yield BrokenClause("primaryKey", expected, found, reason)


def _is_similar(constraint: TableConstraint, expected: Any) -> bool:
    """Whether it may be what was promised, after a change: it is of one of the columns."""
    columns = expected["columns"] if isinstance(expected, dict) else expected
    return any(name in columns for name in constraint.columns)
