create foreign data wrapper w;
create server s foreign data wrapper w;
create domain code as text not null;
create foreign table contracted (id integer not null, code code, note text) server s;
