-- Columns that a contract says every key of, and a table with an odd name.
create type mood as enum ('calm', 'angry');
create domain short_text as varchar(7);
create type pair as (x integer, y numeric(5, 2));
create table pairs (x integer, y integer, primary key (x, y));
create table "Every thing;" (
    id integer generated always as identity primary key, a smallint unique, b numeric(9, 3), c numeric, d varchar(9),
    e varchar, f char(4), g timestamp(2), h timestamptz, i interval day to second(3), j mood, k short_text,
    l text collate "C", m varchar(5)[][], n mood[], o jsonb[], p integer generated always as (1) stored,
    q integer references object (object_id), "R s" bit varying(8), t uuid default gen_random_uuid(),
    "W w" pair, x pair[], y integer,
    unique (y, "R s"), unique (a, c) include (d), check (b > 0 and d <> ''), check (y > 0),
    foreign key (y, q) references pairs
);
create table "a	%s ""b" (id integer);
