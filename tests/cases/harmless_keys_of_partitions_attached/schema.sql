create table target (id integer primary key);
create table contracted (
    id integer not null,
    day integer not null
) partition by list (day);
create table monday partition of contracted for values in (1);
create table tuesday partition of contracted for values in (2);
alter table only contracted add primary key (id, day);
alter table monday add primary key (id, day);
alter table tuesday add primary key (id, day);
alter index contracted_pkey attach partition monday_pkey;
alter index contracted_pkey attach partition tuesday_pkey;
alter table contracted add foreign key (id) references target;
