-- Tables and views that a user created: not the system's, temporary ones, an extension's or alembic's default table.
select nspname || '.' || relname as name
from pg_catalog.pg_class
join pg_catalog.pg_namespace on pg_namespace.oid = relnamespace
where relkind in ('r', 'p', 'f', 'v', 'm') and relname <> 'alembic_version'
    and nspname !~ '^pg_' and nspname <> 'information_schema'
    and not exists (
        select from pg_catalog.pg_depend
        where classid = 'pg_catalog.pg_class'::pg_catalog.regclass and objid = pg_class.oid and deptype = 'e'
    )
order by name
