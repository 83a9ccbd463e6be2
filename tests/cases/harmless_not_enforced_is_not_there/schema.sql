create table contracted (
    id integer not null,
    day integer not null
) partition by list (day);
create table monday partition of contracted for values in (1);
create table tuesday partition of contracted for values in (2);
alter table only contracted add primary key (id, day);
create unique index days on only contracted (day);
