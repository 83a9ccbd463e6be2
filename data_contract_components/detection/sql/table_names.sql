-- Tables and views, without alembic's own table and the partitions of a table.
select pg_namespace.nspname::text as table_schema, pg_class.relname::text as table_name
from pg_catalog.pg_class
join pg_catalog.pg_namespace on pg_namespace.oid = pg_class.relnamespace
where pg_class.relkind in ('r', 'p', 'v', 'm', 'f')
    and pg_namespace.nspname not in ('pg_catalog', 'information_schema')
    and pg_namespace.nspname !~ '^pg_(temp|toast)'
    and not pg_class.relispartition
    and pg_class.relname <> 'alembic_version'
order by table_schema, table_name
