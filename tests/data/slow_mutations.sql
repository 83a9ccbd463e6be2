create function wait_before_mutation() returns event_trigger language plpgsql as $$
begin
    if current_query() ~ 'before_mutation' then
        perform pg_sleep(1);
    end if;
end
$$;
create event trigger wait_before_mutation on ddl_command_start execute function wait_before_mutation();
