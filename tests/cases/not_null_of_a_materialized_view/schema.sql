create table source (id integer not null);
create materialized view contracted as select id from source;
