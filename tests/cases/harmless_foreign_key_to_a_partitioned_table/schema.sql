create table target (id integer primary key) partition by list (id);
create table one partition of target for values in (1);
create table contracted (
    id integer not null,
    day integer not null
) partition by list (day);
create table monday partition of contracted for values in (1);
create table tuesday partition of contracted for values in (2);
alter table contracted add foreign key (id) references target;
create table two partition of target for values in (2);
create table sunday partition of contracted for values in (7);
