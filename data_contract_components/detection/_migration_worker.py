"""Runs the migrations of one checkout on scratch databases: a program of its own, which _migrations.py starts.

It imports nothing of data_contract_components, as that name belongs to the checkout whose migrations run here. A
command is a line of JSON on one descriptor, its answer a line of JSON on another.
"""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import inspect
import itertools
import json
import os
import queue
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import psycopg2
from alembic.config import Config
from alembic.operations import BatchOperations, MigrateOperation
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, MigrationStep
from alembic.script import Script, ScriptDirectory
from sqlalchemy import create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool, Pool

STATEMENT_LENGTH = 120
# The name is made up by us, so that no other server has it; the oid tells apart what somebody has named like it.
DATABASE_SQL = """
select current_database()::text, (select oid::bigint from pg_catalog.pg_database where datname = current_database())
"""
Key = tuple[int, int]
Values = list[Any]


class WrongDatabaseError(Exception):
    """A connection leads to another database than the scratch database; no statement was sent over it."""


class LostRevisionsError(Exception):
    """Alembic's table does not hold the revisions that ran: what they did was rolled back."""


class Worker:
    """The migrations of the checkout at `root`, as `config_path` describes them to alembic."""

    def __init__(self, root: Path, config_path: Path) -> None:
        self.root, self._config_path = root, config_path
        self.opened_paths: set[str] = set()
        self._database: tuple[str, int] | None = None
        self._url = ""
        self._script: ScriptDirectory | None = None
        self._current: Script | None = None
        self._connections: list[Any] = []

    def use_database(self, url: str, database: list[Any], variables: dict[str, str]) -> None:
        """From now on, every connection has to lead to this database, and the environment does."""
        self._url, self._database = url, (database[0], database[1])
        os.environ.update(variables)

    def ensure_database(self, connection: Any, *_: Any) -> None:
        """Nothing but the scratch database is reached by `connection`, of any driver."""
        self._connections.append(connection)
        with contextlib.closing(connection.cursor()) as cursor:
            cursor.execute(DATABASE_SQL)
            found = tuple(cursor.fetchone())
        connection.rollback()
        if found != self._database:
            connection.close()
            raise WrongDatabaseError(f'the connection leads to the database "{found[0]}"')

    def load(self) -> dict[str, Any]:
        self._script = ScriptDirectory.from_config(self._get_config())
        revisions = list(self._script.walk_revisions())[::-1]
        return {
            "revisions": [[revision.revision, self._relative(revision.path)] for revision in revisions],
            "heads": sorted(self._script.get_heads()),
        }

    def apply(self, count: int | None, recorder_texts: dict[str, Any] | None) -> dict[str, Any]:
        """The next `count` revisions (None: all) are applied; with `recorder_texts`, what each call of them did."""
        script, config = self._script, self._get_config()
        assert script is not None
        trace: dict[str, Any] = {"first": [], "steps": [], "last": []}
        expected_heads: set[str] = set()
        options: dict[str, Any] = {}

        def get_steps(heads: tuple[str, ...], context: MigrationContext) -> Iterator[MigrationStep]:
            assert context.connection is not None
            options.update(version_table=context.version_table, version_table_schema=context.version_table_schema)
            recorder = Recorder(context, self.root, recorder_texts, trace) if recorder_texts else None
            applied = set(script.iterate_revisions(heads, "base")) if heads else set()
            revisions = [revision for revision in script.walk_revisions() if revision not in applied][::-1][:count]
            applied.update(revisions)
            expected_heads.update(revision.revision for revision in applied)
            expected_heads.difference_update(itertools.chain(*(rev._all_down_revisions for rev in applied)))
            for revision in revisions:
                self._current = revision
                if recorder:
                    recorder.begin(revision)
                yield MigrationStep.upgrade_from_script(script.revision_map, revision)
                if recorder:
                    recorder.end()
            self._current = None
            if recorder:
                trace["last"] = recorder.last_rows()

        # Some env.py take a connection from here; alembic's documentation, "Sharing a Connection".
        engine = create_engine("postgresql+psycopg2://", creator=self._connect, poolclass=NullPool)
        try:
            with engine.connect() as connection:
                config.attributes["connection"] = connection
                with EnvironmentContext(config, script, fn=get_steps, destination_rev="head"):
                    script.run_env()
                if connection.in_transaction():
                    connection.commit()
            self._ensure_heads(expected_heads, options)
        finally:
            for open_connection in self._connections:
                with contextlib.suppress(Exception):  # of any driver; most are closed already
                    open_connection.close()
            self._connections.clear()
        return trace

    def _get_config(self) -> Config:
        config = Config(str(self._config_path))
        config.set_main_option("sqlalchemy.url", self._url.replace("%", "%%"))
        return config

    def _connect(self) -> Any:
        return psycopg2.connect(self._url)

    def _ensure_heads(self, expected_heads: set[str], options: dict[str, Any]) -> None:
        engine = create_engine("postgresql+psycopg2://", creator=self._connect, poolclass=NullPool)
        with engine.connect() as connection:
            heads = set(MigrationContext.configure(connection, opts=options).get_current_heads()) if options else set()
        if heads != expected_heads:
            found, expected = (", ".join(sorted(names)) or "none" for names in (heads, expected_heads))
            raise LostRevisionsError(f"alembic's table should then hold {expected}, and holds {found}")

    def describe(self, error: BaseException) -> dict[str, Any]:
        """What failed, where in the checkout, and why."""
        cause: Any = (isinstance(error, DBAPIError) and error.orig) or error
        state = getattr(cause, "pgcode", None) or getattr(cause, "sqlstate", None)
        reason = str(cause).strip() if cause is not error else f"{type(error).__name__}: {error}"
        kind = type(error).__name__ if isinstance(error, WrongDatabaseError | LostRevisionsError) else ""
        places = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
        if isinstance(error, SyntaxError) and error.filename:
            places.append((error.filename, error.lineno or 1))
        own = [(self._relative(path), line) for path, line in places if self._is_own(path)]
        answer = {"kind": kind, "reason": reason, "sql_state": state, "revision": None, "place": None}
        if self._current is not None:
            path = self._relative(self._current.path)
            lines = [line for own_path, line in own if own_path == path]
            return answer | {"revision": self._current.revision, "place": f"{path}:{lines[-1]}" if lines else path}
        return answer | {"place": f"{own[-1][0]}:{own[-1][1]}" if own else None}

    def note_opened(self, path: Any) -> None:
        """A file of the checkout that was opened: what the migrations do may hang on its content."""
        if isinstance(path, str | bytes | os.PathLike):
            text = os.path.abspath(os.fsdecode(path))  # noqa: PTH100  (Path.resolve would open files)
            if text.startswith(f"{self.root}/"):
                self.opened_paths.add(text[len(str(self.root)) + 1 :])

    def _is_own(self, path: str) -> bool:
        return Path(path).is_relative_to(self.root)

    def _relative(self, path: str | None) -> str:
        return Path(path or "").relative_to(self.root).as_posix() if self._is_own(path or "") else str(path)


class Recorder:
    """Compares the columns whenever another call of a revision is about to change something."""

    def __init__(self, context: MigrationContext, root: Path, texts: dict[str, Any], trace: dict[str, Any]) -> None:
        assert context.connection is not None
        self._connection, self._root, self._trace = context.connection, root, trace
        self._table_name: int = texts["table_name_position"]
        self._references: int = texts["references_position"]
        names = [name for name in (context.version_table_schema, context.version_table) if name]
        table = _quote(".".join(_quote(name, '"') for name in names), "'")
        ((self._version_table,),) = self._query(f"select to_regclass({table})::oid::bigint")
        # Planning the queries takes as long as they do. A name of this process: a pooler may share its connections.
        self._versions_query, self._columns_query = (f"contracts_{name}_{os.getpid()}" for name in ("v", "c"))
        self._query("set plan_cache_mode = force_generic_plan")
        self._query(f"prepare {self._versions_query} as {texts['versions_sql']}")
        self._query(f"prepare {self._columns_query} (text[]) as {texts['columns_sql']}")
        self._versions = self._read_versions()
        self._values = self._read_columns(None)
        trace["first"] = self.last_rows()
        event.listen(self._connection, "before_cursor_execute", self._before_cursor_execute)

    def begin(self, revision: Script) -> None:
        self._revision = revision
        self._calls = _Calls(Path(revision.path))
        self._call: tuple[int, ast.Call | None] | None = None

    def end(self) -> None:
        self._record()
        self._call = None

    def last_rows(self) -> list[Values]:
        return list(self._values.values())

    def _before_cursor_execute(self, *_: Any) -> None:
        frame = inspect.currentframe()
        # The innermost: in a function that several calls share, it is its `op.…` line that did it.
        while frame and frame.f_code.co_filename != self._revision.module.__file__:
            frame = frame.f_back
        if frame is None:
            return  # alembic's own bookkeeping
        call = self._calls.find(frame)
        if self._call and self._call != call:
            self._record()
        self._call = call

    def _record(self) -> None:
        before = self._values
        self._values = self._read()
        keys = [key for key in before | self._values if before.get(key) != self._values.get(key)]
        if not keys:
            return
        # Without a call, when something has passed SQLAlchemy by.
        line, call = self._call or (self._calls.upgrade_line, None)
        step = {
            "revision": self._revision.revision,
            "path": Path(self._revision.path).relative_to(self._root).as_posix(),
            "line": line,
            "statement": self._calls.render(call) if call else None,
            "rows": [[before.get(key), self._values.get(key)] for key in keys],
        }
        self._trace["steps"].append(step)

    def _read(self) -> dict[Key, Values]:
        """The columns as they are now; those that did not change are not asked for."""
        before, after = self._versions, self._read_versions()
        self._versions = after
        changed = [oid for oid in before | after if before.get(oid) != after.get(oid)]
        if not changed:
            return self._values
        if 0 in changed:
            return self._read_columns(None)
        names = {versions[oid][0] for versions in (before, after) for oid in changed if oid in versions}
        # What a table refers to by its name is part of the table's own columns.
        names |= {
            values[self._table_name]
            for values in self._values.values()
            if any(target["table_name"] in names for target in values[self._references] or ())
        }
        kept = {key: values for key, values in self._values.items() if values[self._table_name] not in names}
        return kept | self._read_columns(sorted(names))

    def _read_versions(self) -> dict[int, tuple[str, str]]:
        return {oid: (name, version) for oid, name, version in self._query(f"execute {self._versions_query}")}

    def _read_columns(self, table_names: list[str] | None) -> dict[Key, Values]:
        """The values of the columns of the tables with these names; None: of all."""
        names = ", ".join(_quote(name, "'") for name in table_names or ())
        argument = "null" if table_names is None else f"array[{names}]::text[]"
        rows = self._query(f"execute {self._columns_query} ({argument})")
        return {(row[-2], row[-1]): list(row) for row in rows if row[-2] != self._version_table}

    def _query(self, sql: str) -> list[tuple[Any, ...]]:
        # Not by SQLAlchemy, which would tell its listener of this; and without parameters, which each driver has its
        # own way for.
        with contextlib.closing(self._connection.connection.cursor()) as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall()) if cursor.description else []


class _Calls:
    """The calls in the file of a revision."""

    def __init__(self, path: Path) -> None:
        self._source = importlib.util.decode_source(path.read_bytes())
        nodes = list(ast.walk(ast.parse(self._source)))
        self._calls: dict[tuple[int | None, ...], ast.Call] = {
            (node.lineno, node.end_lineno, node.col_offset, node.end_col_offset): node
            for node in nodes
            if isinstance(node, ast.Call)
        }
        functions = {node.name: node.lineno for node in nodes if isinstance(node, ast.FunctionDef)}
        self.upgrade_line = functions.get("upgrade", 1)

    def find(self, frame: FrameType) -> tuple[int, ast.Call | None]:
        """The call that `frame` is at, and the line on which it begins."""
        # An instruction takes two bytes, and has one position (PEP 657).
        position = next(itertools.islice(frame.f_code.co_positions(), frame.f_lasti // 2, None))
        # The end of a batch is at its `with`, and no call.
        on_line = (call for call in self._calls.values() if call.lineno == frame.f_lineno)
        call = self._calls.get(position) or next(on_line, None)
        return (call.lineno if call else frame.f_lineno, call)

    def render(self, call: ast.Call) -> str:
        """The call on one line, as far as its arguments are short."""
        texts: list[str] = []
        for argument in (*call.args, *call.keywords):
            value = argument.value if isinstance(argument, ast.keyword) else argument
            texts.append(self._text(argument) if isinstance(value, ast.Constant | ast.Name) else "…")
            if texts[-1] == "…":
                break
        text = f"{self._text(call.func)}({', '.join(texts)})"
        return text if len(text) <= STATEMENT_LENGTH else text[: STATEMENT_LENGTH - 1] + "…"

    def _text(self, node: ast.AST) -> str:
        return " ".join((ast.get_source_segment(self._source, node) or "").split())


def _quote(text: str, mark: str) -> str:
    return mark + text.replace(mark, 2 * mark) + mark


def _flush_batches() -> None:
    """Each call of a batch is executed at once, and not at the end of `with`, where its line is not known.

    Except in a batch that recreates the table, which takes them together.
    """
    original = BatchOperations.invoke

    def invoke(self: BatchOperations, operation: MigrateOperation) -> Any:
        result = original(self, operation)
        batch: Any = self.impl
        if not batch._should_recreate():
            batch.flush()
            batch.batch.clear()
        return result

    BatchOperations.invoke = invoke  # type: ignore[method-assign,assignment]


def _guard_connections(worker: Worker) -> None:
    """Every connection is looked at before anything is sent over it: SQLAlchemy's, and those of the drivers."""
    event.listen(Pool, "connect", worker.ensure_database)
    for name in ("psycopg2", "psycopg"):
        with contextlib.suppress(ImportError):
            module = importlib.import_module(name)
            module.connect = _guarded(module.connect, worker)  # type: ignore[attr-defined]


def _guarded(connect: Callable[..., Any], worker: Worker) -> Callable[..., Any]:
    def guarded_connect(*arguments: Any, **options: Any) -> Any:
        connection = connect(*arguments, **options)
        worker.ensure_database(connection)
        return connection

    return guarded_connect


def _read_commands(descriptor: int) -> Iterator[dict[str, Any]]:
    """The commands as they come; the process ends at once when the other end is closed, whatever runs."""
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()

    def read() -> None:
        with os.fdopen(descriptor, encoding="utf-8") as stream:
            for line in stream:
                lines.put(line)
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    while True:
        yield json.loads(lines.get())


def answer_commands(worker: Worker, commands: Iterable[dict[str, Any]], write: Callable[[str], object]) -> None:
    for command in commands:
        try:
            worker.use_database(command["url"], command["database"], command["variables"])
            match command["name"]:
                case "load":
                    answer = worker.load()
                case _:
                    answer = worker.apply(command["count"], command["recorder"])
        except (Exception, SystemExit) as error:  # noqa: BLE001  (a revision is anybody's code)
            sys.stderr.flush()
            answer = {"error": worker.describe(error)}
        write(json.dumps(answer | {"opened_paths": sorted(worker.opened_paths)}) + "\n")


def main() -> None:
    config_path, commands, answers = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    worker = Worker(Path.cwd(), config_path)
    # Also the modules that are imported, at their opening.
    sys.addaudithook(lambda name, arguments: worker.note_opened(arguments[0]) if name == "open" else None)
    _flush_batches()
    _guard_connections(worker)
    with os.fdopen(answers, "w", encoding="utf-8", buffering=1) as stream:
        answer_commands(worker, _read_commands(commands), stream.write)


if __name__ == "__main__":
    main()
