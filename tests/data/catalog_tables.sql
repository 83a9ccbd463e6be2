-- Tables whose catalog is catalog.txt.
create type mood as enum ('calm');
create table plain (
    id integer primary key unique check (id > 0),
    name varchar(20) not null unique,
    price numeric(10, 2),
    moment timestamp(3) with time zone,
    words text[],
    prices numeric(8, 1)[],
    moments timestamp(0)[],
    codes varchar(5)[][],
    moods mood[],
    documents json[]
);
create table referring (id integer primary key references plain, plain_id integer not null references plain (id));
create table two_keys (a integer, b integer, c integer not null, primary key (b, a));
create schema "Other Schema; %s";
create table "Other Schema; %s"."Odd ""Name"" %" ("Key %s" integer constraint plain_pkey primary key, "a.b" text);
create view looking as select id, name from plain;
create view counting as select count(*) as number from plain;
create role reader;
grant usage on schema public, "Other Schema; %s" to reader;
grant select on all tables in schema public, "Other Schema; %s" to reader;
