create table target (id integer primary key);
create table contracted (
    id integer not null,
    day integer not null
) partition by list (day);
create table monday partition of contracted for values in (1);
create table tuesday partition of contracted for values in (2);
alter table contracted add constraint f foreign key (id) references target;
alter table only contracted disable trigger all;
create table other (id integer references target);
alter table other disable trigger all;
create function f() returns trigger language plpgsql as 'begin return new; end';
create trigger t before insert on target for each row execute function f();
alter table target disable trigger t;
