create type mood as enum ();
create table contracted (a mood, b text);
