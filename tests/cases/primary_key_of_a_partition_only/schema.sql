create table week (id integer not null, day integer not null) partition by list (day);
create table contracted partition of week for values in (1);
alter table only week add primary key (id, day);
