import tomllib
import unittest
from contextlib import closing
from typing import Any

import psycopg2
from psycopg2.extensions import AsIs

from data_contract_components.contract_definition._json_text import render_difference
from data_contract_components.detection.migration_changes.changes import Place, SchemaChange
from data_contract_components.detection.migration_changes.migration_trace import (
    COLUMNS_SQL,
    VERSIONS_SQL,
    ColumnKey,
    Step,
    Trace,
    TracedColumn,
)
from data_contract_components.detection.migration_changes.schema_changes import find_schema_changes
from tests import BINARIES, read_data, start_server

PARTS = tomllib.loads(read_data("table_parts.toml"))


class Database:
    """The tables of table_parts.sql, on which each statement is tried and undone."""

    def __init__(self, connection: Any) -> None:
        self.connection, self.cursor = connection, connection.cursor()
        self.cursor.execute(read_data("table_parts.sql"))
        self.cursor.execute(f"prepare versions as {VERSIONS_SQL}")
        parameters = {"table_names": AsIs("$1"), "table_schemas": None}
        self.cursor.execute(f"prepare columns (text[]) as {COLUMNS_SQL}", parameters)
        connection.commit()
        self.versions, self.columns = self.read_versions(), self.read_columns()

    def read_versions(self) -> list[Any]:
        self.cursor.execute("execute versions")
        return list(self.cursor.fetchall())

    def read_columns(self) -> dict[ColumnKey, TracedColumn]:
        self.cursor.execute("execute columns (null)")
        names = [column.name for column in self.cursor.description or ()]
        rows = (dict(zip(names, values, strict=True)) for values in self.cursor.fetchall())
        columns = [TracedColumn(**row) for row in rows]
        return {column.key: column for column in columns}

    def try_out(self, statement: str) -> tuple[list[SchemaChange], bool]:
        """The changes, and whether VERSIONS_SQL notices that there are some."""
        try:
            self.cursor.execute(statement)
            versions, columns = self.read_versions(), self.read_columns()
        finally:
            self.connection.rollback()
        changed = {key: (self.columns.get(key), columns.get(key)) for key in self.columns.keys() | columns}
        step = Step(Place("r.py", 1, "r", statement), {key: of for key, of in changed.items() if of[0] != of[1]})
        traces = Trace(self.columns, [], self.columns), Trace(self.columns, [step], columns)
        changes = find_schema_changes(*traces, {}, {})
        return changes, versions != self.versions


def brief(change: SchemaChange) -> str:
    name = change.table_name + (f".{change.column_name}" if change.column_name else "")
    if change.change == "changed":
        return f"{name} {change.key} {render_difference(change.before, change.after)}"
    return f"{name} {change.change}" + (f" to {change.after}" if change.change == "renamed" else "")


class TestParts(unittest.TestCase):
    maxDiff = None

    def test_a_statement_is_reported_if_and_only_if_readers_or_writers_can_notice_it(self) -> None:
        for version, binaries in BINARIES.items():
            with closing(psycopg2.connect(start_server(self, binaries))) as connection:
                database = Database(connection)
                for statement, expected in (
                    PARTS["noticed"] | PARTS["renamed"] | {statement: [] for statement in PARTS["harmless"]}
                ).items():
                    with self.subTest(statement, version=version):
                        changes, is_noticed = database.try_out(statement)
                        self.assertEqual([brief(change) for change in changes], expected)
                        self.assertTrue(is_noticed or not expected)
                        self.assertEqual({change.place and change.place.line for change in changes} - {1}, set())
                for statement, expected in (
                    PARTS["partly"] | (PARTS["partly_from_18"] if version == "18" else {})
                ).items():
                    with self.subTest(statement, version=version):
                        changes, is_noticed = database.try_out(statement)
                        self.assertLessEqual(set(expected), {brief(change) for change in changes})
                        self.assertTrue(is_noticed)
