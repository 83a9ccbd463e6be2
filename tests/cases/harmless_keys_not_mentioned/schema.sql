create type mood as enum ('calm', 'angry');
create type temper as enum ('calm', 'angry');
create domain short_text as varchar(7);
create domain long_text as varchar(7);
create table target (id integer primary key, other integer unique);
create table contracted (
    "id" integer primary key,
    "name" varchar(20) not null,
    "note" text,
    "price" numeric(10, 2) unique,
    "at" timestamptz(3),
    "span" interval day to second,
    "mood" mood,
    "words" varchar(5)[]
);
alter table contracted drop constraint contracted_pkey, drop constraint contracted_price_key; alter table contracted alter id add generated always as identity; alter table contracted alter name type long_text, alter name drop not null, alter name set default 'x'; alter table contracted alter column "note" type text collate "C"; alter table contracted alter column "price" type numeric(12, 3); alter table contracted alter column "at" type timestamptz(6); alter table contracted alter column "span" type interval year; alter table contracted alter column "mood" type temper using mood::text::temper; alter type temper add value 'glad'; alter table contracted alter column "words" type numeric(3, 1)[] using null; alter table contracted add foreign key (id) references target (id), add unique (note);
