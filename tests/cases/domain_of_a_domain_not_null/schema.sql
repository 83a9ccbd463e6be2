create domain code as integer not null;
create domain track as code;
create table contracted (c track, cs code[]);
