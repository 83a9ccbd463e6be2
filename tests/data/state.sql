-- Of the tables and of what they are made of: no row of these is written without a new transaction's number.
select 'class' as kind, oid::bigint, xmin::text from pg_class where oid >= 16384
union all select 'attribute', attrelid::bigint * 2000 + attnum, xmin::text from pg_attribute where attrelid >= 16384
union all select 'type', oid::bigint, xmin::text from pg_type where oid >= 16384
union all select 'constraint', oid::bigint, xmin::text from pg_constraint where oid >= 16384
union all select 'row', object_id, xmin::text from object_images
order by 1, 2
