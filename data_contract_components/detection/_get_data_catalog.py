"""Step 2 of the flow: what the database holds, as information_schema tells it, one row a column."""

import pandas as pd

from data_contract_components.data_assets._query_postgres_helper import PostgresDB

TABLE_KEY = ("table_catalog", "table_schema", "table_name")
COLUMN_KEY = (*TABLE_KEY, "column_name")
CATALOG_COLUMNS = (
    *COLUMN_KEY,
    "data_type",
    "constraint_type",
    "is_nullable",
    "is_updatable",
    "character_maximum_length",
    "numeric_precision",
    "datetime_precision",
    "array_element_data_type",
    "array_element_character_maximum_length",
    "array_element_numeric_precision",
    "array_element_datetime_precision",
)

# Keys come from pg_constraint: information_schema.key_column_usage shows none to a role that may only read, and
# constraint_column_usage shows on PostgreSQL 18 each NOT NULL as well, and foreign keys by the column they point to.
# Element types come from pg_type and the column's type modifier: information_schema.element_types leaves length and
# precision empty, and takes minutes with thousands of tables.
CATALOG_SQL = """
select
    columns.table_catalog,
    columns.table_schema,
    columns.table_name,
    columns.column_name,
    columns.data_type,
    case when attributes.attnum = any (primary_keys.conkey) then 'PRIMARY KEY' end as constraint_type,
    columns.is_nullable = 'YES' as is_nullable,
    columns.is_updatable = 'YES' as is_updatable,
    columns.character_maximum_length,
    columns.numeric_precision,
    columns.datetime_precision,
    case
        when columns.data_type <> 'ARRAY' then null
        when element_namespaces.nspname = 'pg_catalog' then pg_catalog.format_type(elements.oid, null)
        else 'USER-DEFINED'
    end as array_element_data_type,
    information_schema._pg_char_max_length(elements.oid, attributes.atttypmod)
        as array_element_character_maximum_length,
    information_schema._pg_numeric_precision(elements.oid, attributes.atttypmod) as array_element_numeric_precision,
    information_schema._pg_datetime_precision(elements.oid, attributes.atttypmod) as array_element_datetime_precision
from information_schema.columns
join pg_catalog.pg_namespace as namespaces on namespaces.nspname = columns.table_schema
join pg_catalog.pg_class as relations
    on relations.relnamespace = namespaces.oid and relations.relname = columns.table_name
join pg_catalog.pg_attribute as attributes
    on attributes.attrelid = relations.oid and attributes.attname = columns.column_name
left join pg_catalog.pg_constraint as primary_keys
    on primary_keys.conrelid = relations.oid and primary_keys.contype = 'p'
left join pg_catalog.pg_type as arrays
    on columns.data_type = 'ARRAY'
    and arrays.typnamespace = (select oid from pg_catalog.pg_namespace where nspname = columns.udt_schema)
    and arrays.typname = columns.udt_name
left join pg_catalog.pg_type as elements on elements.oid = arrays.typelem
left join pg_catalog.pg_namespace as element_namespaces on element_namespaces.oid = elements.typnamespace
where columns.table_schema not in ('pg_catalog', 'information_schema')
order by columns.table_schema, columns.table_name, columns.ordinal_position
"""


def get_data_catalog(database: PostgresDB | None = None) -> pd.DataFrame:
    """The columns of every table and view that the current role may see.

    Shape: one row per (table_catalog, table_schema, table_name, column_name), unique, ordered by table and position;
        columns are CATALOG_COLUMNS, NULL is pd.NA.
    Units: numeric_precision in bits for integers, decimal digits for numeric; datetime_precision in digits of a second.
    Raises: DatabaseUnavailableError, QueryError; nothing is changed in the database.
    Source: PostgreSQL manual, "information_schema.columns", "pg_constraint" and "pg_type".
    """
    return (database or PostgresDB()).query(CATALOG_SQL)
