create table target (id integer primary key);
create table contracted (
    id integer not null,
    day integer not null
) partition by list (day);
create table monday partition of contracted for values in (1);
create table tuesday partition of contracted for values in (2);
alter table contracted add constraint f foreign key (id) references target;
alter table tuesday disable trigger all;
