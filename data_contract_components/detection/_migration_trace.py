"""What each `op.…` call of some migrations did to the columns of a scratch database."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from data_contract_components.detection._get_data_catalog import CATALOG_COLUMNS, CATALOG_SQL, CONSTRAINT_COLUMNS

# What two states of a column are compared by; those of a table have a name of their own.
COLUMN_FACTS = ("data_type", "primaryKey", *CONSTRAINT_COLUMNS, "comment")
TABLE_FACTS = {"table_type": "table_type", "comment": "table_comment"}
# A column keeps its number, and its table the oid, whatever they are called.
ColumnKey = tuple[int, int]
ROW_KEYS = (*CATALOG_COLUMNS, "primaryKey", "table_comment", "comment", "table_oid", "column_number")
Row = dict[str, Any]

COLUMNS_SQL = f"""
select
    catalog.*,
    catalog.constraint_type is not null as "primaryKey",
    pg_catalog.obj_description(relations.oid, 'pg_class') as table_comment,
    pg_catalog.col_description(relations.oid, attributes.attnum) as comment,
    relations.oid::bigint as table_oid,
    attributes.attnum as column_number
from ({CATALOG_SQL}) as catalog
join pg_catalog.pg_namespace as namespaces on namespaces.nspname = catalog.table_schema
join pg_catalog.pg_class as relations
    on relations.relnamespace = namespaces.oid and relations.relname = catalog.table_name
join pg_catalog.pg_attribute as attributes
    on attributes.attrelid = relations.oid and attributes.attname = catalog.column_name
order by relations.oid, attributes.attnum
"""

# Which rows of the catalogs the columns of a table come from, one line a table. A changed row has another ctid. Line 0
# is what may concern any table. With hundreds of tables it takes a tenth of what COLUMNS_SQL does.
VERSIONS_SQL = """
select owner, relations.relname::text as table_name, md5(string_agg(version, ' ' order by version)) as version
from (
    select oid as owner, 'class' || ctid as version from pg_catalog.pg_class where relkind in ('r', 'p', 'v', 'm', 'f')
    union all select attrelid, 'column' || ctid from pg_catalog.pg_attribute where attnum > 0
    union all select adrelid, 'default' || ctid from pg_catalog.pg_attrdef
    union all select conrelid, 'constraint' || ctid from pg_catalog.pg_constraint
    union all select indrelid, 'index' || ctid from pg_catalog.pg_index
    union all select ev_class, 'rule' || ctid from pg_catalog.pg_rewrite
    union all select objoid, 'comment' || ctid from pg_catalog.pg_description
        where classoid = 'pg_catalog.pg_class'::pg_catalog.regclass
    union all select 0, 'enum' || ctid from pg_catalog.pg_enum
    union all select 0, 'schema' || ctid from pg_catalog.pg_namespace
    union all select 0, 'type' || ctid from pg_catalog.pg_type where typrelid = 0 and typelem = 0 and oid >= 16384
    union all select 0, 'collation' || ctid from pg_catalog.pg_collation where oid >= 16384
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

    @classmethod
    def from_rows(cls, first: list[Row], steps: list[Any]) -> Trace:
        """A trace from what a worker answers; each of its steps is the fields of a place and pairs of rows."""
        trace = cls({_key_of(row): row for row in first})
        trace.last = dict(trace.first)
        for place, pairs in steps:
            rows = {_key_of(before or after): (before, after) for before, after in pairs}
            for key, (_, after) in rows.items():
                trace.last.pop(key, None)
                if after:
                    trace.last[key] = after
            trace.steps.append(Step(Place(*place), rows))
        return trace


def _key_of(row: Row) -> ColumnKey:
    return row["table_oid"], row["column_number"]
