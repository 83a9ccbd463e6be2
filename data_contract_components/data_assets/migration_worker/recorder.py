"""Records which call of which revision changed which columns."""

import ast
import contextlib
import inspect
import itertools
import json
import re
import secrets
import tokenize
from types import FrameType
from typing import Any

from alembic.runtime.migration import MigrationContext
from alembic.script import Script
from sqlalchemy import event
from sqlalchemy.engine import Connection

STATEMENT_LENGTH = 120
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
Row = dict[str, Any]
ColumnKey = tuple[int, int]


class IncompleteError(Exception):
    """Alembic ended without an error, and not everything that the revisions did is there."""


class Recorder:
    """Compares the columns each time that another call of a revision is about to run a statement.

    `trace` has the first rows, and for each call its place and the rows that it changed, before and after. It is empty
    without `recording`.
    """

    def __init__(
        self, connection: Connection, context: MigrationContext, heads: tuple[str, ...], job: dict[str, Any]
    ) -> None:
        self._connection, self._heads, self._is_traced = connection, set(heads), bool(job["recording"])
        self._transactions: set[str] = set()
        table = connection.dialect.identifier_preparer.format_table(context._version)
        oid_sql = f"select pg_catalog.to_regclass({dollar_quote(table)})::oid::bigint"
        ((self._version_table,),) = query(connection, oid_sql)
        self.trace: dict[str, Any] = {}
        if not self._is_traced:
            return
        # Planning a query takes ten times as long as running it, so it is prepared. The names are unique also in
        # another session that a pooler may switch to.
        token = secrets.token_hex(6)
        self._versions_sql = (f"contracts_{token}_versions", job["recording"]["versions_sql"])
        columns_sql = f"select to_json(rows)::text from ({job['recording']['columns_sql']}) as rows"
        self._columns_sql = (f"contracts_{token}_columns", columns_sql)
        self._prepared = ""
        self._versions = self._read_versions()
        self._rows = self._read_columns(None)
        self.trace = {"first": list(self._rows.values()), "steps": []}
        event.listen(connection, "before_cursor_execute", self._before_cursor_execute)

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
        self._record_at(path, None, "env.py", None)

    def ensure_committed(self, connection: Connection) -> None:
        """Raises: IncompleteError where a part of what was applied is not there, as another connection sees it."""
        heads: set[str] = set()
        for (sql,) in query(connection, HEADS_SQL, self._version_table):
            heads |= {head for (head,) in query(connection, sql)}
        if heads != self._heads:
            found, expected = (", ".join(sorted(names)) or "nothing" for names in (heads, self._heads))
            raise IncompleteError(f"it was rolled back: alembic's table holds {found}, and not {expected}")
        ((uncommitted,),) = query(connection, UNCOMMITTED_SQL, sorted(self._transactions))
        if uncommitted:
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
        self._record_at(self._path, line, self._revision.revision, statement)

    def _record_at(self, *place: str | int | None) -> None:
        """Adds a step at `place`, the fields of a Place in migration_trace.py, if a column has changed."""
        try:
            # A revision or a pooler may have removed the prepared statements.
            ((transaction, names),) = query(self._connection, SESSION_SQL)
        except Exception as error:
            # A statement failed, and the revision will continue after a rollback, perhaps to a savepoint.
            if ABORTED_TRANSACTION in (getattr(error, "pgcode", None), getattr(error, "sqlstate", None)):
                return
            raise
        self._transactions |= {transaction} - {None}
        if not self._is_traced:
            return
        self._prepared = names or ""
        before, self._rows = self._rows, self._read()
        pairs = ((before.get(key), self._rows.get(key)) for key in before | self._rows)
        # Most are the same object, which is faster to see than that they are equal.
        if changed := [(old, new) for old, new in pairs if old is not new and old != new]:
            self.trace["steps"].append((place, changed))

    def _read(self) -> dict[ColumnKey, Row]:
        """The columns as they are now; only those of changed tables are read again."""
        before, self._versions = self._versions, self._read_versions()
        changed = {oid for oid, _ in before.items() ^ self._versions.items()}
        if not changed:
            return self._rows
        if 0 in changed:
            return self._read_columns(None)
        names = {versions[oid][0] for versions in (before, self._versions) for oid in changed & versions.keys()}
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
            names = dollar_quote("{" + ",".join(f'"{name}"' for name in escaped) + "}")
        # As JSON, because drivers convert arrays differently.
        rows = (json.loads(text) for (text,) in self._execute(self._columns_sql, f"({names})"))
        return {
            (row["table_oid"], row["column_number"]): row for row in rows if row["table_oid"] != self._version_table
        }

    def _execute(self, statement: tuple[str, str], values: str = "") -> list[Any]:
        name, sql = statement
        if name not in self._prepared:
            query(self._connection, "set plan_cache_mode = force_generic_plan")
            query(self._connection, f"prepare {name}{' (text[])' if values else ''} as {sql}")
        return query(self._connection, f"execute {name} {values}")


class _Calls:
    """The calls in the file of a revision."""

    def __init__(self, path: str) -> None:
        self._source = read(path)
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
            if not isinstance(value, ast.Constant | ast.Name):
                texts.append("…")
                break
            texts.append(self._text(argument))
        text = f"{self._text(call.func)}({', '.join(texts)})"
        return text if len(text) <= STATEMENT_LENGTH else text[: STATEMENT_LENGTH - 1] + "…"

    def _text(self, node: ast.AST) -> str:
        return " ".join((ast.get_source_segment(self._source, node) or "").split())


def read(path: str) -> str:
    """The text of a Python file."""
    with tokenize.open(path) as file:
        return file.read()


def dollar_quote(text: str) -> str:
    tag = f"$q{secrets.token_hex(6)}$"
    return f"{tag}{text}{tag}"


def query(connection: Connection, sql: str, *values: object) -> list[Any]:
    # Not by SQLAlchemy, whose events the recorder listens to.
    with contextlib.closing(connection.connection.cursor()) as cursor:
        cursor.execute(sql, *([values] if values else []))
        return list(cursor.fetchall()) if cursor.description else []
