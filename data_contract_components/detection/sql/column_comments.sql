select attname::text as column_name, pg_catalog.col_description(attrelid, attnum) as description
from pg_catalog.pg_attribute
join pg_catalog.pg_class on pg_class.oid = attrelid
join pg_catalog.pg_namespace on pg_namespace.oid = relnamespace
where nspname = %s and relname = %s and attnum > 0 and not attisdropped
order by attnum
