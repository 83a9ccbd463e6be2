"""What each `op.…` call of some migrations did to the columns of a scratch database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_contract_components.data_assets._migrations import RecordedSteps
from data_contract_components.data_assets._query_postgres_helper import read_sql
from data_contract_components.detection._get_data_catalog import CONSTRAINT_COLUMNS
from data_contract_components.detection.migration_changes.changes import Place

# The attributes by which two states are compared, and their names in a row.
COLUMN_ATTRIBUTES = {key: key for key in ("data_type", *CONSTRAINT_COLUMNS, "identity_generation", "comment")}
TABLE_ATTRIBUTES = {"table_type": "table_type", "comment": "table_comment"}
# The table's oid and the column's number, which a rename does not change.
ColumnKey = tuple[int, int]
TableName = tuple[str, str]
Row = dict[str, Any]
# Reads from a row what is compared.
Reader = Callable[[Row], Any]

COLUMNS_SQL = read_sql(Path(__file__).with_name("columns.sql"))
VERSIONS_SQL = read_sql(Path(__file__).with_name("versions.sql"))


@dataclass(frozen=True)
class Step:
    """What one call did: the row before and after it of each column that it changed, None where there is none."""

    place: Place
    rows: dict[ColumnKey, tuple[Row | None, Row | None]]


def column_key_of(row: Row) -> ColumnKey:
    return row["table_oid"], row["column_number"]


def table_name_of(row: Row) -> TableName:
    return row["table_schema"], row["table_name"]


@dataclass
class Trace:
    """The columns of a database, first and last, and the steps between."""

    first: dict[ColumnKey, Row] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    last: dict[ColumnKey, Row] = field(default_factory=dict)

    @classmethod
    def from_steps(cls, recorded: RecordedSteps) -> Trace:
        """A trace from what a worker answers; each of its steps is the fields of a place and pairs of rows."""
        trace = cls({column_key_of(row): row for row in recorded.first})
        trace.last = dict(trace.first)
        for place, pairs in recorded.steps:
            rows = {column_key_of(before or after): (before, after) for before, after in pairs}
            for key, (_, after) in rows.items():
                trace.last.pop(key, None)
                if after:
                    trace.last[key] = after
            trace.steps.append(Step(Place(*place), rows))
        return trace

    def get_states(self) -> Iterator[tuple[ColumnKey, Row]]:
        """Every state of every column."""
        yield from self.first.items()
        for step in self.steps:
            yield from ((key, after) for key, (_, after) in step.rows.items() if after)

    def find_creation_of_table(self, oid: int) -> Place | None:
        if any(key[0] == oid for key in self.first):
            return None
        return next((step.place for step in self.steps if any(key[0] == oid for key in step.rows)), None)

    def find_change_of_table(self, oid: int, read: Reader) -> Place | None:
        """The last call that changed what `read` gives, or else the one that made the table."""
        place = self._find_last(
            lambda key, before, after: key[0] == oid and before and after and read(before) != read(after)
        )
        return place or self.find_creation_of_table(oid)

    def find_change_of_column(self, row: Row, read: Reader) -> Place | None:
        """The last call that changed what `read` gives, which may be the one that made the column."""
        return self._find_last(
            lambda key, before, after: (
                key == column_key_of(row) and after and (before is None or read(before) != read(after))
            )
        )

    def find_removal_of_table(self, names: set[TableName]) -> Place | None:
        """The last call after which a table has none of `names` any more."""
        return self._find_last(
            lambda _, before, after: (
                before and table_name_of(before) in names and not (after and table_name_of(after) in names)
            )
        )

    def find_removal_of_column(self, oid: int, names: set[str]) -> Place | None:
        """The last call after which a column of the table has none of `names` any more."""
        return self._find_last(
            lambda key, before, after: (
                key[0] == oid
                and before
                and before["column_name"] in names
                and not (after and after["column_name"] in names)
            )
        )

    def _find_last(self, did: Callable[[ColumnKey, Row | None, Row | None], object]) -> Place | None:
        """The last call for which `did` is true of a column's key and its rows before and after."""
        steps = (step for step in reversed(self.steps) for key, rows in step.rows.items() if did(key, *rows))
        return next((step.place for step in steps), None)
