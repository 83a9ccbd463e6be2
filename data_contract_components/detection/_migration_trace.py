"""What each `op.…` call of some migrations did to the columns of a scratch database."""

from __future__ import annotations

import ast
import contextlib
import inspect
import itertools
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from alembic.script import Script
from psycopg2.extensions import AsIs
from sqlalchemy import Connection, event

from data_contract_components.detection._get_data_catalog import CATALOG_COLUMNS, CATALOG_SQL, CONSTRAINT_COLUMNS
from data_contract_components.detection._table_parts import COLUMN_PARTS_SQL, TABLE_PARTS_SQL

STATEMENT_LENGTH = 120
# What two states of a column are compared by; those of a table have a name of their own.
COLUMN_FACTS = {key: key for key in ("data_type", "primaryKey", *CONSTRAINT_COLUMNS, "identity_generation", "comment")}
TABLE_FACTS = {"table_type": "table_type", "comment": "table_comment"}
# A column keeps its number, and its table the oid, whatever they are called.
ColumnKey = tuple[int, int]
ROW_KEYS = (
    *CATALOG_COLUMNS,
    *("primaryKey", "table_comment", "comment", "identity_generation"),
    *("table_parts", "column_parts", "table_oid", "column_number"),
)
TABLE_NAME, REFERENCES = ROW_KEYS.index("table_name"), ROW_KEYS.index("references")
Row = dict[str, Any]

COLUMNS_SQL = f"""
with catalog as materialized ({CATALOG_SQL}),
tables as materialized (
    select
        namespaces.nspname as table_schema,
        relations.relname as table_name,
        relations.oid,
        pg_catalog.obj_description(relations.oid, 'pg_class') as comment,
        ({TABLE_PARTS_SQL}) as parts
    from pg_catalog.pg_class as relations
    join pg_catalog.pg_namespace as namespaces on namespaces.oid = relations.relnamespace
    where (namespaces.nspname, relations.relname) in (select table_schema, table_name from catalog)
        and relations.relname <> 'alembic_version'
)
select
    catalog.*,
    catalog.constraint_type is not null as "primaryKey",
    tables.comment as table_comment,
    pg_catalog.col_description(tables.oid, attributes.attnum) as comment,
    case attributes.attidentity when 'a' then 'ALWAYS' when 'd' then 'BY DEFAULT' end as identity_generation,
    tables.parts as table_parts,
    ({COLUMN_PARTS_SQL}) as column_parts,
    tables.oid::bigint as table_oid,
    attributes.attnum as column_number
from catalog
join tables on tables.table_schema = catalog.table_schema and tables.table_name = catalog.table_name
join pg_catalog.pg_attribute as attributes
    on attributes.attrelid = tables.oid and attributes.attname = catalog.column_name
order by tables.oid, attributes.attnum
"""

# Which rows of the catalogs the columns of a table come from, one line per table. A changed row has another ctid.
# Line 0 is what may concern any table. With hundreds of tables it takes a tenth of what COLUMNS_SQL does.
VERSIONS_SQL = """
select owner, relations.relname::text as table_name, md5(string_agg(version, ' ' order by version)) as version
from (
    select oid as owner, 'class' || ctid as version from pg_catalog.pg_class where relkind in ('r', 'p', 'v', 'm', 'f')
    union all select attrelid, 'column' || ctid from pg_catalog.pg_attribute where attnum > 0
    union all select adrelid, 'default' || ctid from pg_catalog.pg_attrdef
    union all select conrelid, 'constraint' || ctid from pg_catalog.pg_constraint
    union all select indrelid, 'index' || ctid from pg_catalog.pg_index
    union all select ev_class, 'rule' || ctid from pg_catalog.pg_rewrite
    union all select tgrelid, 'trigger' || ctid from pg_catalog.pg_trigger
    union all select polrelid, 'policy' || ctid from pg_catalog.pg_policy
    union all select unnest(array[inhrelid, inhparent]), 'inherits' || ctid from pg_catalog.pg_inherits
    union all select ftrelid, 'foreign' || ctid from pg_catalog.pg_foreign_table
    union all select objoid, 'comment' || ctid from pg_catalog.pg_description
        where classoid = 'pg_catalog.pg_class'::pg_catalog.regclass
    union all select 0, 'enum' || ctid from pg_catalog.pg_enum
    union all select 0, 'schema' || ctid from pg_catalog.pg_namespace
    union all select 0, 'type' || ctid from pg_catalog.pg_type where typrelid = 0 and typelem = 0 and oid >= 16384
    union all select 0, 'field' || fields.ctid from pg_catalog.pg_class as types
        join pg_catalog.pg_attribute as fields on fields.attrelid = types.oid where types.relkind = 'c'
    union all select 0, 'composite' || ctid from pg_catalog.pg_class where relkind = 'c'
    union all select tgrelid, 'function' || pg_proc.ctid from pg_catalog.pg_trigger
        join pg_catalog.pg_proc on pg_proc.oid = tgfoid where not tgisinternal
    union all select 0, 'function' || ctid from pg_catalog.pg_proc
        where oid >= 16384 and prorettype <> 'pg_catalog.trigger'::pg_catalog.regtype and exists (
            select from pg_catalog.pg_depend
            where refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass and refobjid = pg_proc.oid and classid in (
                'pg_catalog.pg_constraint'::pg_catalog.regclass, 'pg_catalog.pg_attrdef'::pg_catalog.regclass,
                'pg_catalog.pg_policy'::pg_catalog.regclass, 'pg_catalog.pg_rewrite'::pg_catalog.regclass
            )
        )
    union all select 0, 'collation' || ctid from pg_catalog.pg_collation where oid >= 16384
    -- what a view is made of, by the names that its definition shows
    union all select pg_rewrite.ev_class, 'source' || sources.ctid from pg_catalog.pg_rewrite
        join pg_catalog.pg_depend on pg_depend.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
            and pg_depend.objid = pg_rewrite.oid and pg_depend.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
        join pg_catalog.pg_attribute as sources
            on sources.attrelid = pg_depend.refobjid and sources.attnum = pg_depend.refobjsubid
        where pg_rewrite.oid >= 16384
) as versions
left join pg_catalog.pg_class as relations on relations.oid = owner
where owner = 0 or owner >= 16384 and relations.relkind in ('r', 'p', 'v', 'm', 'f') -- below are the system's own
group by owner, relations.relname
order by owner
"""


@dataclass(frozen=True)
class Place:
    """The call that did something; `path` from the repository's root."""

    revision: str
    path: str
    line: int | None
    statement: str | None


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


class Recorder:
    """Compares the columns whenever another call of a revision is about to change something."""

    def __init__(self, connection: Connection, root_directory: Path, trace: Trace) -> None:
        self._connection, self._root_directory, self._trace = connection, root_directory, trace
        # Planning the queries takes as long as they do.
        self._query("set plan_cache_mode = force_generic_plan")
        self._query(f"prepare table_versions as {VERSIONS_SQL}")
        self._query(
            f"prepare table_columns (text[]) as {COLUMNS_SQL}", {"table_names": AsIs("$1"), "table_schemas": None}
        )
        self._versions = self._read_versions()
        self._values = self._read_columns(None)
        trace.first = {key: self._row(values) for key, values in self._values.items()}
        trace.last = dict(trace.first)
        event.listen(connection, "before_cursor_execute", self._before_cursor_execute)

    def begin(self, revision: Script) -> None:
        self._revision = revision
        self._calls = _Calls(Path(revision.path))
        self._call: tuple[int, ast.Call | None] | None = None

    def end(self) -> None:
        self._record()
        self._call = None

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
        values = self._read()
        keys = [key for key in self._values | values if self._values.get(key) != values.get(key)]
        self._values = values
        if not keys:
            return
        rows: dict[ColumnKey, tuple[Row | None, Row | None]] = {}
        for key in keys:
            before = self._trace.last.pop(key, None)
            if key in values:
                self._trace.last[key] = self._row(values[key])
            rows[key] = (before, self._trace.last.get(key))
        # Without a call, when something has passed SQLAlchemy by.
        line, call = self._call or (self._calls.upgrade_line, None)
        statement = self._calls.render(call) if call else None
        path = Path(self._revision.path).relative_to(self._root_directory).as_posix()
        self._trace.steps.append(Step(Place(self._revision.revision, path, line, statement), rows))

    def _read(self) -> dict[ColumnKey, tuple[Any, ...]]:
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
            values[TABLE_NAME]
            for values in self._values.values()
            if any(target["table_name"] in names for target in values[REFERENCES] or ())
        }
        kept = {key: values for key, values in self._values.items() if values[TABLE_NAME] not in names}
        return kept | self._read_columns(sorted(names))

    def _read_versions(self) -> dict[int, tuple[str, str]]:
        return {oid: (name, version) for oid, name, version in self._query("execute table_versions")}

    def _read_columns(self, table_names: list[str] | None) -> dict[ColumnKey, tuple[Any, ...]]:
        """The values of the columns of the tables with these names; None: of all."""
        return {values[-2:]: values for values in self._query("execute table_columns (%s)", (table_names,))}

    def _query(self, sql: str, parameters: Any = None) -> list[tuple[Any, ...]]:
        # Not by SQLAlchemy, which would tell its listener of this.
        with contextlib.closing(self._connection.connection.cursor()) as cursor:
            cursor.execute(sql, parameters)
            return list(cursor.fetchall()) if cursor.description else []

    def _row(self, values: tuple[Any, ...]) -> Row:
        return dict(zip(ROW_KEYS, values, strict=True))


class _Calls:
    """The calls in the file of a revision."""

    def __init__(self, path: Path) -> None:
        self._source = path.read_text(encoding="utf-8")
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
