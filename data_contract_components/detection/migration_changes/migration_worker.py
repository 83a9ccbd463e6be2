"""A program that runs the migrations of one checkout on a scratch database; migrations.py starts it as a file.

It imports nothing of this package: here, the package's name stands for the code of that checkout. Each line on standard
input is a job, which runs in a process of its own, so that no job is affected by what another imported or opened. The
answer is a JSON file, and the exit status of the job's process a line on standard output. The program ends with the
process that started it.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import inspect
import itertools
import json
import logging
import os
import re
import secrets
import sys
import threading
import tokenize
import traceback
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import FrameType
from typing import IO, Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import psycopg2
from alembic.config import Config
from alembic.operations import BatchOperations, MigrateOperation
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, RevisionStep
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool, Pool

STATEMENT_LENGTH = 120
POSTGRES_URL = re.compile(r"\s*postgres\w*(\+\w+)?://")
# The parameters of a URL that identify the database; a driver that does not use libpq knows the last two.
PLACE_KEYS = ("user", "password", "passfile", "hostaddr", "dbname", "database", "service", "host", "port")
LIBPQ_DRIVERS = ("postgres", "postgresql", "psycopg2", "psycopg", "psycopg_async", "psycopg2cffi")
IDENTITY_SQL = """
select datname::text, oid::text
from pg_catalog.pg_database
where datname operator(pg_catalog.=) pg_catalog.current_database()
"""
SESSION_SQL = """
select
    pg_catalog.pg_current_xact_id_if_assigned()::text,
    (select pg_catalog.string_agg(name, ' ') from pg_catalog.pg_prepared_statements)
"""
UNCOMMITTED_SQL = """
select count(*)
from unnest(%s::text[]) as transactions (id)
where pg_catalog.pg_xact_status(transactions.id::xid8) is distinct from 'committed'
"""
# By the table's oid, as the session of the migrations may have found it by a search_path of its own.
HEADS_SQL = """
select pg_catalog.format('select version_num from %%I.%%I', namespaces.nspname, relations.relname)
from pg_catalog.pg_class as relations
join pg_catalog.pg_namespace as namespaces on namespaces.oid = relations.relnamespace
where relations.oid = %s
"""
ABORTED_TRANSACTION = "25P02"
Job = dict[str, Any]
Row = dict[str, Any]
ColumnKey = tuple[int, int]


class RefusedConnectionError(Exception):
    """A connection to another database than the scratch database; nothing was run over it."""


class IncompleteError(Exception):
    """Alembic ended without an error, and not everything that the revisions did is there."""


class Worker:
    """One job: `root` is the checkout, `database` and `oid` are the scratch database's."""

    def __init__(self, job: Job) -> None:
        self._job, self._root = job, str(job["root"])
        self._revision: Script | None = None
        # Files and listed directories, by the revisions that are applied, and before that.
        self._opened: set[str] = set()
        self._opened_before: set[str] = set()
        self._refusals: list[str] = []

    def answer(self) -> dict[str, Any]:
        """The result of the job, or an `error` with the reason."""
        self._isolate_modules()
        self._guard_connections()
        self._set_environment()
        _execute_batches_at_once()
        _skip_files_of_macos()
        try:
            config = Config(self._job["config"])
            self._set_urls(config)
            script = ScriptDirectory.from_config(config)
            result = self._apply(config, script) if self._job["is_apply"] else self._get_revisions(script)
        except (Exception, SystemExit, KeyboardInterrupt) as error:  # noqa: BLE001 - a revision is anybody's code
            return {"error": self._describe(error)}
        if self._root != self._job["other_root"]:
            opened = self._opened | self._opened_before
            others = [path for path in opened if path.endswith(".py") and _is_of(path, self._job["other_root"])]
            if others:
                way_out = "Let alembic.ini's prepend_sys_path say where the packages of the project are, with %(here)s."
                return {"error": {"reason": f"it imports {min(others)} of another checkout", "way_out": way_out}}
        return result | {"opened": sorted(self._path_of(path) for path in self._opened if _is_of(path, self._root))}

    def _describe(self, error: BaseException) -> dict[str, Any]:
        """The reason, the revision that ran, and the innermost line of its file; else of any file of the checkout."""
        chain = [error]
        while (cause := chain[-1].__cause__ or chain[-1].__context__) and cause not in chain:
            chain.append(cause)
        # env.py may print an error and then exit.
        error = next((link for link in chain if not isinstance(link, SystemExit)), error)
        reason = str(error) if isinstance(error, IncompleteError) else f"{type(error).__name__}: {error}"
        if isinstance(error, DBAPIError):
            reason = str(error.orig).strip()
        places: list[tuple[str, int]] = [(self._revision.path, 0)] if self._revision else []
        for link in reversed(chain[chain.index(error) :]):
            for frame, line in traceback.walk_tb(link.__traceback__):
                path = frame.f_code.co_filename
                if path == self._revision.module.__file__ if self._revision else _is_of(path, self._root):
                    places.append((path, line))
            if isinstance(link, SyntaxError) and _is_of(link.filename or "", self._root):
                places.append((str(link.filename), link.lineno or 1))
                reason = f"{type(link).__name__}: {link.msg}"
        path, line = places[-1] if places else ("", 0)
        return {
            "reason": "\n".join([reason, *(f"It was refused {refusal}." for refusal in self._refusals)]),
            "refusal": next((str(link) for link in chain if isinstance(link, RefusedConnectionError)), None),
            "revision": self._revision.revision if self._revision else None,
            "path": self._path_of(path) if path else None,
            "line": line,
        }

    def _path_of(self, path: str) -> str:
        return os.path.relpath(os.path.realpath(path), self._root)

    def _isolate_modules(self) -> None:
        """Modules come from this checkout and are compiled again; the files that are read are noted."""
        root, other_root = self._root, self._job["other_root"]
        paths = (root + path[len(other_root) :] if _is_of(f"{path}/", other_root) else path for path in sys.path)
        # An editable install puts a checkout on the path, whose regular packages win over a namespace package of root.
        sys.path[:] = [root, *(path for path in paths if not Path(path, "data_contract_components").is_dir())]
        get_stats = SourceFileLoader.path_stats

        def path_stats(loader: SourceFileLoader, path: Any) -> Any:
            # Python takes a compiled file as current when its source has the same size and time.
            if _is_of(os.path.realpath(path), root):
                raise OSError("no compiled file is used")
            return get_stats(loader, path)

        def note(name: str, arguments: tuple[Any, ...]) -> None:
            is_listing = name in ("os.listdir", "os.scandir") and "importlib" not in sys._getframe(1).f_code.co_filename
            if (name == "open" or is_listing) and isinstance(arguments[0], str | bytes | os.PathLike):
                self._opened.add(os.path.realpath(os.fsdecode(arguments[0])))

        SourceFileLoader.path_stats = path_stats  # type: ignore[method-assign,assignment]
        sys.addaudithook(note)

    def _guard_connections(self) -> None:
        """SQLAlchemy and the drivers return a connection only if it is one to the scratch database.

        It is if the database has the right name, which is random, and the right oid.
        """

        def check(connection: Any, *_: Any) -> None:
            with contextlib.closing(connection.cursor()) as cursor:
                cursor.execute(IDENTITY_SQL)
                row = cursor.fetchone()
            connection.rollback()
            self._check(connection, row.values() if hasattr(row, "values") else row)

        event.listen(Pool, "connect", check)
        event.listen(Engine, "before_cursor_execute", self._make_way, retval=True)
        connect = psycopg2.connect

        def connect_psycopg2(*arguments: Any, **keywords: Any) -> Any:
            if keywords.get("async") or keywords.get("async_"):
                self._refuse("an asynchronous connection of psycopg2, which cannot be checked")
            connection = connect(*arguments, **keywords)
            check(connection)
            return connection

        psycopg2.connect = connect_psycopg2
        with contextlib.suppress(ImportError):
            self._guard_psycopg(importlib.import_module("psycopg"))
        with contextlib.suppress(ImportError):
            self._guard_asyncpg(importlib.import_module("asyncpg"))

    def _make_way(self, connection: Connection, _: Any, sql: str, parameters: Any, *__: Any) -> tuple[str, Any]:
        """Drops, unless in use, a copied schema or extension that the statement creates."""
        for kind, name in self._job["copied"]:
            pattern = rf'\bcreate\s+{kind}\s+(?:if\s+not\s+exists\s+)?(?="?{re.escape(name)}(?!\w))'
            sql, count = re.subn(pattern, f"create {kind} if not exists ", sql, flags=re.IGNORECASE)
            if count:
                quoted = name.replace('"', '""')
                body = f'begin drop {kind} "{quoted}"; exception when others then null; end'
                _query(connection, f"do {_dollar_quote(body)}")
        return sql, parameters

    def _guard_psycopg(self, psycopg: Any) -> None:
        def check(connection: Any) -> Any:
            # By libpq, which is the same for both kinds of connections and begins no transaction.
            result = connection.pgconn.exec_(IDENTITY_SQL.encode())
            self._check(connection.pgconn, [(result.get_value(0, n) or b"").decode() for n in range(2)], "finish")
            return connection

        connect, connect_async = psycopg.Connection.connect.__func__, psycopg.AsyncConnection.connect.__func__

        async def checked_async(cls: Any, *arguments: Any, **keywords: Any) -> Any:
            return check(await connect_async(cls, *arguments, **keywords))

        psycopg.Connection.connect = classmethod(lambda cls, *a, **k: check(connect(cls, *a, **k)))
        psycopg.AsyncConnection.connect = classmethod(checked_async)
        psycopg.connect = psycopg.Connection.connect

    def _guard_asyncpg(self, asyncpg: Any) -> None:
        connect = asyncpg.connect

        async def checked(*arguments: Any, **keywords: Any) -> Any:
            connection = await connect(*arguments, **keywords)
            self._check(connection, await connection.fetchrow(IDENTITY_SQL), "terminate")
            return connection

        asyncpg.connect = asyncpg.connection.connect = checked

    def _check(self, connection: Any, identity: Any, close: str = "close") -> None:
        database, oid = identity or ("", "")
        if (database, oid) != (self._job["database"], self._job["oid"]):
            getattr(connection, close)()
            self._refuse(f'a connection to the database "{database}"')

    def _refuse(self, reason: str) -> None:
        self._refusals.append(reason)
        raise RefusedConnectionError(reason)

    def _set_environment(self) -> None:
        for name, value in list(os.environ.items()):
            if POSTGRES_URL.match(value):
                os.environ[name] = self._url_like(value)
        if not POSTGRES_URL.match(os.environ.get("DATABASE_URL", "")):
            os.environ["DATABASE_URL"] = self._job["url"]
        for name, value in self._job["environment"].items():
            os.environ.pop(name, None)
            if value:
                os.environ[name] = value

    def _set_urls(self, config: Config) -> None:
        """Every URL of the configuration is that of the scratch database, also sqlalchemy.url where it was missing."""
        file_config = config.file_config
        if not file_config.has_option(config.config_ini_section, "sqlalchemy.url"):
            config.set_main_option(
                "sqlalchemy.url", f"postgresql+psycopg2:{self._job['url'].partition(':')[2]}".replace("%", "%%")
            )
        for section in file_config.sections():
            for name, value in file_config.items(section, raw=True):
                if POSTGRES_URL.match(value):
                    file_config.set(section, name, self._url_like(value.replace("%%", "%")).replace("%", "%%"))

    def _url_like(self, value: str) -> str:
        """The URL of the scratch database, with the driver and the options of `value`."""
        scheme, _, rest = value.strip().partition("://")
        place_keys = PLACE_KEYS if scheme.rpartition("+")[2] in LIBPQ_DRIVERS else PLACE_KEYS[-2:]
        url = urlsplit(self._job["url"])
        query = [pair for pair in parse_qsl(url.query, keep_blank_values=True) if pair[0] in place_keys]
        options = parse_qsl(rest.partition("?")[2], keep_blank_values=True)
        query += [pair for pair in options if pair[0] not in PLACE_KEYS]
        return url._replace(scheme=scheme, query=urlencode(query, quote_via=quote)).geturl()

    def _get_revisions(self, script: ScriptDirectory) -> dict[str, Any]:
        revisions = [step.revision for step in _get_steps(script, ())]
        for revision in revisions:
            # What its functions import is imported here, so that these files are noted too.
            source = _read(revision.path)
            if re.search(r"^[ \t]+(import|from)\b", source, re.MULTILINE):
                for node in ast.walk(ast.parse(source)):
                    if isinstance(node, ast.Import | ast.ImportFrom):
                        with contextlib.suppress(Exception, SystemExit):
                            exec(ast.unparse(node), dict(vars(revision.module)))
        pairs = [(revision.revision, self._path_of(revision.path)) for revision in revisions]
        return {"heads": sorted(script.get_heads()), "revisions": pairs}

    def _apply(self, config: Config, script: ScriptDirectory) -> dict[str, Any]:
        """Applies the next `count` revisions; returns their trace where the job has `columns_sql`."""
        recorder: Recorder | None = None

        def get_steps(heads: tuple[str, ...], context: MigrationContext) -> Iterator[RevisionStep]:
            nonlocal recorder
            connection = context.connection
            assert connection is not None
            recorder = Recorder(connection, context, self._job, heads)
            transaction = connection.get_transaction()
            context.on_version_apply_callbacks += (recorder.end,)
            steps = _get_steps(script, heads)[: self._job["count"]]
            self._opened_before, self._opened = self._opened_before | self._opened, set()
            for step in steps:
                self._revision = step.revision
                recorder.begin(step.revision, self._path_of(step.revision.path))
                yield step
            self._revision = None
            # A revision that committed ended the transaction that env.py will commit, and a new one is open.
            if connection.in_transaction() and connection.get_transaction() is not transaction:
                connection.commit()

        url = self._job["url"]
        engine = create_engine("postgresql+psycopg2://", creator=lambda: psycopg2.connect(url), poolclass=NullPool)
        environment = EnvironmentContext(config, script, fn=get_steps, as_sql=False, destination_rev="heads", tag=None)
        with environment, engine.connect() as offered_connection:
            config.attributes["connection"] = offered_connection
            script.run_env()
            offered_connection.commit()
        if recorder is None:
            raise IncompleteError("env.py ran no migrations")
        with engine.connect() as connection:
            recorder.ensure_committed(connection)
            recorder.record_rest(connection, self._path_of(script.env_py_location))
        return recorder.trace


class Recorder:
    """Compares the columns each time that another call of a revision is about to run a statement.

    `trace` has the first rows, and for each call its place and the rows that it changed, before and after.
    """

    def __init__(self, connection: Connection, context: MigrationContext, job: Job, heads: tuple[str, ...]) -> None:
        self._connection, self._heads, self._is_traced = connection, set(heads), bool(job["columns_sql"])
        self._transactions: set[str] = set()
        table = connection.dialect.identifier_preparer.format_table(context._version)
        oid_sql = f"select pg_catalog.to_regclass({_dollar_quote(table)})::oid::bigint"
        ((self._version_table,),) = _query(connection, oid_sql)
        self.trace: dict[str, Any] = {}
        if not self._is_traced:
            return
        # Planning a query takes ten times as long as running it, so it is prepared. The names are unique also in
        # another session that a pooler may switch to.
        token = secrets.token_hex(6)
        self._versions_sql = (f"contracts_{token}_versions", job["versions_sql"])
        columns_sql = f"select to_json(rows)::text from ({job['columns_sql']}) as rows"
        self._columns_sql = (f"contracts_{token}_columns", columns_sql)
        self._prepared = ""
        self._versions = self._read_versions()
        self._rows = self._read_columns(None)
        self.trace = {"first": list(self._rows.values()), "steps": []}
        event.listen(self._connection, "before_cursor_execute", self._before_cursor_execute)

    def begin(self, revision: Script, path: str) -> None:
        self._revision, self._path = revision, path
        self._calls = _Calls(revision.path)
        self._call: tuple[int, ast.Call | None] | None = None

    def end(self, heads: set[str], **_: Any) -> None:
        """Alembic's callback after a revision, which `heads` include."""
        self._heads = heads
        self._record()
        self._call = None

    def record_rest(self, connection: Connection, path: str) -> None:
        """Records what env.py did after the revisions, as another connection sees it."""
        self._connection = connection
        self._record_at((path, None, "env.py", None))

    def ensure_committed(self, connection: Connection) -> None:
        """Raises: IncompleteError where a part of what was applied is not there, as another connection sees it."""
        heads: set[str] = set()
        for (sql,) in connection.exec_driver_sql(HEADS_SQL, (self._version_table,)).fetchall():
            heads |= set(connection.exec_driver_sql(sql).scalars())
        if heads != self._heads:
            found, expected = (", ".join(sorted(names)) or "nothing" for names in (heads, self._heads))
            raise IncompleteError(f"it was rolled back: alembic's table holds {found}, and not {expected}")
        if connection.exec_driver_sql(UNCOMMITTED_SQL, (sorted(self._transactions),)).scalar_one():
            raise IncompleteError("a part of what the revisions did was rolled back")

    def _before_cursor_execute(self, *_: Any) -> None:
        frame = inspect.currentframe()
        # The innermost frame: in a function that several calls share, the `op.…` line.
        while frame and frame.f_code.co_filename != self._revision.module.__file__:
            frame = frame.f_back
        if frame is None:
            return  # alembic's own bookkeeping
        call = self._calls.find(frame)
        if self._call and self._call != call:
            self._record()
        self._call = call

    def _record(self) -> None:
        # There is no call where a statement did not go through SQLAlchemy.
        line, call = self._call or (self._calls.upgrade_line, None)
        statement = self._calls.render(call) if call else None
        self._record_at((self._path, line, self._revision.revision, statement))

    def _record_at(self, place: tuple[str, int | None, str, str | None]) -> None:
        try:
            # A revision or a pooler may have removed the prepared statements.
            ((transaction, names),) = _query(self._connection, SESSION_SQL)
        except Exception as error:
            # A statement failed, and the revision will continue after a rollback, perhaps to a savepoint.
            if ABORTED_TRANSACTION in (getattr(error, "pgcode", None), getattr(error, "sqlstate", None)):
                return
            raise
        self._transactions |= {transaction} - {None}
        self._prepared = names or ""
        if not self._is_traced:
            return
        before, self._rows = self._rows, self._read()
        pairs = ((before.get(key), self._rows.get(key)) for key in before | self._rows)
        # Most are the same object, which is faster to see than that they are equal.
        changed = [(old, new) for old, new in pairs if old is not new and old != new]
        if changed:
            self.trace["steps"].append((place, changed))

    def _read(self) -> dict[ColumnKey, Row]:
        """The columns as they are now; only those of changed tables are read again."""
        before, after = self._versions, self._read_versions()
        self._versions = after
        changed = [oid for oid in before | after if before.get(oid) != after.get(oid)]
        if not changed:
            return self._rows
        if 0 in changed:
            return self._read_columns(None)
        names = {versions[oid][0] for versions in (before, after) for oid in changed if oid in versions}
        # The columns of a table contain the names of the tables that it refers to.
        names |= {
            row["table_name"]
            for row in self._rows.values()
            if any(target["table_name"] in names for target in row["references"] or ())
        }
        kept = {key: row for key, row in self._rows.items() if row["table_name"] not in names}
        return kept | self._read_columns(sorted(names))

    def _read_versions(self) -> dict[int, tuple[str, str]]:
        rows = self._execute(self._versions_sql)
        return {int(oid): (name, version) for oid, name, version in rows if oid != self._version_table}

    def _read_columns(self, table_names: list[str] | None) -> dict[ColumnKey, Row]:
        """The rows of the tables with these names, by key; None: of all. Alembic's own table is left out."""
        names = "null"
        if table_names is not None:
            escaped = (re.sub(r'(["\\])', r"\\\1", name) for name in table_names)
            names = _dollar_quote("{" + ",".join(f'"{name}"' for name in escaped) + "}")
        # As JSON, because drivers convert arrays differently.
        rows = (json.loads(text) for (text,) in self._execute(self._columns_sql, f"({names})"))
        return {
            (row["table_oid"], row["column_number"]): row for row in rows if row["table_oid"] != self._version_table
        }

    def _execute(self, statement: tuple[str, str], values: str = "") -> list[Any]:
        name, sql = statement
        if name not in self._prepared:
            _query(self._connection, "set plan_cache_mode = force_generic_plan")
            _query(self._connection, f"prepare {name}{' (text[])' if values else ''} as {sql}")
        return _query(self._connection, f"execute {name} {values}")


class _Calls:
    """The calls in the file of a revision."""

    def __init__(self, path: str) -> None:
        self._source = _read(path)
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


def _get_steps(script: ScriptDirectory, heads: tuple[str, ...]) -> list[Any]:
    """The steps from `heads` on, in alembic's order."""
    return script._upgrade_revs("heads", heads) if script.get_heads() else []  # type: ignore[arg-type]


def _read(path: str) -> str:
    with tokenize.open(path) as file:
        return file.read()


def _is_of(path: str, root: str) -> bool:
    """Whether it is a file of the checkout itself; a virtual environment may lie in it."""
    return path.startswith(f"{root}/") and "/site-packages/" not in path and path != os.path.realpath(__file__)


def _dollar_quote(text: str) -> str:
    tag = f"$q{secrets.token_hex(6)}$"
    return f"{tag}{text}{tag}"


def _query(connection: Connection, sql: str) -> list[Any]:
    # Not by SQLAlchemy, whose events the recorder listens to.
    with contextlib.closing(connection.connection.cursor()) as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall()) if cursor.description else []


def _execute_batches_at_once() -> None:
    """Each call of a batch is executed at once, not at the end of `with`, where its line is not known.

    A batch that recreates the table still executes them together.
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


def _skip_files_of_macos() -> None:
    """The files ._*.py, which macOS writes beside others on a foreign disk, are not revisions."""
    original = Script._from_path

    def from_path(script: ScriptDirectory, path: Any) -> Script | None:
        return None if Path(path).name.startswith("._") else original(script, path)

    Script._from_path = from_path  # type: ignore[method-assign,assignment]


def _work(line: str, control: IO[str]) -> None:
    """Does the job of `line` and ends the process, at once where the parent process has ended."""

    def end_with_parent() -> None:
        os.read(control.fileno(), 1)
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
    job = json.loads(line)
    answer = Worker(job).answer()
    Path(job["answer"]).write_text(json.dumps(answer, default=str), encoding="utf-8")
    sys.stderr.flush()
    os._exit(0)


def main() -> None:
    control, report = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    sys.stdout = sys.stderr  # what a revision prints is not part of the command's output
    logging.disable(logging.INFO)
    for line in control:
        process_id = os.fork()
        if process_id == 0:
            _work(line, control)
        _, status = os.waitpid(process_id, 0)
        print(os.waitstatus_to_exitcode(status), file=report, flush=True)


if __name__ == "__main__":
    main()
