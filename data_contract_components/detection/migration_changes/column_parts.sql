-- What readers and writers notice of a column and the catalog does not show, as a list of parts (see table_parts.sql).
-- The catalog describes PostgreSQL's own types completely. It does the same for the first type, its elements and its
-- base type, except for modifiers and what domains refuse.
--
-- A subquery of columns.sql: the column is `attributes`.
with recursive beneath as (
    select
        pg_type.oid, pg_type.typtype, pg_type.typname, pg_type.typrelid, pg_type.typelem, pg_type.typmodin,
        pg_type.typlen, pg_type.typbasetype, pg_type.typtypmod, pg_type.typnotnull, pg_type.typnamespace,
        attributes.atttypmod as modifier, '' collate "C" as path
    from pg_catalog.pg_type
    where pg_type.oid = attributes.atttypid and pg_type.oid >= 16384
    union all
    select
        pg_type.oid, pg_type.typtype, pg_type.typname, pg_type.typrelid, pg_type.typelem, pg_type.typmodin,
        pg_type.typlen, pg_type.typbasetype, pg_type.typtypmod, pg_type.typnotnull, pg_type.typnamespace,
        nexts.modifier, nexts.path
    from beneath
    cross join lateral (
        select beneath.typbasetype, beneath.typtypmod, beneath.path where beneath.typtype = 'd'
        union all
        select beneath.typelem, beneath.modifier, beneath.path || '[]' where beneath.typlen = -1
        union all
        select atttypid, atttypmod, beneath.path || '.' || attname
        from pg_catalog.pg_attribute
        where beneath.typtype = 'c' and attrelid = beneath.typrelid and attnum > 0 and not attisdropped
        union all
        select rngsubtype, -1, beneath.path || '.range' from pg_catalog.pg_range where rngtypid = beneath.oid
        union all
        select rngtypid, -1, beneath.path from pg_catalog.pg_range where rngmultitypid = beneath.oid
    ) as nexts (oid, modifier, path)
    join pg_catalog.pg_type on pg_type.oid = nexts.oid and pg_type.oid >= 16384
)
select coalesce(json_agg(json_build_array(key, name, definition, version) order by key, position, name), '[]')
from (
    select
        'physicalType' as key,
        path as name,
        to_json(pg_catalog.format_type(oid, modifier)) as definition,
        concat_ws('.', oid, modifier, typnamespace) as version,
        '' as position
    from beneath
    where path in ('', '[]') and not (typelem <> 0 and typlen = -1)
        and (typmodin <> 0 or typnamespace not in (select oid from pg_catalog.pg_namespace where nspname = 'public'))
    union all
    select
        'field',
        path || '.' || attname,
        to_json(ltrim(path || '.' || attname, '.[]') || ' ' || pg_catalog.format_type(atttypid, atttypmod)),
        concat_ws('.', 'field', attrelid, attname, atttypid, atttypmod),
        path || lpad(attnum::text, 5, '0')
    from beneath
    join pg_catalog.pg_attribute on attrelid = typrelid and attnum > 0 and not attisdropped
    where typtype = 'c'
    union all
    select
        'subtype',
        path,
        to_json(ltrim(path || ' ', '.[] ') || pg_catalog.format_type(coalesce(rngsubtype, typbasetype), typtypmod)),
        null,
        ''
    from beneath
    left join pg_catalog.pg_range on rngtypid = beneath.oid
    where rngsubtype is not null or typtype = 'd' and path not in ('', '[]')
    union all
    select 'enum', path, json_agg(enumlabel order by enumsortorder), null, ''
    from beneath
    join pg_catalog.pg_enum on enumtypid = beneath.oid
    where path not in ('', '[]')
    group by path
    union all
    select
        'constraint',
        concat_ws(' ', path, typname, refusals.name),
        to_json(ltrim(path || ' ', '.[] ') || refusals.definition),
        refusals.version,
        ''
    from beneath
    cross join lateral (
        select conname, pg_catalog.pg_get_constraintdef(pg_constraint.oid), pg_constraint.oid || '.' || xmin
        from pg_catalog.pg_constraint
        where contypid = beneath.oid and contype = 'c'
        union all
        select null, 'NOT NULL', null where typnotnull and path <> ''
    ) as refusals (name, definition, version)
    where typtype = 'd'
    union all
    select 'domain_default', '', to_json(typdefault), null, ''
    from pg_catalog.pg_type
    where oid = attributes.atttypid and typtype = 'd' and typdefault is not null
    union all
    select
        'generation_expression',
        '',
        to_json(
            pg_catalog.pg_get_expr(adbin, adrelid)
                || case attributes.attgenerated when 'v' then ' VIRTUAL' else ' STORED' end
        ),
        oid || '.' || xmin,
        ''
    from pg_catalog.pg_attrdef
    where adrelid = attributes.attrelid and adnum = attributes.attnum and attributes.attgenerated <> ''
    union all
    select 'privilege', role, to_json(role || ': ' || string_agg(privilege, ', ' order by privilege)), null, ''
    from (
        select coalesce(nullif(grantee::pg_catalog.regrole::text, '-'), 'PUBLIC'), privilege_type
        from pg_catalog.aclexplode(attributes.attacl)
    ) as privileges (role, privilege)
    group by role
) as parts
