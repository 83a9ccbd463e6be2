select wanted.table_name || '.' || wanted.column_name
from unnest(%s::text[], %s::text[]) with ordinality as wanted (table_name, column_name, position)
left join pg_catalog.pg_attribute as attributes
    on attributes.attrelid = pg_catalog.to_regclass(pg_catalog.quote_ident(wanted.table_name))
    and attributes.attname = wanted.column_name and not attributes.attisdropped
where attributes.attname is null
order by wanted.position
