-- Settings of the current database, then those of the session's role in it, which override the role's own.
select settings.setrole <> 0 as is_of_role, split_part(entry, '=', 1) as name,
    substr(entry, strpos(entry, '=') + 1) as value
from pg_catalog.pg_db_role_setting as settings, unnest(settings.setconfig) as entry
where settings.setdatabase = (
        select databases.oid from pg_catalog.pg_database as databases where databases.datname = current_database()
    )
    and (settings.setrole = 0 or settings.setrole::regrole = quote_ident(session_user)::regrole)
order by settings.setrole, name
