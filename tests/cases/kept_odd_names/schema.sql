create type mood as enum ('calm', 'angry');
create type temper as enum ('calm', 'angry');
create domain short_text as varchar(7);
create domain long_text as varchar(7);
create table target (id integer primary key, other integer unique);
create table contracted (
    "note" text
);
alter table contracted add "Mixed Case" integer, add "semi;colon -- '" integer, add "quo""te" text, add "100%s %(name)s" text, add "Größe 名前 😀" text; alter table contracted add primary key ("Mixed Case", "semi;colon -- '"), add unique ("quo""te");
