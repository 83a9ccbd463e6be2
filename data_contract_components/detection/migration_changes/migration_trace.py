"""What each `op.…` call of some migrations did to the columns of a scratch database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_contract_components.detection._get_data_catalog import CONSTRAINT_COLUMNS
from data_contract_components.detection._read_sql import read_sql
from data_contract_components.detection.migration_changes.changes import Place

# What two states of a column are compared by; those of a table have a name of their own.
COLUMN_FACTS = {key: key for key in ("data_type", *CONSTRAINT_COLUMNS, "identity_generation", "comment")}
TABLE_FACTS = {"table_type": "table_type", "comment": "table_comment"}
# A column keeps its number, and its table the oid, whatever they are called.
ColumnKey = tuple[int, int]
Row = dict[str, Any]

COLUMNS_SQL = read_sql(Path(__file__).with_name("columns.sql"))
VERSIONS_SQL = read_sql(Path(__file__).with_name("versions.sql"))


@dataclass(frozen=True)
class Step:
    """What one call did: of each column that is another now, the row before and after it, None where there is none."""

    place: Place
    rows: dict[ColumnKey, tuple[Row | None, Row | None]]


@dataclass
class Trace:
    """The columns of a database, first and last, and the steps between."""

    first: dict[ColumnKey, Row] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    last: dict[ColumnKey, Row] = field(default_factory=dict)

    @classmethod
    def from_rows(cls, first: list[Row], steps: list[Any]) -> Trace:
        """A trace from what a worker answers; each of its steps is the fields of a place and pairs of rows."""
        trace = cls({column_key_of(row): row for row in first})
        trace.last = dict(trace.first)
        for place, pairs in steps:
            rows = {column_key_of(before or after): (before, after) for before, after in pairs}
            for key, (_, after) in rows.items():
                trace.last.pop(key, None)
                if after:
                    trace.last[key] = after
            trace.steps.append(Step(Place(*place), rows))
        return trace


def column_key_of(row: Row) -> ColumnKey:
    return row["table_oid"], row["column_number"]


TableName = tuple[str, str]
# What of a row a question is about.
Reader = Callable[[Row], Any]


def get_states(trace: Trace) -> Iterator[tuple[ColumnKey, Row]]:
    """Every row that a column ever was."""
    yield from trace.first.items()
    for step in trace.steps:
        for key, (_, after) in step.rows.items():
            if after:
                yield key, after


def table_name_of(row: Row) -> TableName:
    return row["table_schema"], row["table_name"]


def _find_last(trace: Trace, did: Callable[[ColumnKey, Row | None, Row | None], bool]) -> Place | None:
    """The last call for which `did` is true of a column's key and its rows before and after."""
    steps = (step for step in reversed(trace.steps) for key, rows in step.rows.items() if did(key, *rows))
    return next((step.place for step in steps), None)


def find_creation_of_table(trace: Trace, oid: int) -> Place | None:
    if any(key[0] == oid for key in trace.first):
        return None
    return next((step.place for step in trace.steps if any(key[0] == oid for key in step.rows)), None)


def find_change_of_column(trace: Trace, row: Row, read: Reader) -> Place | None:
    """The call that gave it this value of `read`; it may be the one that made the column."""
    return _find_last(
        trace,
        lambda key, before, after: (
            key == column_key_of(row) and after is not None and (before is None or read(before) != read(after))
        ),
    )


def find_change_of_table(trace: Trace, oid: int, read: Reader) -> Place | None:
    place = _find_last(
        trace, lambda key, before, after: key[0] == oid and bool(before and after and read(before) != read(after))
    )
    return place or find_creation_of_table(trace, oid)


def find_removal_of_table(trace: Trace, names: set[TableName]) -> Place | None:
    return _find_last(
        trace,
        lambda _, before, after: bool(
            before and table_name_of(before) in names and not (after and table_name_of(after) in names)
        ),
    )


def find_removal_of_column(trace: Trace, oid: int, names: set[str]) -> Place | None:
    return _find_last(
        trace,
        lambda key, before, after: bool(
            key[0] == oid
            and before
            and before["column_name"] in names
            and not (after and after["column_name"] in names)
        ),
    )
