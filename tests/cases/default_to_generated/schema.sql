create type mood as enum ('calm', 'angry');
create type temper as enum ('calm', 'angry');
create domain short_text as varchar(7);
create domain long_text as varchar(7);
create table target (id integer primary key, other integer unique);
create table contracted (
    "total" integer default 5
);
alter table contracted drop total; alter table contracted add total integer generated always as (5) stored;
