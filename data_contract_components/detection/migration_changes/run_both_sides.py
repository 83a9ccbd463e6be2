"""Runs the migrations of both compared sides on scratch databases, and records only what they do not share."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from data_contract_components.data_assets._migrations import Migrations, Recording
from data_contract_components.data_assets._query_postgres_helper import PostgresDB
from data_contract_components.data_assets._scratch_databases import ScratchDatabase, ScratchDatabases
from data_contract_components.detection.migration_changes.migration_trace import COLUMNS_SQL, VERSIONS_SQL, Trace

# As the parameter of a prepared statement.
TRACED = Recording(COLUMNS_SQL % {"table_names": "$1", "table_schemas": "null"}, VERSIONS_SQL)
ALL_COLUMNS = {"table_names": None, "table_schemas": None}


State = TypeVar("State")


def run_migrations(
    scratch: ScratchDatabases, base: Migrations, head: Migrations, read: Callable[[ScratchDatabase], State]
) -> tuple[tuple[Trace, Trace], tuple[State, State]]:
    """What base and head did after the revisions that they share, and what `read` gives of the databases they built."""
    base_database, head_database = scratch.create(), scratch.create()
    shared = _apply_shared(base, base_database, head, head_database)
    if shared and _read_columns(base_database) == _read_columns(head_database):
        # One is a clone of the other, so that a table that both have has the same oid.
        head_database = base_database if shared == len(base.paths) else scratch.create(base_database)
    elif shared:  # the same revisions import or read other files, or another env.py runs them
        base_database, head_database = scratch.create(), scratch.create()
        _apply_shared(base, base_database, head, head_database, may_share=False)
    is_base_built = base_database is head_database
    if is_base_built:
        base_state = read(base_database)
        if shared == len(head.paths):
            return (Trace(), Trace()), (base_state, base_state)
    else:
        base.begin(base_database, TRACED)
    head.begin(head_database, TRACED)
    head_trace = Trace.from_steps(head.end())
    base_trace = Trace(head_trace.first, [], head_trace.first)
    if not is_base_built:
        base_trace = Trace.from_steps(base.end())
        base_state = read(base_database)
    return (base_trace, head_trace), (base_state, read(head_database))


def _apply_shared(
    base: Migrations,
    base_database: ScratchDatabase,
    head: Migrations,
    head_database: ScratchDatabase,
    *,
    may_share: bool = True,
) -> int:
    """How many revisions are shared; each side has built them in its database, or else what its history begins on."""
    base.begin_reading(base_database)
    head.begin_reading(head_database)
    base.end_reading()
    head.end_reading()
    shared = _count_shared(base, head) if may_share else 0
    base.go_on(shared)
    head.go_on(shared)
    base.end()
    head.end()
    return shared


def _count_shared(base: Migrations, head: Migrations) -> int:
    """How many of the first revisions are byte for byte the same."""

    def is_same(pair: tuple[tuple[str, str], tuple[str, str]]) -> bool:
        paths = [Path(side.git_directory, path) for side, (_, path) in zip((base, head), pair, strict=True)]
        return pair[0] == pair[1] and paths[0].read_bytes() == paths[1].read_bytes()

    pairs = zip(base.paths.items(), head.paths.items(), strict=False)
    return sum(1 for _ in itertools.takewhile(is_same, pairs))


def _read_columns(database: ScratchDatabase) -> list[str]:
    """Every column with all that is compared, as text, which is the same in databases that were built alike."""
    columns_df = PostgresDB(database.url).query(COLUMNS_SQL, ALL_COLUMNS).drop(columns=["table_catalog", "table_oid"])
    for name in ("table_parts", "column_parts"):
        # Its key and its definition: the version of a part, and the name of a partition, have oids.
        columns_df[name] = [sorted(f"{part[0]} {part[2]}" for part in parts) for parts in columns_df[name]]
    return sorted(columns_df.astype("string").fillna("").agg("\t".join, axis="columns"))
