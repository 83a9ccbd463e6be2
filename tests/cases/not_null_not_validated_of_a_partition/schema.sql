-- PostgreSQL 18
create table contracted (id integer, day integer) partition by list (day);
create table monday partition of contracted for values in (1);
insert into contracted values (null, 1);
alter table monday add constraint e not null id not valid;
alter table contracted alter id set not null;
