-- What a statement that breaks a clause has to name, and the catalog does not have: one row per column of a table.
-- Parameters: schema and name of the table.
with recursive attributes as materialized (
    select pg_attribute.*
    from pg_catalog.pg_attribute
    join pg_catalog.pg_class on pg_class.oid = pg_attribute.attrelid
    join pg_catalog.pg_namespace on pg_namespace.oid = pg_class.relnamespace
    where pg_namespace.nspname = %s and pg_class.relname = %s
        and pg_attribute.attnum > 0 and not pg_attribute.attisdropped
),
-- include ../sql/resolved_types.sql
select
    attributes.attname::text as column_name,
    pg_catalog.format_type(attributes.atttypid, attributes.atttypmod) as type,
    pg_catalog.format_type(resolved_types.base_oid, resolved_types.base_typmod) as base_type,
    pg_catalog.format_type(resolved_types.leaf_oid, resolved_types.leaf_typmod) as array_element_base_type,
    array(
        select pg_constraint.conname::text
        from pg_catalog.pg_constraint
        where pg_constraint.conrelid = attributes.attrelid and pg_constraint.contype = 'p'
    ) as primary_keys,
    array(
        select pg_constraint.conname::text
        from pg_catalog.pg_constraint
        where pg_constraint.conrelid = attributes.attrelid and pg_constraint.contype = 'f'
            and attributes.attnum = any (pg_constraint.conkey)
        order by pg_constraint.conname
    ) as foreign_keys,
    array(
        select indexes.relname::text
        from pg_catalog.pg_index
        join pg_catalog.pg_class as indexes on indexes.oid = pg_index.indexrelid
        where pg_index.indrelid = attributes.attrelid and pg_index.indisunique and not pg_index.indisprimary
            and pg_index.indnkeyatts = 1 and pg_index.indkey[0] = attributes.attnum
        order by indexes.relname
    ) as unique_indexes
from attributes
join resolved_types using (atttypid, atttypmod)
order by attributes.attnum
