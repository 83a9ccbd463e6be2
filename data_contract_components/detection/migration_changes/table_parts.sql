-- What readers and writers notice of a table and the catalog does not show, as a list of parts.
--
-- A part is a list of key, name, definition and version. Two parts are the same when they have the same definition,
-- whatever their names, or the same version: the row of the system catalog that they come from, which stays as it is
-- when a column, table or type that the definition mentions is renamed.
-- A constraint of one column that the column's own keys describe completely (UNIQUE, PRIMARY KEY, NOT NULL, a plain
-- FOREIGN KEY) is not a part. Left out, as nobody notices them when reading or writing: the names of constraints and
-- indexes, indexes that are not unique, statistics, storage, tablespaces, UNLOGGED, the owner and the owner's rights.
--
-- A subquery of columns.sql: the table is `relations`, its schema `namespaces`.
select coalesce(json_agg(json_build_array(key, name, definition, version) order by key, name, version), '[]')
from (
    select 'constraint' as key, constraints.name, constraints.definition, constraints.version
    from (
        select
            conname::text as name,
            regexp_replace(pg_catalog.pg_get_constraintdef(pg_constraint.oid), ' WITH \([^()]*\)', '')
                || case when (indisvalid and indisready) is false then ' (invalid index)' else '' end as definition,
            pg_constraint.oid || '.' || pg_constraint.xmin || coalesce('.' || pg_index.xmin, '') as version,
            case when cardinality(conkey) = 1 then conkey[1] end as column_number
        from pg_catalog.pg_constraint
        left join pg_catalog.pg_index on indexrelid = conindid and contype in ('p', 'u', 'x')
        where conrelid = relations.oid and contype <> 't'
            -- a key that points to a partitioned table has one more row for each of its parts
            and not exists (
                select from pg_catalog.pg_constraint as wholes
                where wholes.oid = pg_constraint.conparentid and wholes.conrelid = pg_constraint.conrelid
            )
        union all
        select
            'index ' || indexrelid::pg_catalog.regclass,
            'UNIQUE ' || regexp_replace(
                regexp_replace(pg_catalog.pg_get_indexdef(indexrelid), '^.*? USING btree ', ''), ' WITH \([^()]*\)', ''
            ) || case when (indisvalid and indisready) is false then ' (invalid index)' else '' end,
            indexrelid || '.' || xmin,
            case when indnkeyatts = 1 then indkey[0] end
        from pg_catalog.pg_index
        where indrelid = relations.oid and indisunique
            and not exists (
                select from pg_catalog.pg_constraint where conindid = indexrelid and contype in ('p', 'u', 'x')
            )
    ) as constraints
    left join pg_catalog.pg_attribute on attrelid = relations.oid and attnum = constraints.column_number
    where attname is null
        or constraints.definition !~ '^FOREIGN KEY [^)]*\) REFERENCES [^)]*\)$' and constraints.definition not in (
            'NOT NULL ' || quote_ident(attname),
            'UNIQUE (' || quote_ident(attname) || ')',
            'PRIMARY KEY (' || quote_ident(attname) || ')'
        )
    union all
    select
        kind,
        name,
        definition || case enabled
            when 'D' then ' (disabled)' when 'R' then ' (replica)' when 'A' then ' (always)' else ''
        end,
        version
    from (
        select 'trigger', tgname, pg_catalog.pg_get_triggerdef(oid), tgenabled, oid || '.' || xmin
        from pg_catalog.pg_trigger
        where tgrelid = relations.oid and not tgisinternal
        union all
        select 'rule', rulename, pg_catalog.pg_get_ruledef(oid), ev_enabled, oid || '.' || xmin
        from pg_catalog.pg_rewrite
        where ev_class = relations.oid and rulename <> '_RETURN'
    ) as actions (kind, name, definition, enabled, version)
    union all
    select
        'view_definition',
        '',
        pg_catalog.pg_get_viewdef(relations.oid) || case when relations.relispopulated then '' else ' WITH NO DATA' end,
        oid || '.' || xmin || '.' || relations.relispopulated
    from pg_catalog.pg_rewrite
    where ev_class = relations.oid and rulename = '_RETURN'
    union all
    -- what all of these, defaults and policies call
    select
        'function',
        pg_proc.oid::pg_catalog.regprocedure::text,
        pg_catalog.pg_get_functiondef(pg_proc.oid),
        pg_proc.oid || '.' || pg_proc.xmin
    from (
        select tableoid, oid from pg_catalog.pg_constraint where conrelid = relations.oid
        union all select tableoid, oid from pg_catalog.pg_attrdef where adrelid = relations.oid
        union all select tableoid, oid from pg_catalog.pg_trigger where tgrelid = relations.oid and not tgisinternal
        union all select tableoid, oid from pg_catalog.pg_policy where polrelid = relations.oid
        union all select tableoid, oid from pg_catalog.pg_rewrite where ev_class = relations.oid
    ) as callers
    join pg_catalog.pg_depend
        on classid = callers.tableoid and objid = callers.oid and refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass
    join pg_catalog.pg_proc on pg_proc.oid = refobjid and prokind <> 'a' and pg_proc.oid >= 16384
    group by pg_proc.oid, pg_proc.xmin
    union all
    select
        'row security',
        '',
        case when relations.relrowsecurity and relations.relforcerowsecurity then 'forced'
            when relations.relrowsecurity then 'on' else 'off' end,
        null
    where relations.relkind in ('r', 'p')
    union all
    select
        'policy',
        polname,
        concat_ws(
            ' ',
            case when not polpermissive then 'RESTRICTIVE' end,
            case polcmd
                when 'r' then 'SELECT' when 'a' then 'INSERT' when 'w' then 'UPDATE' when 'd' then 'DELETE' else 'ALL'
            end,
            (
                select 'TO ' || string_agg(coalesce(nullif(role::pg_catalog.regrole::text, '-'), 'PUBLIC'), ', ')
                from unnest(polroles) as role
            ),
            'USING (' || pg_catalog.pg_get_expr(polqual, polrelid) || ')',
            'WITH CHECK (' || pg_catalog.pg_get_expr(polwithcheck, polrelid) || ')'
        ),
        oid || '.' || xmin
    from pg_catalog.pg_policy
    where polrelid = relations.oid
    union all
    select 'partition key', '', pg_catalog.pg_get_partkeydef(relations.oid), relations.oid::text
    where relations.relkind = 'p'
    union all
    select
        case when children.relispartition then 'partition' else 'inheritance' end,
        inhrelid || ' ' || inhparent,
        concat_ws(
            ' ',
            case when inhrelid = relations.oid then 'of ' || inhparent::pg_catalog.regclass
                else inhrelid::pg_catalog.regclass::text end,
            pg_catalog.pg_get_expr(children.relpartbound, children.oid)
        ),
        concat_ws('.', inhrelid, inhparent, pg_catalog.pg_get_expr(children.relpartbound, children.oid))
    from pg_catalog.pg_inherits
    join pg_catalog.pg_class as children on children.oid = inhrelid
    where relations.oid in (inhparent, inhrelid)
    union all
    select 'option', split_part(option, '=', 1), option, null
    from unnest(
        case when relations.relkind = 'v' then relations.reloptions end || (
            select ftoptions || ('server=' || srvname)
            from pg_catalog.pg_foreign_table
            join pg_catalog.pg_foreign_server on pg_foreign_server.oid = ftserver
            where ftrelid = relations.oid
        )
    ) as option
    union all
    select 'privilege', role || kind, role || ': ' || string_agg(privilege || kind, ', ' order by privilege), null
    from (
        select coalesce(nullif(grantee::pg_catalog.regrole::text, '-'), 'PUBLIC'), privilege_type, ''
        from pg_catalog.aclexplode(relations.relacl)
        where grantee <> relations.relowner
        union all
        select coalesce(nullif(grantee::pg_catalog.regrole::text, '-'), 'PUBLIC'), privilege_type, ' of the schema'
        from pg_catalog.aclexplode(namespaces.nspacl)
        where grantee <> namespaces.nspowner and privilege_type = 'USAGE'
    ) as privileges (role, privilege, kind)
    group by role, kind
) as parts
