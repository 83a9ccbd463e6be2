"""Step 2 of the flow: what the database holds, in the words of information_schema, one row a column."""

from collections.abc import Collection, Hashable
from typing import Any

import pandas as pd

from data_contract_components.data_assets._query_postgres_helper import PostgresDB

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
select
    pg_catalog.current_database()::text as table_catalog,
    namespaces.nspname::text as table_schema,
    relations.relname::text as table_name,
    attributes.attname::text as column_name,
    case relations.relkind
        when 'v' then 'VIEW' when 'm' then 'MATERIALIZED VIEW' when 'f' then 'FOREIGN' else 'BASE TABLE'
    end as table_type,
    case
        when base_types.typelem <> 0 and base_types.typlen = -1 then 'ARRAY'
        when base_namespaces.nspname = 'pg_catalog' then pg_catalog.format_type(base_types.oid, null)
        else 'USER-DEFINED'
    end as data_type,
    case when attributes.attnum = any (primary_keys.conkey) then 'PRIMARY KEY' end as constraint_type,
    not (attributes.attnotnull or types.typtype = 'd' and types.typnotnull) as is_nullable,
    case
        when relations.relkind in ('r', 'p') then true
        when relations.relkind = 'v' or wrappers.fdwhandler <> 0 -- without a handler, the function fails
            then pg_catalog.pg_column_is_updatable(relations.oid, attributes.attnum, false)
        else false
    end as is_updatable,
    information_schema._pg_char_max_length(base_types.oid, modifiers.typmod) as character_maximum_length,
    information_schema._pg_numeric_precision(base_types.oid, modifiers.typmod) as numeric_precision,
    information_schema._pg_numeric_scale(base_types.oid, modifiers.typmod) as numeric_scale,
    information_schema._pg_datetime_precision(base_types.oid, modifiers.typmod) as datetime_precision,
    information_schema._pg_interval_type(base_types.oid, modifiers.typmod) as interval_type,
    base_types.typname::text as udt_name,
    case when types.typtype = 'd' then types.typname::text end as domain_name,
    case when collations.collname <> 'default' then collations.collname::text end as collation_name,
    case when attributes.attgenerated = '' then pg_catalog.pg_get_expr(defaults.adbin, defaults.adrelid) end
        as column_default,
    attributes.attidentity <> '' as is_identity,
    attributes.attgenerated <> '' as is_generated,
    (
        select array_agg(labels.enumlabel::text order by labels.enumsortorder)
        from pg_catalog.pg_enum as labels
        where labels.enumtypid = coalesce(elements.oid, base_types.oid)
    ) as enum,
    exists (
        select from pg_catalog.pg_index as indexes
        where indexes.indrelid = relations.oid and indexes.indisunique and not indexes.indisprimary
            and indexes.indisvalid and indexes.indnkeyatts = 1 and indexes.indkey[0] = attributes.attnum
            and indexes.indpred is null
    ) as unique,
    (
        select json_agg(
            json_build_object(
                'table_schema', target_namespaces.nspname,
                'table_name', targets.relname,
                'column_name', target_attributes.attname
            )
            order by foreign_keys.conname
        )
        from pg_catalog.pg_constraint as foreign_keys
        join pg_catalog.pg_class as targets on targets.oid = foreign_keys.confrelid
        join pg_catalog.pg_namespace as target_namespaces on target_namespaces.oid = targets.relnamespace
        join pg_catalog.pg_attribute as target_attributes
            on target_attributes.attrelid = targets.oid
            and target_attributes.attnum
                = foreign_keys.confkey[array_position(foreign_keys.conkey, attributes.attnum)]
        where foreign_keys.conrelid = relations.oid and foreign_keys.contype = 'f'
            and foreign_keys.conparentid = 0
    ) as references,
    case
        when elements.oid is null then null
        when element_namespaces.nspname = 'pg_catalog' then pg_catalog.format_type(elements.oid, null)
        else 'USER-DEFINED'
    end as array_element_data_type,
    information_schema._pg_char_max_length(elements.oid, modifiers.typmod) as array_element_character_maximum_length,
    information_schema._pg_numeric_precision(elements.oid, modifiers.typmod) as array_element_numeric_precision,
    information_schema._pg_numeric_scale(elements.oid, modifiers.typmod) as array_element_numeric_scale,
    information_schema._pg_datetime_precision(elements.oid, modifiers.typmod) as array_element_datetime_precision,
    elements.typname::text as array_element_udt_name,
    case
        when elements.oid is null then null
        when types.typtype = 'd' then types.typndims::integer
        else attributes.attndims::integer
    end as array_element_dimensions
from pg_catalog.pg_class as relations
join pg_catalog.pg_namespace as namespaces on namespaces.oid = relations.relnamespace
join pg_catalog.pg_attribute as attributes
    on attributes.attrelid = relations.oid and attributes.attnum > 0 and not attributes.attisdropped
join pg_catalog.pg_type as types on types.oid = attributes.atttypid
join pg_catalog.pg_type as base_types
    on base_types.oid = case when types.typtype = 'd' then types.typbasetype else types.oid end
join pg_catalog.pg_namespace as base_namespaces on base_namespaces.oid = base_types.typnamespace
cross join lateral (
    select case when types.typtype = 'd' then types.typtypmod else attributes.atttypmod end as typmod
) as modifiers
left join pg_catalog.pg_type as elements on elements.oid = base_types.typelem and base_types.typlen = -1
left join pg_catalog.pg_namespace as element_namespaces on element_namespaces.oid = elements.typnamespace
left join pg_catalog.pg_collation as collations on collations.oid = attributes.attcollation
left join pg_catalog.pg_attrdef as defaults
    on defaults.adrelid = relations.oid and defaults.adnum = attributes.attnum
left join pg_catalog.pg_constraint as primary_keys
    on primary_keys.conrelid = relations.oid and primary_keys.contype = 'p'
left join pg_catalog.pg_foreign_table as foreign_tables on foreign_tables.ftrelid = relations.oid
left join pg_catalog.pg_foreign_server as servers on servers.oid = foreign_tables.ftserver
left join pg_catalog.pg_foreign_data_wrapper as wrappers on wrappers.oid = servers.srvfdw
where relations.relkind in ('r', 'p', 'v', 'm', 'f')
    and namespaces.nspname not in ('pg_catalog', 'information_schema')
    and not pg_catalog.pg_is_other_temp_schema(namespaces.oid)
    and (%(table_names)s::text[] is null or relations.relname = any (%(table_names)s::text[]))
    and (%(table_schemas)s::text[] is null or namespaces.nspname = any (%(table_schemas)s::text[]))
order by table_schema, table_name, attributes.attnum
"""


def get_data_catalog(
    database: PostgresDB | None = None, tables: Collection[tuple[str, str]] | None = None
) -> pd.DataFrame:
    """The columns of the tables and views with one of the schemas and one of the names in `tables`; None: of all.

    Shape: one row per (table_catalog, table_schema, table_name, column_name), unique, ordered by table and position;
        columns are CATALOG_COLUMNS, NULL is pd.NA (None for the lists `enum` and `references`).
    Units: numeric_precision in bits for integers, decimal digits for numeric; datetime_precision in digits of a second.
    Raises: DatabaseUnavailableError, QueryError; nothing is changed in the database, and no row of a table is read.
    Source: PostgreSQL manual, "information_schema.columns", "pg_attribute", "pg_type", "pg_constraint" and "pg_index".
    """
    # Two simple conditions, as a join with the pairs takes longer; the few tables too many do no harm.
    parameters = {
        "table_schemas": None if tables is None else sorted({schema for schema, _ in tables}),
        "table_names": None if tables is None else sorted({name for _, name in tables}),
    }
    return (database or PostgresDB()).query(CATALOG_SQL, parameters)


def to_rows(df: pd.DataFrame) -> list[CatalogRow]:
    """The rows as dicts of Python's own values, NULL as None."""
    values = df.astype("object").where(df.notna(), None).to_numpy().tolist()
    # DataFrame.to_dict takes five times as long.
    return [dict(zip(df.columns, row, strict=True)) for row in values]
