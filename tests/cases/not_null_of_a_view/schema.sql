create domain code as integer not null;
create table source (id integer not null, code code);
create view contracted as select a.id, b.code from source as a left join source as b on false;
