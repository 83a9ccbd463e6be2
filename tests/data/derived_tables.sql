-- Types of one's own, and a table and views with them.
create type mood as enum ('calm'); create domain key as integer not null; create domain word as varchar(9) collate "C";
create type pair as (a integer, b text);
create table t (
    id integer generated always as identity primary key, a integer generated always as (1) stored, b text default 'x',
    c integer unique references t (id), d serial
);
create view v as select id, b, 1::key as k, 'calm'::mood as m from t;
create materialized view mv as select id, b, 1::key as k from t; create unique index on mv (id);
