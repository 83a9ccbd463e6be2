"""What each `op.…` call of some migrations did to the columns of a scratch database."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_contract_components.data_assets._migrations import RecordedSteps
from data_contract_components.data_assets._query_postgres_helper import read_sql
from data_contract_components.detection._get_data_catalog import CatalogColumn
from data_contract_components.detection.migration_changes.changes import Place

# The table's oid and the column's number, which a rename does not change.
ColumnKey = tuple[int, int]
TableName = tuple[str, str]
# Reads from a column what is compared.
Reader = Callable[["TracedColumn"], Any]
COLUMNS_SQL = read_sql(Path(__file__).with_name("columns.sql"))
VERSIONS_SQL = read_sql(Path(__file__).with_name("versions.sql"))


@dataclass(frozen=True, slots=True)
class TracedColumn(CatalogColumn):
    """A column at one time, as columns.sql shows it. A part is a list of its key, name, definition and version."""

    table_comment: str | None
    comment: str | None
    identity_generation: str | None
    table_parts: list[list[Any]]
    column_parts: list[list[Any]]
    table_oid: int
    column_number: int

    @property
    def key(self) -> ColumnKey:
        return self.table_oid, self.column_number

    @property
    def table(self) -> TableName:
        return self.table_schema, self.table_name


@dataclass(frozen=True)
class Step:
    """What one call did: before and after it, each column that it changed, None where there is none."""

    place: Place
    columns: dict[ColumnKey, tuple[TracedColumn | None, TracedColumn | None]]


@dataclass
class Trace:
    """The columns of a database, first and last, and the steps between."""

    first: dict[ColumnKey, TracedColumn] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    last: dict[ColumnKey, TracedColumn] = field(default_factory=dict)

    @classmethod
    def from_steps(cls, recorded: RecordedSteps) -> Trace:
        """A trace from what a worker answers; each of its steps is the fields of a place and pairs of rows."""
        trace = cls({column.key: column for column in (TracedColumn(**row) for row in recorded.first)})
        trace.last = dict(trace.first)
        for place, pairs in recorded.steps:
            step = Step(Place(*place), {})
            for row, new_row in pairs:
                key = (row or new_row)["table_oid"], (row or new_row)["column_number"]
                before, after = trace.last.pop(key, None), TracedColumn(**new_row) if new_row else None
                step.columns[key] = before, after
                if after:
                    trace.last[key] = after
            trace.steps.append(step)
        return trace

    def find_creation_of_table(self, oid: int) -> Place | None:
        if any(key[0] == oid for key in self.first):
            return None
        return next((step.place for step in self.steps if any(key[0] == oid for key in step.columns)), None)

    def find_change_of_table(self, oid: int, read: Reader) -> Place | None:
        """The last call that changed what `read` gives, or else the one that made the table."""
        place = self._find_last(
            lambda key, before, after: key[0] == oid and before and after and read(before) != read(after)
        )
        return place or self.find_creation_of_table(oid)

    def find_change_of_column(self, column: TracedColumn, read: Reader) -> Place | None:
        """The last call that changed what `read` gives, which may be the one that made the column."""
        return self._find_last(
            lambda key, before, after: key == column.key and after and (before is None or read(before) != read(after))
        )

    def find_removal(self, read: Reader, values: Collection[Any]) -> Place | None:
        """The last call after which `read` gives none of `values` any more for a column."""
        return self._find_last(
            lambda _, before, after: before and read(before) in values and not (after and read(after) in values)
        )

    def _find_last(self, did: Callable[[ColumnKey, TracedColumn | None, TracedColumn | None], object]) -> Place | None:
        """The last call for which `did` is true of the key of a column, and of that column before and after."""
        steps = (step for step in reversed(self.steps) for key, pair in step.columns.items() if did(key, *pair))
        return next((step.place for step in steps), None)
