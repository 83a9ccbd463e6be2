create domain code as integer;
create domain track as code;
create table contracted (c track, cs code[]);
