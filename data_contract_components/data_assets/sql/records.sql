-- By what the comment begins with, as neither a table's name nor the search_path says which table alembic uses.
select nspname as table_schema, relname as table_name, description as record
from pg_catalog.pg_description
join pg_catalog.pg_class on pg_class.oid = objoid
join pg_catalog.pg_namespace on pg_namespace.oid = relnamespace
where classoid = 'pg_catalog.pg_class'::pg_catalog.regclass and objsubid = 0
    and pg_catalog.starts_with(description, '{"data_contracts_record":')
order by nspname, relname
