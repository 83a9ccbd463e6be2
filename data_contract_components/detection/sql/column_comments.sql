-- The comments of the columns of the tables with one of these schemas and one of these names.
select
    pg_namespace.nspname::text as table_schema,
    pg_class.relname::text as table_name,
    pg_attribute.attname::text as column_name,
    pg_catalog.col_description(pg_attribute.attrelid, pg_attribute.attnum) as comment
from pg_catalog.pg_attribute
join pg_catalog.pg_class on pg_class.oid = pg_attribute.attrelid
join pg_catalog.pg_namespace on pg_namespace.oid = pg_class.relnamespace
where pg_namespace.nspname = any (%(table_schemas)s) and pg_class.relname = any (%(table_names)s)
    and pg_attribute.attnum > 0 and not pg_attribute.attisdropped
    and pg_catalog.col_description(pg_attribute.attrelid, pg_attribute.attnum) is not null
order by table_schema, table_name, pg_attribute.attnum
