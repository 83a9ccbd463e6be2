create domain price as integer;
create domain cost as integer;
create table contracted (a cost[]);
