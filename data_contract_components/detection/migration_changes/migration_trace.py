"""What each `op.…` call of some migrations did to the columns of a scratch database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from data_contract_components.detection._get_data_catalog import CATALOG_SQL, CONSTRAINT_COLUMNS
from data_contract_components.detection.migration_changes.changes import Place
from data_contract_components.detection.migration_changes.table_parts import COLUMN_PARTS_SQL, TABLE_PARTS_SQL

# What two states of a column are compared by; those of a table have a name of their own.
COLUMN_FACTS = {key: key for key in ("data_type", "primaryKey", *CONSTRAINT_COLUMNS, "identity_generation", "comment")}
TABLE_FACTS = {"table_type": "table_type", "comment": "table_comment"}
# A column keeps its number, and its table the oid, whatever they are called.
ColumnKey = tuple[int, int]
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

    @classmethod
    def from_rows(cls, first: list[Row], steps: list[Any]) -> Trace:
        """A trace from what a worker answers; each of its steps is the fields of a place and pairs of rows."""
        trace = cls({column_key_of(row): row for row in first})
        trace.last = dict(trace.first)
        for place, pairs in steps:
            rows = {column_key_of(before or after): (before, after) for before, after in pairs}
            for key, (_, after) in rows.items():
                trace.last.pop(key, None)
                if after:
                    trace.last[key] = after
            trace.steps.append(Step(Place(*place), rows))
        return trace


def column_key_of(row: Row) -> ColumnKey:
    return row["table_oid"], row["column_number"]


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
