-- Two common table expressions, to stand behind one named `attributes`: each type of a column, resolved completely.
-- The base is the type that a domain is made of. Where that is an array, `element` is the type of its elements, and
-- `leaf` the type that this is made of.
-- OFFSET 0 makes PostgreSQL look up the few rows by oid; by its estimates it would read all of them.
type_chains as (
    select distinct
        attributes.atttypid,
        attributes.atttypmod,
        attributes.atttypid as oid,
        attributes.atttypmod as typmod,
        0 as arrays,
        null::integer as dimensions
    from attributes
    union
    select
        type_chains.atttypid,
        type_chains.atttypmod,
        case when pg_type.typtype = 'd' then pg_type.typbasetype else pg_type.typelem end,
        case when pg_type.typtype = 'd' then pg_type.typtypmod else type_chains.typmod end,
        type_chains.arrays + case when pg_type.typtype = 'd' then 0 else 1 end,
        case when pg_type.typtype = 'd' then pg_type.typndims end
    from type_chains
    cross join lateral (select * from pg_catalog.pg_type where pg_type.oid = type_chains.oid offset 0) as pg_type
    where pg_type.typtype = 'd' or pg_type.typelem <> 0 and pg_type.typlen = -1
),
resolved_types as materialized (
    select
        links.atttypid,
        links.atttypmod,
        bool_or(links.kind = 'domain' and links.arrays = 0 and links.typnotnull) as is_not_null,
        min(links.oid) filter (where links.kind <> 'domain' and links.arrays = 0) as base_oid,
        min(links.typmod) filter (where links.kind <> 'domain' and links.arrays = 0) as base_typmod,
        min(links.oid) filter (where links.arrays = 1 and links.dimensions is null) as element_oid,
        min(links.oid) filter (where links.kind = 'leaf' and links.arrays > 0) as leaf_oid,
        min(links.typmod) filter (where links.kind = 'leaf' and links.arrays > 0) as leaf_typmod,
        min(links.dimensions) filter (where links.kind = 'array' and links.arrays = 0) as domain_dimensions,
        coalesce(sum(links.dimensions) filter (where links.kind = 'array' and links.arrays > 0), 0) as inner_dimensions
    from (
        select
            type_chains.*,
            pg_type.typnotnull,
            case
                when pg_type.typtype = 'd' then 'domain'
                when pg_type.typelem <> 0 and pg_type.typlen = -1 then 'array'
                else 'leaf'
            end as kind
        from type_chains
        cross join lateral (select * from pg_catalog.pg_type where pg_type.oid = type_chains.oid offset 0) as pg_type
    ) as links
    group by links.atttypid, links.atttypmod
)
