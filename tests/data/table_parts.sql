create role reader; create role other;
create schema crm;
create type mood as enum ('calm', 'glad', 'sad');
create type place as (street text, zip varchar(10), mood mood);
create type spot as (place place, number integer);
create domain code as varchar(20) check (value <> '');
create domain track as code;
create type span as range (subtype = integer);
create type bits;
create function bits_in(cstring, oid, integer) returns bits immutable strict language internal as 'varbit_in';
create function bits_out(bits) returns cstring immutable strict language internal as 'varbit_out';
create type bits (input = bits_in, output = bits_out, typmod_in = varbittypmodin, typmod_out = varbittypmodout);
create function refuse() returns trigger language plpgsql as 'begin return new; end';
create function is_good(value integer) returns boolean immutable language sql as 'select value > 0';
create table target (id integer primary key, a integer, b integer, unique (a, b));
create table ticket (
    id integer primary key, a integer, b integer, c integer check (c > 0), d integer unique,
    e integer references target, mood mood, moods mood[], at place, spot spot, code code, tracks track[], span span,
    bits bits(8), good integer check (is_good(good)), email text not null, created timestamp default now(),
    double integer generated always as (a * 2) stored, number integer generated always as identity,
    constraint a_b unique (a, b), constraint pair check (a < b),
    constraint to_target foreign key (a, b) references target (a, b)
);
create unique index part on ticket (c) where c > 5;
create table booking (a integer, b integer, primary key (a, b));
create trigger guard before insert on ticket for each row execute function refuse();
create policy own on ticket using (id > 0);
create rule quiet as on delete to booking do instead nothing;
create view answer as select 42 as n;
create view open_ticket as select id, a from ticket where a > 0;
create materialized view counted as select count(*) as n from ticket;
create table event (id integer, day date) partition by range (day);
create table event_2020 partition of event for values from ('2020-01-01') to ('2021-01-01');
create table parent (a integer);
create table child (b integer) inherits (parent);
create foreign data wrapper wrapper;
create server server foreign data wrapper wrapper;
create foreign table far (id integer) server server options (table_name 'x');
create table crm.customer (id integer);
grant select, insert on ticket to reader;
grant select (a) on booking to reader;
grant usage on schema crm to reader;
