create table contracted (a integer unique deferrable);
alter table contracted disable trigger all;
create unique index on contracted (a);
