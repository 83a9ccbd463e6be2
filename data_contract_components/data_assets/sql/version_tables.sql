-- Alembic's tables, whatever their names: those that have the column version_num and no other.
select nspname as table_schema, relname as table_name
from pg_catalog.pg_class
join pg_catalog.pg_namespace on pg_namespace.oid = relnamespace
where relkind = 'r' and relpersistence <> 't'
    and (
        select pg_catalog.array_agg(attname::text) from pg_catalog.pg_attribute
        where attrelid = pg_class.oid and attnum > 0 and not attisdropped
    ) = array['version_num']
order by nspname, relname
