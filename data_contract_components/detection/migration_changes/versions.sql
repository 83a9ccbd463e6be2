-- Which rows of the system catalogs describe each table, one row per table: a changed row has another ctid.
-- Owner 0 stands for what may concern any table. With hundreds of tables this takes a tenth of the columns' time.
select owner, relations.relname::text as table_name, md5(string_agg(version, ' ' order by version)) as version
from (
    select oid as owner, 'class' || ctid as version from pg_catalog.pg_class where relkind in ('r', 'p', 'v', 'm', 'f')
    union all select attrelid, 'column' || ctid from pg_catalog.pg_attribute where attnum > 0
    union all select adrelid, 'default' || ctid from pg_catalog.pg_attrdef
    union all select conrelid, 'constraint' || ctid from pg_catalog.pg_constraint
    union all select indrelid, 'index' || ctid from pg_catalog.pg_index
    union all select ev_class, 'rule' || ctid from pg_catalog.pg_rewrite
    union all select tgrelid, 'trigger' || ctid from pg_catalog.pg_trigger
    union all select polrelid, 'policy' || ctid from pg_catalog.pg_policy
    union all select unnest(array[inhrelid, inhparent]), 'inherits' || ctid from pg_catalog.pg_inherits
    union all select ftrelid, 'foreign' || ctid from pg_catalog.pg_foreign_table
    union all select objoid, 'comment' || ctid from pg_catalog.pg_description
        where classoid = 'pg_catalog.pg_class'::pg_catalog.regclass
    union all select 0, 'enum' || ctid from pg_catalog.pg_enum
    union all select 0, 'schema' || ctid from pg_catalog.pg_namespace
    union all select 0, 'type' || ctid from pg_catalog.pg_type where typrelid = 0 and typelem = 0 and oid >= 16384
    union all select 0, 'field' || fields.ctid from pg_catalog.pg_class as types
        join pg_catalog.pg_attribute as fields on fields.attrelid = types.oid where types.relkind = 'c'
    union all select 0, 'composite' || ctid from pg_catalog.pg_class where relkind = 'c'
    union all select tgrelid, 'function' || pg_proc.ctid from pg_catalog.pg_trigger
        join pg_catalog.pg_proc on pg_proc.oid = tgfoid where not tgisinternal
    union all select 0, 'function' || ctid from pg_catalog.pg_proc
        where oid >= 16384 and prorettype <> 'pg_catalog.trigger'::pg_catalog.regtype and exists (
            select from pg_catalog.pg_depend
            where refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass and refobjid = pg_proc.oid and classid in (
                'pg_catalog.pg_constraint'::pg_catalog.regclass, 'pg_catalog.pg_attrdef'::pg_catalog.regclass,
                'pg_catalog.pg_policy'::pg_catalog.regclass, 'pg_catalog.pg_rewrite'::pg_catalog.regclass
            )
        )
    union all select 0, 'collation' || ctid from pg_catalog.pg_collation where oid >= 16384
    -- what a view is made of, by the names that its definition shows
    union all select pg_rewrite.ev_class, 'source' || sources.ctid from pg_catalog.pg_rewrite
        join pg_catalog.pg_depend on pg_depend.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
            and pg_depend.objid = pg_rewrite.oid and pg_depend.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
        join pg_catalog.pg_attribute as sources
            on sources.attrelid = pg_depend.refobjid and sources.attnum = pg_depend.refobjsubid
        where pg_rewrite.oid >= 16384
) as versions
left join pg_catalog.pg_class as relations on relations.oid = owner
where owner = 0 or owner >= 16384 and relations.relkind in ('r', 'p', 'v', 'm', 'f') -- below are the system's own
group by owner, relations.relname
order by owner
