-- A column of every kind of type.
create domain short_text as varchar(7) collate "C" not null default 'x';
create domain numbers as integer[];
create domain title as short_text;
create domain titles as title[];
create type mood as enum ('calm', 'angry');
create type pair as (a integer, b text);
create table everything (
    a smallint generated always as identity, b bigint, c real, d double precision, e numeric, f numeric(9, 3), g money,
    h char, i char(4), j varchar, k varchar(9), l text collate "C", m bytea, n bit(3), o varbit(8), p boolean,
    q date, r time, s time(2) with time zone, t timestamp(0), u timestamptz, v interval, w interval day to second(2),
    x json, y jsonb, z uuid, aa inet, ab short_text, ac numbers, ad mood, ae pair, af text[][], ag mood[], ah xml,
    ai integer default 5 + 5, aj integer generated always as (b * 2) stored, ak serial, al name, am oid,
    "An" text not null, ba title, bb title[], bc titles
);
create view looking as select a, b, "An", b + 1 as added, ab from everything;
create materialized view kept as select 1 as one;
create table parts (a integer not null, b text) partition by list (a);
create table part_one partition of parts for values in (1);
