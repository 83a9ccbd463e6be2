-- PostgreSQL 15, 16, 17
create table contracted (id integer not null);
create table heir () inherits (contracted);
alter table heir alter id drop not null;
