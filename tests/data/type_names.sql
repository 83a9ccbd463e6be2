-- The names of the built-in types, as PostgreSQL prints them.
select pg_catalog.format_type(oid, null) as name
from pg_catalog.pg_type
where typnamespace = 'pg_catalog'::pg_catalog.regnamespace and typtype in ('b', 'r', 'm', 'c')
    and pg_catalog.format_type(oid, null) not like '%[]'
order by name
