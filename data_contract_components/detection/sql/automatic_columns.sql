-- The columns that have a value where an INSERT gives none, and whether they accept none.
-- Parameters: table_names and table_schemas, each an array.
select
    pg_namespace.nspname::text as table_schema,
    pg_class.relname::text as table_name,
    pg_attribute.attname::text as column_name,
    pg_attribute.attgenerated <> '' or pg_attribute.attidentity = 'a' as is_always
from pg_catalog.pg_class
join pg_catalog.pg_namespace on pg_namespace.oid = pg_class.relnamespace
join pg_catalog.pg_attribute on pg_attribute.attrelid = pg_class.oid
join pg_catalog.pg_type on pg_type.oid = pg_attribute.atttypid
where pg_attribute.attnum > 0
    and not pg_attribute.attisdropped
    -- a domain's default is no column_default, and serves as well
    and (pg_attribute.atthasdef or pg_attribute.attidentity <> '' or pg_type.typdefault is not null)
    and pg_class.relname = any (%(table_names)s::text[])
    and pg_namespace.nspname = any (%(table_schemas)s::text[])
order by table_schema, table_name, column_name
