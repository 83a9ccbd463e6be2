-- What a migration may find beside tables, in the order in which it can be created.
select 'schema' as kind, namespaces.nspname::text as name,
    pg_catalog.format('create schema %I', namespaces.nspname) as statement, namespaces.oid
from pg_catalog.pg_namespace as namespaces
where namespaces.nspname !~ '^pg_' and namespaces.nspname <> 'information_schema'
union all
select 'extension', extensions.extname::text,
    pg_catalog.format('create extension %I schema %I cascade', extensions.extname, namespaces.nspname), extensions.oid
from pg_catalog.pg_extension as extensions
join pg_catalog.pg_namespace as namespaces on namespaces.oid = extensions.extnamespace
order by kind desc, oid
