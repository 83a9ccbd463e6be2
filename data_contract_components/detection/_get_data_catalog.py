"""Step 2 of the flow: what the database holds, in the words of information_schema, one row a column."""

from collections.abc import Collection, Hashable
from contextlib import suppress
from typing import Any

import pandas as pd

from data_contract_components.data_assets._query_postgres_helper import INSUFFICIENT_PRIVILEGE, PostgresDB
from data_contract_components.errors import CatalogHiddenError, QueryError

CatalogRow = dict[Hashable, Any]

TABLE_KEY = ("table_catalog", "table_schema", "table_name")
COLUMN_KEY = (*TABLE_KEY, "column_name")
# Those that a contract speaks of by the same name.
CONSTRAINT_COLUMNS = (
    "is_nullable",
    "is_updatable",
    "character_maximum_length",
    "numeric_precision",
    "numeric_scale",
    "datetime_precision",
    "interval_type",
    "udt_name",
    "domain_name",
    "collation_name",
    "column_default",
    "is_identity",
    "is_generated",
    "enum",
    "unique",
    "references",
    "array_element_data_type",
    "array_element_character_maximum_length",
    "array_element_numeric_precision",
    "array_element_numeric_scale",
    "array_element_datetime_precision",
    "array_element_udt_name",
    "array_element_dimensions",
)
CATALOG_COLUMNS = (*COLUMN_KEY, "table_type", "data_type", "constraint_type", *CONSTRAINT_COLUMNS)

# A default is printed as the session's settings have it, and the check is to say the same to everybody.
SETTINGS_SQL = """
set local search_path = public;
set local timezone = 'UTC';
set local datestyle = 'ISO, MDY';
set local intervalstyle = 'postgres';
set local extra_float_digits = 1;
set local bytea_output = 'hex';
set local standard_conforming_strings = on;
set local quote_all_identifiers = off;
"""
# Each column is what information_schema.columns gives for it (its definition is in PostgreSQL's
# src/backend/catalog/information_schema.sql), from the tables beneath, because the view
#   - shows no table on which the role has no right, and a check needs no right to any row;
#   - leaves out materialized views;
#   - takes five times as long with a thousand tables.
# What it does not have at all:
#   - keys, from pg_constraint: key_column_usage hides them from a role that may only read, and constraint_column_usage
#     shows on PostgreSQL 18 each NOT NULL as well, and foreign keys by the column they point to;
#   - UNIQUE, from pg_index, which has the constraints' indexes and those that are made without one;
#   - length, precision, scale and dimensions of array elements, from the column's type modifier: element_types leaves
#     them empty, and takes minutes with thousands of tables.
CATALOG_SQL = """
with relations as materialized (
    select
        pg_class.oid,
        pg_namespace.nspname::text as table_schema,
        pg_class.relname::text as table_name,
        case pg_class.relkind
            when 'v' then 'VIEW' when 'm' then 'MATERIALIZED VIEW' when 'f' then 'FOREIGN' else 'BASE TABLE'
        end as table_type,
        pg_class.relkind in ('r', 'p') as is_table,
        -- without a handler, pg_column_is_updatable fails
        pg_class.relkind = 'v' or pg_foreign_data_wrapper.fdwhandler <> 0 as may_be_updatable
    from pg_catalog.pg_class
    join pg_catalog.pg_namespace on pg_namespace.oid = pg_class.relnamespace
    left join pg_catalog.pg_foreign_table on pg_foreign_table.ftrelid = pg_class.oid
    left join pg_catalog.pg_foreign_server on pg_foreign_server.oid = pg_foreign_table.ftserver
    left join pg_catalog.pg_foreign_data_wrapper on pg_foreign_data_wrapper.oid = pg_foreign_server.srvfdw
    where pg_class.relkind in ('r', 'p', 'v', 'm', 'f')
        and pg_namespace.nspname not in ('pg_catalog', 'information_schema')
        and not pg_catalog.pg_is_other_temp_schema(pg_namespace.oid)
        and (%(table_names)s::text[] is null or pg_class.relname = any (%(table_names)s::text[]))
        and (%(table_schemas)s::text[] is null or pg_namespace.nspname = any (%(table_schemas)s::text[]))
),
attributes as materialized (
    select pg_attribute.*
    from relations
    join pg_catalog.pg_attribute on pg_attribute.attrelid = relations.oid
    where pg_attribute.attnum > 0 and not pg_attribute.attisdropped
),
types as materialized (
    select
        used.atttypid,
        used.atttypmod,
        case
            when elements.oid is not null then 'ARRAY'
            when base_namespaces.nspname = 'pg_catalog' then pg_catalog.format_type(base_types.oid, null)
            else 'USER-DEFINED'
        end as data_type,
        pg_type.typtype = 'd' and pg_type.typnotnull as is_not_null,
        information_schema._pg_char_max_length(base_types.oid, modifiers.typmod) as character_maximum_length,
        information_schema._pg_numeric_precision(base_types.oid, modifiers.typmod) as numeric_precision,
        information_schema._pg_numeric_scale(base_types.oid, modifiers.typmod) as numeric_scale,
        information_schema._pg_datetime_precision(base_types.oid, modifiers.typmod) as datetime_precision,
        information_schema._pg_interval_type(base_types.oid, modifiers.typmod) as interval_type,
        base_types.typname::text as udt_name,
        case when pg_type.typtype = 'd' then pg_type.typname::text end as domain_name,
        (
            select array_agg(pg_enum.enumlabel::text order by pg_enum.enumsortorder)
            from pg_catalog.pg_enum
            where pg_enum.enumtypid = coalesce(elements.oid, base_types.oid)
        ) as enum,
        case
            when elements.oid is null then null
            when element_namespaces.nspname = 'pg_catalog' then pg_catalog.format_type(elements.oid, null)
            else 'USER-DEFINED'
        end as element_data_type,
        information_schema._pg_char_max_length(elements.oid, modifiers.typmod) as element_character_maximum_length,
        information_schema._pg_numeric_precision(elements.oid, modifiers.typmod) as element_numeric_precision,
        information_schema._pg_numeric_scale(elements.oid, modifiers.typmod) as element_numeric_scale,
        information_schema._pg_datetime_precision(elements.oid, modifiers.typmod) as element_datetime_precision,
        elements.typname::text as element_udt_name,
        case when pg_type.typtype = 'd' then pg_type.typndims::integer end as domain_dimensions
    from (select distinct attributes.atttypid, attributes.atttypmod from attributes) as used
    join pg_catalog.pg_type on pg_type.oid = used.atttypid
    join pg_catalog.pg_type as base_types
        on base_types.oid = case when pg_type.typtype = 'd' then pg_type.typbasetype else pg_type.oid end
    join pg_catalog.pg_namespace as base_namespaces on base_namespaces.oid = base_types.typnamespace
    cross join lateral (
        select case when pg_type.typtype = 'd' then pg_type.typtypmod else used.atttypmod end as typmod
    ) as modifiers
    left join pg_catalog.pg_type as elements on elements.oid = base_types.typelem and base_types.typlen = -1
    left join pg_catalog.pg_namespace as element_namespaces on element_namespaces.oid = elements.typnamespace
),
primary_keys as materialized (
    select pg_constraint.conrelid, keys.attnum
    from relations
    join pg_catalog.pg_constraint on pg_constraint.conrelid = relations.oid and pg_constraint.contype = 'p'
    cross join lateral unnest(pg_constraint.conkey) as keys (attnum)
),
unique_columns as materialized (
    select distinct pg_index.indrelid, pg_index.indkey[0] as attnum
    from relations
    join pg_catalog.pg_index on pg_index.indrelid = relations.oid
    where pg_index.indisunique and not pg_index.indisprimary and pg_index.indisvalid
        and pg_index.indnkeyatts = 1 and pg_index.indpred is null
),
foreign_keys as materialized (
    select
        pg_constraint.conrelid,
        keys.attnum,
        json_agg(
            json_build_object(
                'table_schema', pg_namespace.nspname,
                'table_name', pg_class.relname,
                'column_name', pg_attribute.attname
            )
            order by pg_constraint.conname
        ) as targets
    from relations
    join pg_catalog.pg_constraint on pg_constraint.conrelid = relations.oid and pg_constraint.contype = 'f'
    -- a key that points to a partitioned table has one more row for each of its parts
    left join pg_catalog.pg_constraint as wholes
        on wholes.oid = pg_constraint.conparentid and wholes.conrelid = pg_constraint.conrelid
    cross join lateral unnest(pg_constraint.conkey, pg_constraint.confkey) as keys (attnum, target_attnum)
    join pg_catalog.pg_class on pg_class.oid = pg_constraint.confrelid
    join pg_catalog.pg_namespace on pg_namespace.oid = pg_class.relnamespace
    join pg_catalog.pg_attribute
        on pg_attribute.attrelid = pg_class.oid and pg_attribute.attnum = keys.target_attnum
    where wholes.oid is null
    group by pg_constraint.conrelid, keys.attnum
)
select
    pg_catalog.current_database()::text as table_catalog,
    relations.table_schema,
    relations.table_name,
    attributes.attname::text as column_name,
    relations.table_type,
    types.data_type,
    case when primary_keys.attnum is not null then 'PRIMARY KEY' end as constraint_type,
    not (attributes.attnotnull or types.is_not_null) as is_nullable,
    case
        when relations.is_table then true
        when relations.may_be_updatable
            then pg_catalog.pg_column_is_updatable(relations.oid, attributes.attnum, false)
        else false
    end as is_updatable,
    types.character_maximum_length,
    types.numeric_precision,
    types.numeric_scale,
    types.datetime_precision,
    types.interval_type,
    types.udt_name,
    types.domain_name,
    case when pg_collation.collname <> 'default' then pg_collation.collname::text end as collation_name,
    case when attributes.attgenerated = '' then pg_catalog.pg_get_expr(pg_attrdef.adbin, pg_attrdef.adrelid) end
        as column_default,
    attributes.attidentity <> '' as is_identity,
    attributes.attgenerated <> '' as is_generated,
    types.enum,
    unique_columns.attnum is not null as unique,
    foreign_keys.targets as references,
    types.element_data_type as array_element_data_type,
    types.element_character_maximum_length as array_element_character_maximum_length,
    types.element_numeric_precision as array_element_numeric_precision,
    types.element_numeric_scale as array_element_numeric_scale,
    types.element_datetime_precision as array_element_datetime_precision,
    types.element_udt_name as array_element_udt_name,
    -- 0 where PostgreSQL does not know them: of a view's column, and of one that was made from a query
    case when types.element_data_type is not null then coalesce(types.domain_dimensions, attributes.attndims) end
        as array_element_dimensions
from relations
join attributes on attributes.attrelid = relations.oid
join types on types.atttypid = attributes.atttypid and types.atttypmod = attributes.atttypmod
left join primary_keys on primary_keys.conrelid = relations.oid and primary_keys.attnum = attributes.attnum
left join unique_columns on unique_columns.indrelid = relations.oid and unique_columns.attnum = attributes.attnum
left join foreign_keys on foreign_keys.conrelid = relations.oid and foreign_keys.attnum = attributes.attnum
left join pg_catalog.pg_collation on pg_collation.oid = attributes.attcollation
left join pg_catalog.pg_attrdef
    on pg_attrdef.adrelid = relations.oid and pg_attrdef.adnum = attributes.attnum
order by relations.table_schema, relations.table_name, attributes.attnum
"""


TABLES_SQL = """
select pg_namespace.nspname::text as table_schema, pg_class.relname::text as table_name
from pg_catalog.pg_class
join pg_catalog.pg_namespace on pg_namespace.oid = pg_class.relnamespace
where pg_class.relkind in ('r', 'p', 'v', 'm', 'f')
    and pg_namespace.nspname not in ('pg_catalog', 'information_schema')
    and pg_namespace.nspname !~ '^pg_(temp|toast)'
    and not pg_class.relispartition
    and pg_class.relname <> 'alembic_version'
order by table_schema, table_name
"""


def get_data_catalog(
    database: PostgresDB | None = None, tables: Collection[tuple[str, str]] | None = None
) -> pd.DataFrame:
    """The columns of the tables and views with one of the schemas and one of the names in `tables`; None: of all.

    Shape: one row per (table_catalog, table_schema, table_name, column_name), unique, ordered by table and position;
        columns are CATALOG_COLUMNS, NULL is pd.NA (None for the lists `enum` and `references`).
    Units: numeric_precision in bits for integers, decimal digits for numeric; datetime_precision in digits of a second.
    Raises: DatabaseUnavailableError, CatalogHiddenError, QueryError; nothing is changed, and no row of a table read.
    Source: PostgreSQL manual, "information_schema.columns", "pg_attribute", "pg_type", "pg_constraint" and "pg_index".
    """
    # Two simple conditions, as a join with the pairs takes longer; the few tables too many do no harm.
    parameters = {
        "table_schemas": None if tables is None else sorted({schema for schema, _ in tables}),
        "table_names": None if tables is None else sorted({name for _, name in tables}),
    }
    database = database or PostgresDB()
    try:
        return database.query(SETTINGS_SQL + CATALOG_SQL, parameters)
    except QueryError as error:
        if error.sql_state != INSUFFICIENT_PRIVILEGE:
            raise
        role = "of DATABASE_URL"
        with suppress(QueryError):  # in a transaction that has failed, nothing can be asked any more
            role = str(database.query("select current_user::text as role")["role"][0])
        raise CatalogHiddenError(role, error.reason) from error


def get_table_names(database: PostgresDB | None = None) -> list[tuple[str, str]]:
    """Schema and name of every table and view, in their order, without alembic's own and the parts of a table."""
    tables_df = (database or PostgresDB()).query(TABLES_SQL)
    return list(tables_df.itertuples(index=False, name=None))


def to_rows(df: pd.DataFrame) -> list[CatalogRow]:
    """The rows as dicts of Python's own values, NULL as None."""
    # Column by column: DataFrame.to_dict takes fifty times as long.
    names = list(df.columns)
    values = (df[name].array.to_numpy(dtype="object", na_value=None).tolist() for name in names)
    return [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]
