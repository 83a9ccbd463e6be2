-- PostgreSQL 18
create table target (id integer primary key);
create table contracted (a integer constraint f references target not enforced, email text);
alter table contracted add constraint e not null email not valid;
