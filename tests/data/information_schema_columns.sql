select
    table_schema, table_name, column_name, data_type, is_nullable = 'YES' as is_nullable,
    is_updatable = 'YES' as is_updatable, character_maximum_length, numeric_precision, numeric_scale,
    datetime_precision, interval_type, udt_name, domain_name, collation_name, column_default,
    is_identity = 'YES' as is_identity, is_generated = 'ALWAYS' as is_generated
from information_schema.columns
where table_schema not in ('pg_catalog', 'information_schema')
