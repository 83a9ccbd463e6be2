create type mood as enum ('calm', 'angry');
create type temper as enum ('calm', 'angry');
create domain short_text as varchar(7);
create domain long_text as varchar(7);
create table target (id integer primary key, other integer unique);
create table contracted (
    "id" integer primary key,
    "name" varchar(20) not null,
    "label" varchar,
    "note" text,
    "code" char(3),
    "flags" bit(4),
    "price" numeric(10, 2),
    "amount" numeric,
    "big" bigint,
    "ratio" double precision,
    "moment" timestamp(3),
    "at" timestamptz,
    "day" date,
    "data" jsonb,
    "raw" json,
    "span" interval day to second,
    "words" text[],
    "codes" varchar(5)[],
    "prices" numeric(8, 1)[],
    "moments" timestamp(0)[],
    "mood" mood,
    "ref" integer references target (id),
    "noref" integer,
    "email" text unique,
    "free" text,
    "total" integer default 5,
    "bare" integer,
    "ident" integer generated always as identity,
    "plain" integer not null,
    "gen" integer generated always as (1 + 1) stored,
    "dom" short_text,
    "body" text collate "C",
    "usual" text
);
