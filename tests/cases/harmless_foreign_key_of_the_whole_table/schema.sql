create table target (id integer primary key) partition by range (id);
create table target_part partition of target for values from (0) to (100);
create table whole (ref integer references target (id), part integer) partition by list (part);
create table contracted partition of whole for values in (1);
