create table contracted (id integer primary key deferrable, number integer unique deferrable);
alter table contracted disable trigger all;
insert into contracted values (1, 1), (1, 1);
