create type mood as enum ('calm', 'angry');
create type temper as enum ('calm', 'angry');
create domain short_text as varchar(7);
create domain long_text as varchar(7);
create table target (id integer primary key, other integer unique);
create table contracted (
    "a" integer not null,
    "b" integer not null
);
alter table contracted add primary key (a, b); alter table contracted drop constraint contracted_pkey, add primary key (a);
