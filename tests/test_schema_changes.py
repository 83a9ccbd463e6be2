import copy
import json
import os
import shutil
import tempfile
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

from hypothesis import example, given
from hypothesis import strategies as st

from data_contract_components.data_assets._migrations import Migrations
from data_contract_components.data_assets._scratch_databases import ScratchDatabases
from data_contract_components.detection.migration_changes.changes import SchemaChange
from data_contract_components.detection.migration_changes.run_both_sides import run_migrations
from data_contract_components.detection.migration_changes.schema_changes import find_schema_changes
from data_contract_components.settings import Settings
from tests import BINARIES, ENV_TEXT, ROOT, VERSIONS, read_data, start_server
from tests.random_tables import random_settings
from tests.repositories import CONFIG

TYPES = {"smallint": "sa.SmallInteger()", "integer": "sa.Integer()", "bigint": "sa.BigInteger()", "text": "sa.Text()"}
NUMBERS = ("smallint", "integer", "bigint")
# A column is [name, type, whether it is nullable, comment]; an operation is its name and arguments; a revision is
# a list of operations, and a history a list of revisions.
Operation = list[Any]
History = list[list[Operation]]
Tables = dict[str, dict[str, dict[str, Any]]]

TABLE_NAMES = st.integers(0, 11).map("table_{}".format)
COLUMN_NAMES = st.integers(0, 11).map("column_{}".format)
COMMENTS = st.sampled_from([None, "One.", "Two.", "Three."])
COLUMNS = st.tuples(COLUMN_NAMES, st.sampled_from([*TYPES]), st.booleans(), COMMENTS).map(list)
ARGUMENTS_OF_TABLES: dict[str, st.SearchStrategy[tuple[Any, ...]]] = {
    "add_column": st.tuples(COLUMNS),
    "drop_table": st.tuples(),
    "rename_table": st.tuples(TABLE_NAMES),
}
ARGUMENTS_OF_COLUMNS: dict[str, st.SearchStrategy[tuple[Any, ...]]] = {
    "drop_column": st.tuples(),
    "rename_column": st.tuples(COLUMN_NAMES),
    "alter_column": st.one_of(
        st.tuples(st.just("data_type"), st.sampled_from(NUMBERS)),
        st.tuples(st.just("is_nullable"), st.booleans()),
        st.tuples(st.just("comment"), COMMENTS),
    ),
}
OPERATIONS = ["create_table", "create_table", *ARGUMENTS_OF_TABLES, *ARGUMENTS_OF_COLUMNS]


class Model:
    """The tables after a history, found out without a database."""

    def __init__(self, history: History) -> None:
        self.tables: dict[str, dict[str, dict[str, Any]]] = {}
        # Every name that a table or column, once made, has had.
        self.names: list[set[str]] = []
        for operation in (operation for revision in history for operation in revision):
            getattr(self, operation[0])(*operation[1:])

    def facts(self) -> Tables:
        return {
            table: {
                name: {key: fact for key, fact in column.items() if key != "id"}
                for name, column in columns.items()
                if name != "id"
            }
            for table, columns in self.tables.items()
        }

    def new(self, name: str) -> int:
        self.names.append({name})
        return len(self.names) - 1

    def create_table(self, table: str, columns: list[list[Any]]) -> None:
        assert table not in self.tables
        self.tables[table] = {"id": {"id": self.new(table)}}
        for column in columns:
            self.add_column(table, column)

    def drop_table(self, table: str) -> None:
        del self.tables[table]

    def rename_table(self, table: str, new: str) -> None:
        assert new not in self.tables
        self.tables[new] = self.tables.pop(table)
        self.names[self.tables[new]["id"]["id"]].add(new)

    def add_column(self, table: str, column: list[Any]) -> None:
        name, data_type, is_nullable, comment = column
        assert name not in self.tables[table]
        facts = {"data_type": data_type, "is_nullable": is_nullable, "comment": comment}
        self.tables[table][name] = {"id": self.new(name), **facts}

    def drop_column(self, table: str, name: str) -> None:
        del self.tables[table][name]

    def rename_column(self, table: str, name: str, new: str) -> None:
        assert new not in self.tables[table]
        self.tables[table][new] = self.tables[table].pop(name)
        self.names[self.tables[table][new]["id"]].add(new)

    def alter_column(self, table: str, name: str, key: str, value: Any) -> None:
        # PostgreSQL turns no text into a number by itself.
        assert key != "data_type" or self.tables[table][name][key] in NUMBERS
        self.tables[table][name][key] = value


def render_operation(name: str, *arguments: Any) -> str:
    def column(column: list[Any]) -> str:
        return f"sa.Column({column[0]!r}, {TYPES[column[1]]}, nullable={column[2]}, comment={column[3]!r})"

    match name, arguments:
        case "create_table", (table, columns):
            first = "sa.Column('id', sa.Integer())"
            return f"op.create_table({table!r}, {', '.join([first, *map(column, columns)])})"
        case "add_column", (table, new_column):
            return f"op.add_column({table!r}, {column(new_column)})"
        case "rename_column", (table, old, new):
            return f"op.alter_column({table!r}, {old!r}, new_column_name={new!r})"
        case "alter_column", (table, name, "data_type", data_type):
            return f"op.alter_column({table!r}, {name!r}, type_={TYPES[data_type]})"
        case "alter_column", (table, name, "is_nullable", is_nullable):
            return f"op.alter_column({table!r}, {name!r}, nullable={is_nullable})"
        case "alter_column", (table, name, "comment", comment):
            return f"op.alter_column({table!r}, {name!r}, comment={comment!r})"
    return f"op.{name}({', '.join(map(repr, arguments))})"


@st.composite
def bases_and_heads(draw: st.DrawFn) -> tuple[History, History]:
    """A history, and a copy of it with edited and further revisions."""
    base = _extend(draw, [], draw(st.integers(1, 4)))
    head = base
    for _ in range(draw(st.sampled_from([0, 1, 1, 2]))):
        head = _edit(draw, head)
    if draw(st.integers(0, 4)) == 4:
        head = head[:-1]
    return base, _extend(draw, head, draw(st.integers(0, 3)))


def _extend(draw: st.DrawFn, history: History, count: int) -> History:
    for _ in range(count):
        history = [*history, []]
        for _ in range(draw(st.integers(1, 4))):
            longer = [*history[:-1], [*history[-1], _draw_operation(draw, Model(history).tables)]]
            history = longer if is_possible(longer) else history
    return history


def _edit(draw: st.DrawFn, history: History) -> History:
    """The history with an operation of one revision changed, added or left out, where that is possible."""
    edited = copy.deepcopy(history)
    revision = draw(st.sampled_from(edited))
    creations = [operation for operation in revision if operation[0] == "create_table" and operation[2]]
    kind = draw(st.sampled_from(["column", "column", "table", "table", "less", "more"]))
    if creations and kind == "column":
        columns = draw(st.sampled_from(creations))[2]
        position = draw(st.integers(0, len(columns) - 1))
        (name, *facts), (new_name, *new_facts) = columns[position], draw(COLUMNS)
        renamed, changed, added = [new_name, *facts], [name, *new_facts], [new_name, *new_facts]
        edits = [[renamed], [renamed], [changed], [added, columns[position]], []]
        columns[position : position + 1] = draw(st.sampled_from(edits))
    elif creations and kind == "table":
        old, new = draw(st.sampled_from(creations))[1], draw(TABLE_NAMES)
        edited = [[[name, new if table == old else table, *rest] for name, table, *rest in ops] for ops in edited]
    elif revision and kind == "less":
        revision.remove(draw(st.sampled_from(revision)))
    else:
        revision.insert(0, _draw_operation(draw, Model(history).tables))
    return edited if is_possible(edited) else history


def _draw_operation(draw: st.DrawFn, tables: Tables) -> Operation:
    """An operation that may, or may not, be possible with these tables."""
    name = draw(st.sampled_from(OPERATIONS))
    if name == "create_table" or not tables:
        return ["create_table", draw(TABLE_NAMES), draw(st.lists(COLUMNS, min_size=1, max_size=4))]
    table = draw(st.sampled_from([*tables]))
    columns = [column for column in tables[table] if column != "id"]
    if name in ARGUMENTS_OF_TABLES:
        return [name, table, *draw(ARGUMENTS_OF_TABLES[name])]
    if not columns:
        return ["add_column", table, draw(COLUMNS)]
    return [name, table, draw(st.sampled_from(columns)), *draw(ARGUMENTS_OF_COLUMNS[name])]


def is_possible(history: History) -> bool:
    try:
        Model(history)
    except (KeyError, AssertionError):
        return False
    return True


def write_history(history: History, root: Path) -> None:
    directory = root / VERSIONS
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    (directory.parent / "env.py").write_text(ENV_TEXT)
    shutil.copy(ROOT / CONFIG, root / CONFIG)
    for number, revision in enumerate(history):
        lines = ["import sqlalchemy as sa", "from alembic import op", f"revision = 'r{number}'"]
        lines += [f"down_revision = {f'r{number - 1}' if number else None!r}", "def upgrade():", "    pass"]
        lines += [f"    {render_operation(*operation)}" for operation in revision]
        (directory / f"r{number}.py").write_text("\n".join(lines))


def apply_changes(tables: Tables, changes: list[SchemaChange]) -> Tables:
    """`tables` after `changes`."""
    tables = copy.deepcopy(tables)
    of_columns = [change for change in changes if change.column_name]
    of_tables = [change for change in changes if not change.column_name]
    for change in of_columns:
        if change.change == "changed":
            tables[change.table_name][str(change.column_name)][str(change.key)] = change.after
        if change.change == "removed":
            del tables[change.table_name][str(change.column_name)]
    renamed = {(c.table_name, c.column_name): c.after for c in of_columns if c.change == "renamed"}
    tables = {
        table: {renamed.pop((table, name), name): facts for name, facts in columns.items()}
        for table, columns in tables.items()
    }
    assert not renamed
    for change in of_tables:
        if change.change == "removed":
            del tables[change.table_name]
    renamed_tables = {change.table_name: change.after for change in of_tables if change.change == "renamed"}
    tables = {renamed_tables.get(table, table): columns for table, columns in tables.items()}
    for change in changes:
        if change.change == "added" and change.column_name is None:
            assert change.table_name not in tables
            columns = change.after["columns"]
            tables[change.table_name] = {name: to_facts(facts) for name, facts in columns.items() if name != "id"}
    for change in of_columns:
        if change.change == "added":
            assert change.column_name not in tables[change.table_name]
            tables[change.table_name][str(change.column_name)] = to_facts(change.after)
    return tables


def to_facts(facts: dict[str, Any]) -> dict[str, Any]:
    return {key: facts.get(key) for key in ("data_type", "is_nullable", "comment")}


class TestFindSchemaChanges(unittest.TestCase):
    def find_changes(self, scratch: ScratchDatabases, base: Migrations, head: Migrations) -> list[SchemaChange]:
        traces, _ = run_migrations(scratch, base, head, lambda _: None)
        return find_schema_changes(*traces, head.paths, {})

    def test_the_changes_turn_the_base_into_the_head_and_each_of_them_is_needed(self) -> None:
        url = start_server(self, BINARIES["18"])
        self.enterContext(mock.patch.dict(os.environ, {"DATABASE_URL": url}))
        scratch = self.enterContext(ScratchDatabases())
        directory = Path(self.enterContext(tempfile.TemporaryDirectory()))
        for name in ("base", "head"):
            write_history([], directory / name)
        # One process per side: each of its jobs reads the files as they then are.
        sides = [
            self.enterContext(Migrations(Settings(directory / name, directory / name), name))
            for name in ("base", "head")
        ]
        kinds: set[tuple[str, bool, bool]] = set()

        @random_settings(max_examples=40)
        @given(bases_and_heads())
        def check(histories: tuple[History, History]) -> None:
            for history, side in zip(histories, sides, strict=True):
                write_history(history, side.git_directory)
            changes = self.find_changes(scratch, *sides)
            kinds.update((change.change, change.column_name is None, change.is_certain) for change in changes)
            self.check_changes(*histories, changes)

        for histories in json.loads(read_data("schema_histories.json")):
            check = example(histories)(check)
        check()
        # Only a rename is ever uncertain, and of a table only the order of its columns is changed.
        self.assertEqual(len(kinds), 2 + 2 + 4 + 2 + 2, kinds)

    def check_changes(self, base: History, head: History, changes: list[SchemaChange]) -> None:
        before, after = Model(base).facts(), Model(head).facts()
        # A column's type comes with facts that the model does not have.
        keys = ("data_type", "is_nullable", "comment")
        known = [c for c in changes if c.change not in ("changed", "replaced") or c.key in keys]
        self.assertEqual(apply_changes(before, known), after)
        for number, change in enumerate(known):
            self.assertTrue(makes_another(before, known[:number] + known[number + 1 :], after), change)
        replaced = {(c.table_name, c.column_name) for c in changes if c.change == "replaced"}
        self.assertEqual(replaced, self.find_replaced(base, head, changes))
        for change in changes:
            self.assertIsNotNone(change.place and change.place.revision, change)
            if change.change == "renamed":
                self.assertEqual(change.is_certain, self.is_the_same(Model(base), Model(head), changes, change))

    def find_replaced(self, base: History, head: History, changes: list[SchemaChange]) -> set[tuple[str, str | None]]:
        """The tables and columns whose name the head's own revisions gave to another one."""
        before, between, after = (Model(history).tables for history in (base, head[: len(base)], head))
        tables = {c.table_name: c.after for c in changes if c.change == "renamed" and c.column_name is None}
        replaced: set[tuple[str, str | None]] = set()
        for table, columns in before.items():
            new = after.get(tables.get(table, table), {"id": {}})
            if table in between and table in after and between[table]["id"] != after[table]["id"]:
                replaced.add((table, None))
            for old in between.values():
                if old["id"] == new["id"]:
                    common = (columns.keys() & old.keys() & new.keys()) - {"id"}
                    replaced |= {(table, name) for name in common if old[name]["id"] != new[name]["id"]}
        return replaced

    def is_the_same(self, base: Model, head: Model, changes: list[SchemaChange], change: SchemaChange) -> bool:
        """Whether what is renamed had one name on both sides at some time."""
        tables = {c.table_name: c.after for c in changes if c.change == "renamed" and c.column_name is None}
        columns, new_columns = (
            base.tables[change.table_name],
            head.tables[tables.get(change.table_name, change.table_name)],
        )
        name, new_name = ("id", "id") if change.column_name is None else (change.before, change.after)
        return not base.names[columns[name]["id"]].isdisjoint(head.names[new_columns[new_name]["id"]])


def makes_another(before: Tables, changes: list[SchemaChange], after: Tables) -> bool:
    try:
        return apply_changes(before, changes) != after
    except (KeyError, AssertionError):
        return True


if __name__ == "__main__":
    unittest.main()
