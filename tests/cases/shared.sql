create type mood as enum ('calm', 'angry');
create type temper as enum ('calm', 'angry');
create domain short_text as varchar(7);
create domain long_text as varchar(7);
create table target (id integer primary key, other integer unique);
