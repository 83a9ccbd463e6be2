create foreign data wrapper w;
create server s foreign data wrapper w;
create table contracted (
    id integer not null,
    day integer not null
) partition by list (day);
create table monday partition of contracted for values in (1);
create table tuesday partition of contracted for values in (2);
create foreign table sunday partition of contracted for values in (7) server s;
