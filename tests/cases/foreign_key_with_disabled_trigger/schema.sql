create table target (id integer primary key);
create table contracted (a integer constraint f references target);
alter table contracted disable trigger all;
