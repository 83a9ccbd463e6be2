-- PostgreSQL 18
create table contracted (email text);
insert into contracted values (null);
alter table contracted add constraint e not null email not valid;
