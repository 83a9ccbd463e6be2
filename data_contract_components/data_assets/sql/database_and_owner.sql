-- The current database and its owner.
select current_database(), pg_catalog.pg_get_userbyid(datdba)
from pg_catalog.pg_database
where datname = current_database()
