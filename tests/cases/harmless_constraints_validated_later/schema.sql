-- PostgreSQL 18
create table target (id integer primary key);
create table contracted (a integer, email text);
alter table contracted add constraint f foreign key (a) references target not valid, add constraint e not null email not valid;
alter table contracted validate constraint f, validate constraint e;
