-- Scratch databases of this role whose process has ended. Another role's sessions are hidden from this one, and its
-- databases are not for this one to drop.
select databases.datname
from pg_catalog.pg_database as databases
where databases.datname ~ '^contracts_scratch_[0-9a-f]+_[0-9]+$'
    and databases.datdba = (select roles.oid from pg_catalog.pg_roles as roles where roles.rolname = current_user)
    and not exists (
        select from pg_catalog.pg_stat_activity as sessions
        where sessions.application_name = pg_catalog.regexp_replace(databases.datname, '_[0-9]+$', '')
    )
order by databases.datname
