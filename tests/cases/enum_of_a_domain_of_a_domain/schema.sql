create type mood as enum ('calm', 'angry');
create domain feeling as mood;
create domain feelings as feeling;
create domain many as feeling[];
create table contracted (a feelings, b feeling[], c many);
alter type mood add value 'glad';
