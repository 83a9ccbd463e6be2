-- One row per column, as information_schema.columns shows it (defined in PostgreSQL's
-- src/backend/catalog/information_schema.sql), but read from the tables beneath, because that view
--   - shows no table on which the role has no right, and a check needs no right to any row;
--   - leaves out materialized views;
--   - takes five times as long with a thousand tables.
-- Two columns differ from the view on purpose:
--   - a domain over a domain is resolved to its base type, where the view stops at the second domain;
--   - is_nullable is false only where PostgreSQL has validated NOT NULL and enforces it. Domains over views' columns do
--     not count: an outer join gives NULL (PostgreSQL manual, "CREATE DOMAIN"). On foreign tables nothing is enforced.
-- The view does not have:
--   - keys and UNIQUE, here from pg_index: key_column_usage hides them from a role that may only read, and on
--     PostgreSQL 18 constraint_column_usage also shows each NOT NULL, and foreign keys by the column they point to;
--   - length, precision, scale and dimensions of array elements, here from the column's type modifier: element_types
--     leaves them empty, and takes minutes with thousands of tables.
-- A constraint or index that is not valid, validated or enforced, or that has a disabled trigger, counts as missing,
-- even if this is so in one partition only. A deferrable key counts: it is checked when the transaction ends.
-- Tables that INHERIT without being partitions take over NOT NULL and no keys: their rows break no key of the parent.
--
-- Parameters: table_names and table_schemas, each an array or null for all.
with recursive relations as materialized (
    select
        pg_class.oid,
        pg_namespace.nspname::text as table_schema,
        pg_class.relname::text as table_name,
        case pg_class.relkind
            when 'v' then 'VIEW' when 'm' then 'MATERIALIZED VIEW' when 'f' then 'FOREIGN' else 'BASE TABLE'
        end as table_type,
        pg_class.relkind in ('r', 'p') as is_table,
        -- without a handler, pg_column_is_updatable fails
        pg_class.relkind = 'v' or pg_foreign_data_wrapper.fdwhandler <> 0 as may_be_updatable
    from pg_catalog.pg_class
    join pg_catalog.pg_namespace on pg_namespace.oid = pg_class.relnamespace
    left join pg_catalog.pg_foreign_table on pg_foreign_table.ftrelid = pg_class.oid
    left join pg_catalog.pg_foreign_server on pg_foreign_server.oid = pg_foreign_table.ftserver
    left join pg_catalog.pg_foreign_data_wrapper on pg_foreign_data_wrapper.oid = pg_foreign_server.srvfdw
    where pg_class.relkind in ('r', 'p', 'v', 'm', 'f')
        and pg_namespace.nspname not in ('pg_catalog', 'information_schema')
        and pg_class.relpersistence <> 't'
        and (%(table_names)s::text[] is null or pg_class.relname = any (%(table_names)s::text[]))
        and (%(table_schemas)s::text[] is null or pg_namespace.nspname = any (%(table_schemas)s::text[]))
),
attributes as materialized (
    select pg_attribute.*
    from relations
    join pg_catalog.pg_attribute on pg_attribute.attrelid = relations.oid
    where pg_attribute.attnum > 0 and not pg_attribute.attisdropped
),
-- include resolved_types.sql
, types as materialized (
    select
        resolved_types.*,
        case
            when leaves.oid is not null then 'ARRAY'
            when base_namespaces.nspname = 'pg_catalog' then pg_catalog.format_type(bases.oid, null)
            else 'USER-DEFINED'
        end as data_type,
        information_schema._pg_char_max_length(bases.oid, base_typmod) as character_maximum_length,
        information_schema._pg_numeric_precision(bases.oid, base_typmod) as numeric_precision,
        information_schema._pg_numeric_scale(bases.oid, base_typmod) as numeric_scale,
        information_schema._pg_datetime_precision(bases.oid, base_typmod) as datetime_precision,
        information_schema._pg_interval_type(bases.oid, base_typmod) as interval_type,
        bases.typname::text as udt_name,
        case when pg_type.typtype = 'd' then pg_type.typname::text end as domain_name,
        case when coalesce(leaves.typtype, bases.typtype) = 'e' then array(
            select pg_enum.enumlabel::text
            from pg_catalog.pg_enum
            where pg_enum.enumtypid = coalesce(leaves.oid, bases.oid)
            order by pg_enum.enumsortorder
        ) end as enum,
        pg_catalog.format_type(resolved_types.atttypid, resolved_types.atttypmod) as physical_type,
        case when coalesce(leaves.typtype, bases.typtype) = 'c' then (
            select coalesce(
                json_object_agg(
                    pg_attribute.attname, pg_catalog.format_type(pg_attribute.atttypid, pg_attribute.atttypmod)
                    order by pg_attribute.attnum
                ),
                '{}'
            )
            from pg_catalog.pg_attribute
            where pg_attribute.attrelid = coalesce(leaves.typrelid, bases.typrelid)
                and pg_attribute.attnum > 0 and not pg_attribute.attisdropped
        ) end as fields,
        case
            when leaves.oid is null then null
            when leaf_namespaces.nspname = 'pg_catalog' then pg_catalog.format_type(leaves.oid, null)
            else 'USER-DEFINED'
        end as element_data_type,
        information_schema._pg_char_max_length(leaves.oid, leaf_typmod) as element_character_maximum_length,
        information_schema._pg_numeric_precision(leaves.oid, leaf_typmod) as element_numeric_precision,
        information_schema._pg_numeric_scale(leaves.oid, leaf_typmod) as element_numeric_scale,
        information_schema._pg_datetime_precision(leaves.oid, leaf_typmod) as element_datetime_precision,
        elements.typname::text as element_udt_name
    from resolved_types
    cross join lateral (select * from pg_catalog.pg_type where oid = resolved_types.atttypid offset 0) as pg_type
    cross join lateral (select * from pg_catalog.pg_type where oid = resolved_types.base_oid offset 0) as bases
    join pg_catalog.pg_namespace as base_namespaces on base_namespaces.oid = bases.typnamespace
    left join lateral (select * from pg_catalog.pg_type where oid = resolved_types.element_oid offset 0) as elements
        on true
    left join lateral (select * from pg_catalog.pg_type where oid = resolved_types.leaf_oid offset 0) as leaves on true
    left join pg_catalog.pg_namespace as leaf_namespaces on leaf_namespaces.oid = leaves.typnamespace
),
-- the tables that a query of a table also reads: its partitions, and those that inherit from it
parts as (
    select relations.oid, pg_inherits.inhrelid as part_oid
    from relations
    join pg_catalog.pg_inherits on pg_inherits.inhparent = relations.oid
    union
    select parts.oid, pg_inherits.inhrelid
    from parts
    join pg_catalog.pg_inherits on pg_inherits.inhparent = parts.part_oid
),
not_null_gaps as materialized (
    select gaps.oid, gaps.attname, min(gaps.reason) as reason
    from (
        select
            owners.oid,
            pg_attribute.attname,
            'NOT NULL constraint "' || pg_constraint.conname || '"' || owners.words || ' is not validated' as reason
        from (
            select relations.oid, relations.oid as part_oid, '' as words from relations
            union all
            select parts.oid, parts.part_oid, ' of ' || parts.part_oid::pg_catalog.regclass from parts
        ) as owners
        join pg_catalog.pg_constraint on pg_constraint.conrelid = owners.part_oid
        join pg_catalog.pg_attribute
            on pg_attribute.attrelid = pg_constraint.conrelid and pg_attribute.attnum = pg_constraint.conkey[1]
        where pg_constraint.contype = 'n' and not pg_constraint.convalidated
        union all
        select
            parts.oid,
            attributes.attname,
            'child table ' || parts.part_oid::pg_catalog.regclass || case pg_class.relkind
                when 'f' then ' is a foreign table, where PostgreSQL never enforces NOT NULL' else ' has no NOT NULL'
            end
        from parts
        join pg_catalog.pg_class on pg_class.oid = parts.part_oid
        cross join lateral (
            select pg_attribute.attname
            from pg_catalog.pg_attribute
            where pg_attribute.attrelid = parts.part_oid and (pg_class.relkind = 'f' or not pg_attribute.attnotnull)
            offset 0
        ) as nullable
        join attributes on attributes.attrelid = parts.oid and attributes.attname = nullable.attname
        where pg_class.relkind = 'f' or attributes.attnotnull
    ) as gaps
    group by gaps.oid, gaps.attname
),
-- PostgreSQL has one more constraint per partition, of the table with the key and of the one it refers to. A gap in
-- one is a gap in that of the whole table; where the trigger is the other table's, also in those of all partitions.
key_gaps as (
    (
        select
            pg_constraint.oid,
            pg_constraint.conparentid,
            false as is_of_target,
            'FOREIGN KEY constraint "' || pg_constraint.conname || '"'
                || case when pg_constraint.conparentid = 0 then ''
                    else ' of ' || pg_constraint.conrelid::pg_catalog.regclass end
                -- PostgreSQL has the column from version 18 on
                || case when to_jsonb(pg_constraint) ->> 'conenforced' = 'false' then ' is not enforced'
                    else ' is not validated' end as reason
        from pg_catalog.pg_constraint
        where pg_constraint.contype = 'f' and not pg_constraint.convalidated
        union all
        select
            pg_constraint.oid,
            pg_constraint.conparentid,
            pg_trigger.tgrelid = pg_constraint.confrelid,
            case pg_constraint.contype when 'f' then 'FOREIGN KEY' when 'p' then 'PRIMARY KEY' else 'UNIQUE' end
                || ' constraint "' || pg_constraint.conname || '" has a disabled trigger on '
                || pg_trigger.tgrelid::pg_catalog.regclass
        from pg_catalog.pg_trigger
        join pg_catalog.pg_constraint on pg_constraint.oid = pg_trigger.tgconstraint
        join pg_catalog.pg_class on pg_class.oid = pg_trigger.tgrelid
        -- those of a partitioned table itself never fire
        where pg_trigger.tgisinternal and pg_trigger.tgenabled not in ('O', 'A') and pg_class.relkind <> 'p'
    )
    union
    select pg_constraint.oid, pg_constraint.conparentid, key_gaps.is_of_target, key_gaps.reason
    from key_gaps
    join pg_catalog.pg_constraint
        on pg_constraint.oid = key_gaps.conparentid
        or key_gaps.is_of_target and pg_constraint.conparentid = key_gaps.oid
),
key_reasons as materialized (
    select key_gaps.oid, min(key_gaps.reason) as reason from key_gaps group by key_gaps.oid
),
indexes as materialized (
    select
        pg_index.*,
        pg_class.relname::text as name,
        pg_class.relkind,
        pg_index.indpred is null and pg_index.indexprs is null as is_whole,
        case
            when not (pg_index.indisvalid and pg_index.indisready and pg_index.indislive)
                then 'index "' || pg_class.relname || '" is not valid'
            -- a deferrable key is checked by a trigger
            when not pg_index.indimmediate then (
                select key_reasons.reason
                from pg_catalog.pg_constraint
                join key_reasons on key_reasons.oid = pg_constraint.oid
                where pg_constraint.conrelid = pg_index.indrelid and pg_constraint.contype in ('p', 'u')
                    and pg_constraint.conindid = pg_index.indexrelid
            )
        end as reason
    from relations
    join pg_catalog.pg_index on pg_index.indrelid = relations.oid
    join pg_catalog.pg_class on pg_class.oid = pg_index.indexrelid
    where pg_index.indisunique
),
keys as materialized (
    select
        indexes.indrelid,
        key_columns.attnum,
        bool_or(indexes.indisprimary and indexes.reason is null) as is_primary,
        bool_or(not indexes.indisprimary and indexes.reason is null) as is_unique,
        min(indexes.reason) filter (where indexes.indisprimary) as primary_reason,
        min(indexes.reason) filter (where not indexes.indisprimary) as unique_reason
    from indexes
    cross join lateral unnest(indexes.indkey) with ordinality as key_columns (attnum, position)
    where indexes.is_whole and (indexes.indisprimary or indexes.indnkeyatts = 1)
        and key_columns.position <= indexes.indnkeyatts
    group by indexes.indrelid, key_columns.attnum
),
-- foreign keys, CHECK and exclusion constraints
other_constraints as materialized (
    select
        pg_constraint.*,
        relations.is_table,
        key_reasons.reason as key_reason,
        -- PostgreSQL has the column from version 18 on
        to_jsonb(pg_constraint) ->> 'conenforced' is distinct from 'false' as is_enforced
    from relations
    join pg_catalog.pg_constraint on pg_constraint.conrelid = relations.oid and pg_constraint.contype in ('f', 'c', 'x')
    -- a key that points to a partitioned table has one more row for each of its parts
    left join pg_catalog.pg_constraint as wholes
        on wholes.oid = pg_constraint.conparentid and wholes.conrelid = pg_constraint.conrelid
    left join key_reasons on key_reasons.oid = pg_constraint.oid
    where wholes.oid is null
),
foreign_keys as materialized (
    select
        other_constraints.conrelid,
        key_columns.attnum,
        json_agg(
            json_build_object(
                'table_schema', pg_namespace.nspname,
                'table_name', pg_class.relname,
                'column_name', pg_attribute.attname
            )
            order by other_constraints.conname
        ) filter (where other_constraints.key_reason is null) as targets,
        string_agg(other_constraints.key_reason, '; ' order by other_constraints.conname) as reason
    from other_constraints
    cross join lateral unnest(other_constraints.conkey, other_constraints.confkey)
        as key_columns (attnum, target_attnum)
    join pg_catalog.pg_class on pg_class.oid = other_constraints.confrelid
    join pg_catalog.pg_namespace on pg_namespace.oid = pg_class.relnamespace
    join pg_catalog.pg_attribute
        on pg_attribute.attrelid = pg_class.oid and pg_attribute.attnum = key_columns.target_attnum
    where other_constraints.contype = 'f'
    group by other_constraints.conrelid, key_columns.attnum
),
-- What can refuse a row of a table, for the promises of the whole table. A constraint that is not validated refuses new
-- rows all the same.
table_constraints as materialized (
    select
        constraints.table_oid,
        (
            select min(pg_attribute.attnum)
            from pg_catalog.pg_attribute
            where pg_attribute.attrelid = constraints.table_oid
                and pg_attribute.attnum > 0 and not pg_attribute.attisdropped
        ) as first_attnum,
        json_agg(
            json_build_object(
                'kind', constraints.kind,
                'name', constraints.name,
                'columns', array(
                    select pg_attribute.attname
                    from unnest(constraints.attnums) with ordinality as key_columns (attnum, position)
                    join pg_catalog.pg_attribute
                        on pg_attribute.attrelid = constraints.table_oid and pg_attribute.attnum = key_columns.attnum
                    order by key_columns.position
                ),
                'references', case when constraints.target_oid <> 0 then (
                    select json_build_object(
                        'table_schema', min(pg_namespace.nspname),
                        'table_name', min(pg_class.relname),
                        'columns', json_agg(pg_attribute.attname order by key_columns.position)
                    )
                    from unnest(constraints.target_attnums) with ordinality as key_columns (attnum, position)
                    join pg_catalog.pg_attribute
                        on pg_attribute.attrelid = constraints.target_oid and pg_attribute.attnum = key_columns.attnum
                    join pg_catalog.pg_class on pg_class.oid = pg_attribute.attrelid
                    join pg_catalog.pg_namespace on pg_namespace.oid = pg_class.relnamespace
                ) end,
                'definition', constraints.definition,
                'reason', constraints.reason,
                'refuses_rows', constraints.refuses_rows
            )
            order by constraints.kind, constraints.name
        ) as constraints
    from (
        select
            indrelid as table_oid,
            case when indisprimary then 'PRIMARY KEY' else 'UNIQUE' end as kind,
            name,
            (indkey::smallint[])[0:indnkeyatts - 1] as attnums,
            0::oid as target_oid,
            null::smallint[] as target_attnums,
            case when not is_whole then
                'UNIQUE ' || regexp_replace(pg_catalog.pg_get_indexdef(indexrelid), '^.*? USING \w+ ', '')
            end as definition,
            reason,
            -- the index of a partitioned table itself has no row
            reason is null or indimmediate and indisready and relkind = 'i' as refuses_rows
        from indexes
        union all
        select
            conrelid,
            case contype when 'f' then 'FOREIGN KEY' when 'c' then 'CHECK' else 'EXCLUDE' end,
            conname::text,
            conkey,
            confrelid,
            confkey,
            case contype
                when 'c' then pg_catalog.pg_get_expr(conbin, conrelid)
                when 'x' then pg_catalog.pg_get_constraintdef(oid)
            end,
            case
                when contype = 'f' then key_reason
                when not is_table then 'PostgreSQL never enforces CHECK on a foreign table'
                when not is_enforced then 'CHECK constraint "' || conname || '" is not enforced'
                when not convalidated then 'CHECK constraint "' || conname || '" is not validated'
                -- rows of a child table are rows of the table, too
                when contype = 'c' then (
                    select min(
                        'child table ' || parts.part_oid::pg_catalog.regclass || case pg_class.relkind
                            when 'f' then ' is a foreign table, where PostgreSQL never enforces CHECK'
                            else ' has no CHECK constraint "' || other_constraints.conname || '"'
                        end
                    )
                    from parts
                    join pg_catalog.pg_class on pg_class.oid = parts.part_oid
                    left join pg_catalog.pg_constraint
                        on pg_constraint.conrelid = parts.part_oid and pg_constraint.contype = 'c'
                        and pg_constraint.conname = other_constraints.conname
                    where parts.oid = other_constraints.conrelid
                        and (pg_class.relkind = 'f' or pg_constraint.oid is null)
                )
            end,
            -- a disabled trigger refuses nothing
            is_table and is_enforced and (key_reason is null or not convalidated)
        from other_constraints
    ) as constraints
    group by constraints.table_oid
)
select
    pg_catalog.current_database()::text as table_catalog,
    relations.table_schema,
    relations.table_name,
    attributes.attname::text as column_name,
    relations.table_type,
    types.data_type,
    case when keys.is_primary then 'PRIMARY KEY' end as constraint_type,
    coalesce(keys.is_primary, false) as "primaryKey",
    not (attributes.attnotnull or types.is_not_null) or not_nulls.reason is not null as is_nullable,
    case
        when relations.is_table then true
        when relations.may_be_updatable
            then pg_catalog.pg_column_is_updatable(relations.oid, attributes.attnum, false)
        else false
    end as is_updatable,
    types.character_maximum_length,
    types.numeric_precision,
    types.numeric_scale,
    types.datetime_precision,
    types.interval_type,
    types.udt_name,
    types.domain_name,
    case when pg_collation.collname <> 'default' then pg_collation.collname::text end as collation_name,
    case when attributes.attgenerated = '' then pg_catalog.pg_get_expr(pg_attrdef.adbin, pg_attrdef.adrelid) end
        as column_default,
    attributes.attidentity <> '' as is_identity,
    attributes.attgenerated <> '' as is_generated,
    types.enum,
    coalesce(keys.is_unique, false) as unique,
    foreign_keys.targets as references,
    types.physical_type as "physicalType",
    types.fields,
    case when attributes.attgenerated <> '' then pg_catalog.pg_get_expr(pg_attrdef.adbin, pg_attrdef.adrelid) end
        as generation_expression,
    types.element_data_type as array_element_data_type,
    types.element_character_maximum_length as array_element_character_maximum_length,
    types.element_numeric_precision as array_element_numeric_precision,
    types.element_numeric_scale as array_element_numeric_scale,
    types.element_datetime_precision as array_element_datetime_precision,
    types.element_udt_name as array_element_udt_name,
    -- 0 where PostgreSQL does not know them: of a view's column, and of one that was made from a query
    case
        when types.leaf_oid is null then null
        when coalesce(types.domain_dimensions, attributes.attndims) = 0 then 0
        else coalesce(types.domain_dimensions, attributes.attndims) + types.inner_dimensions
    end as array_element_dimensions,
    case when coalesce(not_nulls.reason, keys.primary_reason, keys.unique_reason, foreign_keys.reason) is not null then
        json_strip_nulls(json_build_object(
            'is_nullable', not_nulls.reason,
            'primaryKey', keys.primary_reason,
            'unique', case when not keys.is_unique then keys.unique_reason end,
            'references', foreign_keys.reason
        ))
    end as not_enforced,
    table_constraints.constraints as table_constraints
from relations
join attributes on attributes.attrelid = relations.oid
join types on types.atttypid = attributes.atttypid and types.atttypmod = attributes.atttypmod
left join not_null_gaps on not_null_gaps.oid = relations.oid and not_null_gaps.attname = attributes.attname
cross join lateral (
    select case
        when not relations.is_table then 'PostgreSQL never enforces NOT NULL on a view or foreign table: '
            'write "is_nullable": true if it is meant to be one'
        when attributes.attnotnull or types.is_not_null then not_null_gaps.reason
    end as reason
) as not_nulls
left join keys on keys.indrelid = relations.oid and keys.attnum = attributes.attnum
left join foreign_keys on foreign_keys.conrelid = relations.oid and foreign_keys.attnum = attributes.attnum
left join table_constraints
    on table_constraints.table_oid = relations.oid and table_constraints.first_attnum = attributes.attnum
left join pg_catalog.pg_collation on pg_collation.oid = attributes.attcollation
left join pg_catalog.pg_attrdef
    on pg_attrdef.adrelid = relations.oid and pg_attrdef.adnum = attributes.attnum
order by relations.table_schema, relations.table_name, attributes.attnum
