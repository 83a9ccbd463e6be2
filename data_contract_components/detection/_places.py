"""Where something was done: questions to a trace of what migrations did, each answered by a call or by None."""

from collections.abc import Callable, Iterator
from typing import Any

from data_contract_components.detection._migration_trace import ColumnKey, Place, Row, Trace, column_key_of

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
