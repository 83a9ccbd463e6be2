do $$ declare name text; begin
    for name in
        select nspname from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema'
    loop execute format('drop schema %I cascade', name); end loop;
    drop foreign data wrapper if exists w cascade;
    create schema public;
end $$
