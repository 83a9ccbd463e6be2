"""Runs the migrations of both compared sides on scratch databases, and records only what they do not share."""

import itertools
from collections.abc import Collection
from pathlib import Path

import pandas as pd

from data_contract_components.data_assets._migrations import Migrations, Recording
from data_contract_components.data_assets._query_postgres_helper import PostgresDB
from data_contract_components.data_assets._scratch_databases import ScratchDatabase, ScratchDatabases
from data_contract_components.detection._get_data_catalog import get_data_catalog
from data_contract_components.detection.migration_changes.migration_trace import COLUMNS_SQL, VERSIONS_SQL, Trace

# As the parameter of a prepared statement.
TRACED = Recording(COLUMNS_SQL % {"table_names": "$1", "table_schemas": "null"}, VERSIONS_SQL)
ALL_COLUMNS = {"table_names": None, "table_schemas": None}


def run_migrations(
    scratch: ScratchDatabases, base: Migrations, head: Migrations, tables: Collection[tuple[str, str]]
) -> tuple[tuple[Trace, Trace], tuple[pd.DataFrame, ...]]:
    """What base and head did after the revisions that they share, and the catalogs of `tables` that they built."""
    base_database, head_database = scratch.create(), scratch.create()
    _prepare_both(base, base_database, head, head_database)
    shared = _count_shared(base, head)
    if shared:
        base.begin(base_database, shared)
        head.begin(head_database, shared)
        base.end()
        head.end()
        # The same revisions may import or read other files, or another env.py may run them.
        if _read_columns(base_database) == _read_columns(head_database):
            # One is a clone of the other, so that a table that both have has the same oid.
            head_database = base_database if shared == len(base.paths) else scratch.create(base_database)
        else:
            shared = 0
            base_database, head_database = scratch.create(), scratch.create()
            _prepare_both(base, base_database, head, head_database)
    if base_database is head_database:
        base_df = get_data_catalog(PostgresDB(base_database.url), tables)
        head.begin(base_database, recording=TRACED)
        head_trace = Trace.from_steps(head.end())
        return (Trace(head_trace.first, [], head_trace.first), head_trace), (
            base_df,
            get_data_catalog(PostgresDB(base_database.url), tables),
        )
    base.begin(base_database, recording=TRACED)
    head.begin(head_database, recording=TRACED)
    traces = Trace.from_steps(base.end()), Trace.from_steps(head.end())
    databases = (base_database, head_database)
    return traces, tuple(get_data_catalog(PostgresDB(database.url), tables) for database in databases)


def _prepare_both(
    base: Migrations, base_database: ScratchDatabase, head: Migrations, head_database: ScratchDatabase
) -> None:
    """Both databases are what the histories begin on, and both sides know their revisions."""
    base.begin_reading(base_database)
    head.begin_reading(head_database)
    base.end_reading()
    head.end_reading()


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
    return sorted(columns_df.astype("string").fillna("").agg("\t".join, axis="columns"))
