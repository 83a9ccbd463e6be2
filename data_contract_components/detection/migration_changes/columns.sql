-- The catalog with what else readers and writers notice: comments, parts, and the numbers that identify a column.
-- Parameters: those of the catalog.
with catalog as materialized (
    -- include ../sql/catalog.sql
),
tables as materialized (
    select
        namespaces.nspname as table_schema,
        relations.relname as table_name,
        relations.oid,
        pg_catalog.obj_description(relations.oid, 'pg_class') as comment,
        (
            -- include table_parts.sql
        ) as parts
    from pg_catalog.pg_class as relations
    join pg_catalog.pg_namespace as namespaces on namespaces.oid = relations.relnamespace
    where (namespaces.nspname, relations.relname) in (select table_schema, table_name from catalog)
)
select
    catalog.*,
    tables.comment as table_comment,
    pg_catalog.col_description(tables.oid, attributes.attnum) as comment,
    case attributes.attidentity when 'a' then 'ALWAYS' when 'd' then 'BY DEFAULT' end as identity_generation,
    tables.parts as table_parts,
    (
        -- include column_parts.sql
    ) as column_parts,
    tables.oid::bigint as table_oid,
    attributes.attnum as column_number
from catalog
join tables on tables.table_schema = catalog.table_schema and tables.table_name = catalog.table_name
join pg_catalog.pg_attribute as attributes
    on attributes.attrelid = tables.oid and attributes.attname = catalog.column_name
order by tables.oid, attributes.attnum
