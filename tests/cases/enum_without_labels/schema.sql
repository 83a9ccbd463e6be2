create type mood as enum ();
create type pair as (x integer);
create table contracted (a mood, b pair);
