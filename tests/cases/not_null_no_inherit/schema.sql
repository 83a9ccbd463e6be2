-- PostgreSQL 18
create table contracted (id integer not null no inherit);
create table heir () inherits (contracted);
