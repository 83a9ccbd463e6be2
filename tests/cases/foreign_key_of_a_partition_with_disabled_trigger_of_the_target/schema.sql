create table target (id integer primary key);
create table week (id integer constraint f references target, day integer) partition by list (day);
create table contracted partition of week for values in (1);
alter table target disable trigger all;
