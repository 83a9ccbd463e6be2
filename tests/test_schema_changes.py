import copy
import os
import random
import shutil
import tempfile
import types
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

from data_contract_components.data_assets._scratch_databases import ScratchDatabases
from data_contract_components.detection.migration_changes.changes import SchemaChange
from data_contract_components.detection.migration_changes.migrations import (
    CONFIG_PATH,
    MIGRATIONS_PATH,
    Migrations,
    run_migrations,
)
from data_contract_components.detection.migration_changes.schema_changes import (
    find_cause,
    find_schema_changes,
)
from tests import BINARIES, ENV_TEXT, ROOT, start_server

# The single ones rename in an edited revision what a later one drops or adds.
SEEDS = (*range(30), 147, 154, 166, 248, 253)
TYPES = {"smallint": "sa.SmallInteger()", "integer": "sa.Integer()", "bigint": "sa.BigInteger()", "text": "sa.Text()"}
NUMBERS = ("smallint", "integer", "bigint")
# A column is [name, type, whether it is nullable, comment]; an operation is its name and arguments; a revision is
# a list of operations, and a history a list of revisions.
Operation = tuple[Any, ...]
History = list[list[Operation]]
Tables = dict[str, dict[str, dict[str, Any]]]


class Model:
    """What a history makes of the tables, told without a database."""

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
        assert key in self.tables[table][name]
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


class Maker:
    """Makes up histories, the same from the same seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def name(self, beginning: str) -> str:
        return f"{beginning}_{self.random.randrange(12)}"

    def column(self) -> list[Any]:
        data_type = self.random.choice(list(TYPES))
        return [self.name("column"), data_type, self.random.random() < 0.7, self.random.choice([None, "One.", "Two."])]

    def operation(self, tables: dict[str, Any]) -> Operation:
        """An operation that may, or may not, be possible with these tables."""
        if not tables or self.random.random() < 0.25:
            return "create_table", self.name("table"), [self.column() for _ in range(self.random.randint(1, 4))]
        table = self.random.choice(list(tables))
        names = [name for name in tables[table] if name != "id"]
        kind = self.random.randrange(8)
        if kind == 0:
            return "drop_table", table
        if kind == 1:
            return "rename_table", table, self.name("table")
        if kind == 2 or not names:
            return "add_column", table, self.column()
        name = self.random.choice(names)
        if kind == 3:
            return "drop_column", table, name
        if kind == 4:
            return "rename_column", table, name, self.name("column")
        if kind == 5 and tables[table][name]["data_type"] in NUMBERS:
            return "alter_column", table, name, "data_type", self.random.choice(NUMBERS)
        if kind == 6:
            return "alter_column", table, name, "is_nullable", not tables[table][name]["is_nullable"]
        return "alter_column", table, name, "comment", self.random.choice([None, "One.", "Two.", "Three."])

    def extend(self, history: History, count: int) -> History:
        """The history with `count` further revisions."""
        for _ in range(count):
            history = [*history, []]
            while len(history[-1]) < self.random.randint(1, 4):
                longer = [*history[:-1], [*history[-1], self.operation(Model(history).tables)]]
                if is_possible(longer):
                    history = longer
        return history

    def edit(self, history: History) -> History:
        """The history with another operation in one of its revisions, or one more or less."""
        while True:
            edited = copy.deepcopy(history)
            revision = self.random.choice(edited)
            tables = [operation for operation in revision if operation[0] == "create_table"]
            if tables and self.random.random() < 0.3:
                old, new = self.random.choice(tables)[1], self.name("table")
                edited = [[self.in_table(new, *op) if op[1] == old else op for op in ops] for ops in edited]
            elif tables and self.random.random() < 0.8:
                columns = self.random.choice(tables)[2]
                position = self.random.randrange(len(columns))
                match self.random.randrange(5):
                    case 0:
                        columns.insert(position, self.column())
                    case 1:
                        del columns[position]
                    case 2:
                        columns[position] = [columns[position][0], *self.column()[1:]]
                    case _:
                        columns[position][0] = self.name("column")
            elif revision and self.random.random() < 0.5:
                del revision[self.random.randrange(len(revision))]
            else:
                revision.insert(0, self.operation(Model(history).tables))
            if is_possible(edited):
                return edited

    def in_table(self, table: str, name: str, _: str, *arguments: Any) -> Operation:
        return name, table, *arguments

    def base_and_head(self) -> tuple[History, History]:
        base = self.extend([], self.random.randint(1, 4))
        head = base
        for _ in range(self.random.choice((0, 1, 1, 2))):
            head = self.edit(head)
        if self.random.random() < 0.2:
            head = head[:-1]
        return base, self.extend(head, self.random.randint(0, 3))


def is_possible(history: History) -> bool:
    try:
        tables = Model(history).tables
    except (KeyError, AssertionError):
        return False
    # A type that PostgreSQL does not turn into the new one by itself.
    return all(column.get("data_type") in (None, *TYPES) for columns in tables.values() for column in columns.values())


def write_history(history: History, root: Path) -> None:
    directory = root / MIGRATIONS_PATH / "versions"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    (directory.parent / "env.py").write_text(ENV_TEXT)
    shutil.copy(ROOT / CONFIG_PATH, root / CONFIG_PATH)
    for number, revision in enumerate(history):
        lines = ["import sqlalchemy as sa", "from alembic import op", f"revision = 'r{number}'"]
        lines += [f"down_revision = {f'r{number - 1}' if number else None!r}", "def upgrade():", "    pass"]
        lines += [f"    {render_operation(*operation)}" for operation in revision]
        (directory / f"r{number}.py").write_text("\n".join(lines))


def apply_changes(tables: Tables, changes: list[SchemaChange]) -> Tables:
    """What `changes` make of `tables`."""
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
    def find_changes(self, scratch: ScratchDatabases, *sides: Migrations) -> list[SchemaChange]:
        traces, _ = run_migrations(scratch, *sides, ())
        return find_schema_changes(*traces, sides[1].paths, {})

    def test_the_base_and_the_changes_make_the_head_and_none_can_be_spared(self) -> None:
        url = start_server(types.SimpleNamespace(addCleanup=self.addCleanup), BINARIES["18"])
        self.enterContext(mock.patch.dict(os.environ, {"DATABASE_URL": url}))
        scratch = self.enterContext(ScratchDatabases())
        directory = Path(self.enterContext(tempfile.TemporaryDirectory()))
        for name in ("base", "head"):
            write_history([], directory / name)
        # One process a side: each of its jobs reads the files as they then are.
        sides = [self.enterContext(Migrations(directory / name, name)) for name in ("base", "head")]
        kinds: set[tuple[str, bool, bool]] = set()
        for seed in SEEDS:
            with self.subTest(seed=seed):
                base, head = Maker(seed).base_and_head()
                before, after = Model(base).facts(), Model(head).facts()
                for history, side in zip((base, head), sides, strict=True):
                    write_history(history, side.root_directory)
                changes = self.find_changes(scratch, *sides)
                kinds |= {(change.change, change.column_name is None, change.is_certain) for change in changes}
                # A column's type comes with facts that the model does not have.
                keys = ("data_type", "is_nullable", "comment")
                known = [c for c in changes if c.change not in ("changed", "replaced") or c.key in keys]
                self.assertEqual(apply_changes(before, known), after)
                for number, change in enumerate(known):
                    rest = known[:number] + known[number + 1 :]
                    self.assertTrue(makes_another(before, rest, after), change)
                replaced = {(c.table_name, c.column_name) for c in changes if c.change == "replaced"}
                self.assertEqual(replaced, self.find_replaced(base, head, changes))
                for change in changes:
                    self.assertIsNotNone(change.place, change)
                    if change.change == "renamed":
                        self.assertEqual(change.is_certain, self.is_the_same(Model(base), Model(head), changes, change))
        # Only a rename is ever uncertain, and of a table only the order of its columns is changed.
        self.assertEqual(len(kinds), 2 + 2 + 4 + 2 + 2, kinds)

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


class TestFindCause(unittest.TestCase):
    def change(self, change: Any, column_name: str | None, key: str | None = None) -> SchemaChange:
        return SchemaChange(change, "public", "t", column_name, key, None, None, True, (), None)

    def cause(self, changes: list[SchemaChange], column_name: str, key: str) -> SchemaChange | None:
        return find_cause(changes, "public", "t", column_name, key)

    def test_it_is_the_change_of_the_key_then_of_the_column_then_of_the_table(self) -> None:
        table = self.change("removed", None)
        column = self.change("renamed", "a", "column_name")
        key = self.change("changed", "a", "is_nullable")
        self.assertIs(self.cause([table, column, key], "a", "is_nullable"), key)
        self.assertIs(self.cause([table, column, key], "a", "data_type"), column)
        self.assertIs(self.cause([table, column, key], "b", "column_name"), table)

    def test_another_key_column_or_table_is_none(self) -> None:
        changes = [self.change("changed", "a", "is_nullable"), self.change("changed", None, "comment")]
        self.assertIsNone(self.cause(changes, "a", "data_type"))
        self.assertIsNone(self.cause(changes, "b", "is_nullable"))
        self.assertIsNone(find_cause([self.change("removed", None)], "other", "t", "a", "column_name"))


if __name__ == "__main__":
    unittest.main()
