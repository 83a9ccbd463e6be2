import unittest
from contextlib import closing
from typing import Any

import psycopg2
from psycopg2.extensions import AsIs

from data_contract_components.contract_definition._json_text import render_difference
from data_contract_components.detection.migration_changes.changes import SchemaChange
from data_contract_components.detection.migration_changes.migration_trace import (
    COLUMNS_SQL,
    VERSIONS_SQL,
    ColumnKey,
    Place,
    Row,
    Step,
    Trace,
)
from data_contract_components.detection.migration_changes.schema_changes import find_schema_changes
from tests import BINARIES, start_server

SCHEMA = """
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
"""
# What is reported of a statement that those who read or write can notice.
NOTICED: dict[str, list[str]] = {
    "alter table ticket drop constraint pair": [
        "ticket constraint is gone: CHECK ((a < b))",
    ],
    "alter table ticket add check (b > 0) not valid": [
        "ticket constraint is new: CHECK ((b > 0)) NOT VALID",
    ],
    "alter table ticket drop constraint pair, add constraint pair check (a <= b)": [
        "ticket constraint was CHECK ((a < b)), is CHECK ((a <= b))",
    ],
    "alter table ticket drop constraint a_b": [
        "ticket constraint is gone: UNIQUE (a, b)",
    ],
    "alter table ticket drop constraint ticket_d_key": [
        "ticket.d unique was true, is false",
    ],
    "alter table ticket drop constraint ticket_d_key, add unique (d) deferrable": [
        "ticket constraint is new: UNIQUE (d) DEFERRABLE",
    ],
    "alter table ticket alter constraint to_target deferrable": [
        "ticket constraint was FOREIGN KEY (a, b) REFERENCES target(a, b), is FOREIGN KEY (a, b) REFERENCES "
        "target(a, b) DEFERRABLE",
    ],
    "alter table ticket drop constraint ticket_e_fkey, add foreign key (e) references target on delete cascade": [
        "ticket constraint is new: FOREIGN KEY (e) REFERENCES target(id) ON DELETE CASCADE",
    ],
    "alter table booking drop constraint booking_pkey, add primary key (b, a)": [
        "booking constraint was PRIMARY KEY (a, b), is PRIMARY KEY (b, a)",
    ],
    "drop index part": [
        "ticket constraint is gone: UNIQUE (c) WHERE (c > 5)",
    ],
    "create unique index on ticket (lower(email))": [
        "ticket constraint is new: UNIQUE (lower(email))",
    ],
    "create unique index on ticket (a, c)": [
        "ticket constraint is new: UNIQUE (a, c)",
    ],
    "alter table booking add exclude using btree (a with =)": [
        "booking constraint is new: EXCLUDE USING btree (a WITH =)",
    ],
    "drop trigger guard on ticket": [
        "ticket trigger is gone: CREATE TRIGGER guard BEFORE INSERT ON public.ticket FOR EAC…",
    ],
    "alter table ticket disable trigger guard": [
        "ticket trigger was …TE FUNCTION refuse(), is …TE FUNCTION refuse() (disabled)",
    ],
    "create or replace function refuse() returns trigger language plpgsql as 'begin return null; end'": [
        "ticket function was …ction$begin return new; end$function$, is …ction$begin return null; end$function$",
    ],
    "create or replace function is_good(value integer) returns boolean immutable language sql as 'select true'": [
        "ticket function was …AS $function$select value > 0$function$, is …AS $function$select true$function$",
    ],
    "alter table ticket enable row level security": [
        "ticket row security was off, is on",
    ],
    "alter table ticket enable row level security, force row level security": [
        "ticket row security was off, is forced",
    ],
    "alter policy own on ticket using (id > 1)": [
        "ticket policy was ALL TO PUBLIC USING ((id > 0)), is ALL TO PUBLIC USING ((id > 1))",
    ],
    "create policy more on ticket as restrictive for update to reader with check (id > 1)": [
        "ticket policy is new: RESTRICTIVE UPDATE TO reader WITH CHECK ((id > 1))",
    ],
    "drop rule quiet on booking": [
        "booking rule is gone: CREATE RULE quiet AS ON DELETE TO public.booking DO INSTEAD…",
    ],
    "create or replace view answer as select 43 as n": [
        "answer view_definition was SELECT 42 AS n;, is SELECT 43 AS n;",
    ],
    "alter view open_ticket set (check_option = local)": [
        "open_ticket option is new: check_option=local",
    ],
    "refresh materialized view counted with no data": [
        "counted view_definition was SELECT count(*) AS n FROM ticket;, is SELECT count(*) AS n FROM ticket; "
        "WITH NO DATA",
    ],
    "alter foreign table far options (set table_name 'y')": [
        "far option was table_name=x, is table_name=y",
    ],
    "create table event_2021 partition of event for values from ('2021-01-01') to ('2022-01-01')": [
        "event partition is new: event_2021 FOR VALUES FROM ('2021-01-01') TO ('2022-01-01')",
        "event_2021 added",
    ],
    "alter table event detach partition event_2020": [
        "event partition is gone: event_2020 FOR VALUES FROM ('2020-01-01') TO ('2021-01-01')",
        "event_2020 partition is gone: of event FOR VALUES FROM ('2020-01-01') TO ('2021-01-01')",
    ],
    "alter table child no inherit parent": [
        "child inheritance is gone: of parent",
        "parent inheritance is gone: child",
    ],
    "revoke select on ticket from reader": [
        "ticket privilege was reader: INSERT, SELECT, is reader: INSERT",
    ],
    "grant select on ticket to public": [
        "ticket privilege is new: PUBLIC: SELECT",
    ],
    "revoke select (a) on booking from reader": [
        "booking.a privilege is gone: reader: SELECT",
    ],
    "revoke usage on schema crm from reader": [
        "customer privilege is gone: reader: USAGE of the schema",
    ],
    "alter type mood add value 'wild' before 'glad'": [
        "ticket.at enum has new wild",
        "ticket.mood enum has new wild",
        "ticket.moods enum has new wild",
        "ticket.spot enum has new wild",
    ],
    "alter type mood rename value 'sad' to 'grey'": [
        "ticket.at enum has new grey; no longer has sad",
        "ticket.mood enum has new grey; no longer has sad",
        "ticket.moods enum has new grey; no longer has sad",
        "ticket.spot enum has new grey; no longer has sad",
    ],
    "alter type place drop attribute zip cascade": [
        "ticket.at field is gone: zip character varying(10)",
        "ticket.spot field is gone: place.zip character varying(10)",
    ],
    "alter type place rename attribute zip to code cascade": [
        "ticket.at field is new: code character varying(10)",
        "ticket.at field is gone: zip character varying(10)",
        "ticket.spot field is new: place.code character varying(10)",
        "ticket.spot field is gone: place.zip character varying(10)",
    ],
    "alter type spot drop attribute number cascade; alter type spot add attribute number bigint cascade": [
        "ticket.spot field was number integer, is number bigint",
    ],
    "alter type place drop attribute street cascade; alter type place add attribute street text cascade": [
        "ticket.at fields has another order, was street, zip, mood, is zip, mood, street",
        "ticket.spot fields has another order, was place.street, place.zip, place.mood, place, number, is "
        "place.zip, place.mood, place.street, place, number",
    ],
    "alter domain code drop constraint code_check": [
        "ticket.code constraint is gone: CHECK (((VALUE)::text <> ''::text))",
        "ticket.tracks constraint is gone: CHECK (((VALUE)::text <> ''::text))",
    ],
    "alter domain code add check (value <> 'x') not valid": [
        "ticket.code constraint is new: CHECK (((VALUE)::text <> 'x'::text)) NOT VALID",
        "ticket.tracks constraint is new: CHECK (((VALUE)::text <> 'x'::text)) NOT VALID",
    ],
    "alter domain code set default 'x'": [
        "ticket.code domain_default is new: 'x'::character varying",
    ],
    "alter table ticket alter bits type bits(9)": [
        "ticket.bits physicalType was bits(8), is bits(9)",
    ],
    "alter type mood set schema crm": [
        "ticket.mood physicalType is new: crm.mood",
        "ticket.moods physicalType is new: crm.mood",
    ],
    "drop type span cascade; create type span as range (subtype = bigint); alter table ticket add span span": [
        "ticket.span replaced",
        "ticket.span subtype was integer, is bigint",
    ],
    "alter table ticket drop double, add double integer generated always as (a * 3) stored": [
        "ticket.double generation_expression was (a * 2) STORED, is (a * 3) STORED",
    ],
    "alter table ticket alter double drop expression": [
        "ticket.double generation_expression is gone: (a * 2) STORED",
        "ticket.double is_generated was true, is false",
    ],
    "alter table ticket alter number set generated by default": [
        "ticket.number identity_generation was ALWAYS, is BY DEFAULT",
    ],
    "alter table ticket drop a cascade; alter table ticket add a integer": [
        "open_ticket removed",
        "ticket constraint is gone: CHECK ((a < b))",
        "ticket constraint is gone: FOREIGN KEY (a, b) REFERENCES target(a, b)",
        "ticket constraint is gone: UNIQUE (a, b)",
        "ticket.a replaced",
        "ticket.a references is gone: public.target.a",
        "ticket.b references is gone: public.target.b",
        "ticket.double removed",
    ],
    "drop table booking; create table booking (a integer, b integer, primary key (a, b))": [
        "booking replaced",
        "booking rule is gone: CREATE RULE quiet AS ON DELETE TO public.booking DO INSTEAD…",
        "booking.a privilege is gone: reader: SELECT",
    ],
    "create table new (like booking including all); drop table booking; alter table new rename to booking": [
        "booking replaced",
        "booking rule is gone: CREATE RULE quiet AS ON DELETE TO public.booking DO INSTEAD…",
        "booking.a privilege is gone: reader: SELECT",
    ],
    "drop table booking; create table booking (b integer, a integer, primary key (a, b))": [
        "booking replaced",
        "booking ordinal_position has another order, was a, b, is b, a",
        "booking rule is gone: CREATE RULE quiet AS ON DELETE TO public.booking DO INSTEAD…",
        "booking.a privilege is gone: reader: SELECT",
    ],
    "alter table ticket add f integer check (f > 0) unique": [
        "ticket constraint is new: CHECK ((f > 0))",
        "ticket.f added",
    ],
    "alter table ticket drop c": [
        "ticket constraint is gone: CHECK ((c > 0))",
        "ticket constraint is gone: UNIQUE (c) WHERE (c > 5)",
        "ticket.c removed",
    ],
}
# Of a rename, what follows from it is not reported once more.
RENAMED: dict[str, list[str]] = {
    "alter table ticket rename a to x": [
        "ticket.a renamed to x",
    ],
    "alter table ticket rename to issue": [
        "ticket renamed to issue",
    ],
    "alter table booking rename a to x": [
        "booking.a renamed to x",
    ],
    "alter table target rename to goal": [
        "target renamed to goal",
        "ticket.a references has new public.goal.a; no longer has public.target.a",
        "ticket.b references has new public.goal.b; no longer has public.target.b",
        "ticket.e references has new public.goal.id; no longer has public.target.id",
    ],
    "alter type place rename to location": [
        "ticket.at udt_name was place, is location",
    ],
    "alter function refuse() rename to other": [
        "ticket function is new: CREATE OR REPLACE FUNCTION public.other() RETURNS trigger L…",
    ],
    "alter table event_2020 rename to old": [
        "event_2020 renamed to old",
    ],
}
# The catalog reports more of these.
PARTLY: dict[str, list[str]] = {
    (
        "alter table event alter id set not null, alter day set not null; alter table only event add primary "
        "key (id, day)"
    ): [
        "event constraint is new: PRIMARY KEY (id, day) (invalid index)",
    ],
}
PARTLY_FROM_18: dict[str, list[str]] = {
    "alter table ticket add constraint n not null a not valid": [
        "ticket constraint is new: NOT NULL a NOT VALID",
    ],
    "alter table ticket alter constraint to_target not enforced": [
        "ticket constraint was FOREIGN KEY (a, b) REFERENCES target(a, b), is FOREIGN KEY (a, b) REFERENCES "
        "target(a, b) NOT ENFORCED",
    ],
    "alter table ticket drop double, add double integer generated always as (a * 2) virtual": [
        "ticket.double generation_expression was (a * 2) STORED, is (a * 2) VIRTUAL",
    ],
}
HARMLESS = (
    "alter table ticket rename constraint pair to other",
    "alter table ticket drop constraint pair, add check (a < b)",
    "alter table ticket drop constraint a_b; create unique index on ticket (a, b)",
    "alter table ticket drop constraint ticket_d_key; create unique index on ticket (d)",
    "create index on ticket (a)",
    "alter index part rename to other",
    "alter index part set (fillfactor = 50)",
    "alter index a_b set (fillfactor = 50)",
    "alter table ticket alter email set statistics 10, alter email set storage external",
    "alter table ticket set (fillfactor = 50, autovacuum_enabled = off)",
    "alter table booking set unlogged",
    "alter table booking cluster on booking_pkey",
    "alter table ticket owner to other",
    "comment on constraint pair on ticket is 'Words.'",
    "comment on type mood is 'Words.'",
    "analyze ticket",
    "insert into target values (1, 1, 1)",
    "create type mood_2 as enum ('x'); create function g() returns integer language sql as 'select 1'",
    "drop view open_ticket; create view open_ticket as select id, a from ticket where a > 0",
    "drop trigger guard on ticket; create trigger guard before insert on ticket for each row execute function refuse()",
    "create or replace function refuse() returns trigger language plpgsql as 'begin return new; end'",
    "alter sequence ticket_number_seq increment 2 cache 5",
    "alter table ticket replica identity full",
    "revoke all on ticket from other",
    "create publication p for table ticket",
    "alter domain code rename constraint code_check to other",
    "refresh materialized view counted",
    "alter table ticket alter created set default now()",
    "create table away (like booking); drop table away",
    "create statistics on_a_b on a, b from ticket",
)


class Database:
    """The tables of SCHEMA, on which each statement is tried and undone."""

    def __init__(self, connection: Any) -> None:
        self.connection, self.cursor = connection, connection.cursor()
        self.cursor.execute(SCHEMA)
        self.cursor.execute(f"prepare versions as {VERSIONS_SQL}")
        parameters = {"table_names": AsIs("$1"), "table_schemas": None}
        self.cursor.execute(f"prepare columns (text[]) as {COLUMNS_SQL}", parameters)
        connection.commit()
        self.versions, self.rows = self.read_versions(), self.read_rows()

    def read_versions(self) -> list[Any]:
        self.cursor.execute("execute versions")
        return list(self.cursor.fetchall())

    def read_rows(self) -> dict[ColumnKey, Row]:
        self.cursor.execute("execute columns (null)")
        names = [column.name for column in self.cursor.description or ()]
        rows = [dict(zip(names, values, strict=True)) for values in self.cursor.fetchall()]
        return {(row["table_oid"], row["column_number"]): row for row in rows}

    def try_out(self, statement: str) -> tuple[list[SchemaChange], bool]:
        """The changes, and whether VERSIONS_SQL notices that there are some."""
        try:
            self.cursor.execute(statement)
            versions, rows = self.read_versions(), self.read_rows()
        finally:
            self.connection.rollback()
        changed = {key: (self.rows.get(key), rows.get(key)) for key in self.rows.keys() | rows}
        step = Step(Place("r.py", 1, "r", statement), {key: of for key, of in changed.items() if of[0] != of[1]})
        changes = find_schema_changes(Trace(self.rows, [], self.rows), Trace(self.rows, [step], rows), {}, {})
        return changes, versions != self.versions


def brief(change: SchemaChange) -> str:
    name = change.table_name + (f".{change.column_name}" if change.column_name else "")
    if change.change == "changed":
        return f"{name} {change.key} {render_difference(change.before, change.after)}"
    return f"{name} {change.change}" + (f" to {change.after}" if change.change == "renamed" else "")


class TestParts(unittest.TestCase):
    maxDiff = None

    def test_a_statement_is_reported_when_readers_or_writers_can_notice_it_and_only_then(self) -> None:
        for version, binaries in BINARIES.items():
            with closing(psycopg2.connect(start_server(self, binaries))) as connection:
                database = Database(connection)
                for statement, expected in (NOTICED | RENAMED | {key: [] for key in HARMLESS}).items():
                    with self.subTest(statement, version=version):
                        changes, is_noticed = database.try_out(statement)
                        self.assertEqual([brief(change) for change in changes], expected)
                        self.assertTrue(is_noticed or not expected)
                        self.assertTrue(all(change.place.line == 1 for change in changes))
                for statement, expected in (PARTLY | (PARTLY_FROM_18 if version == "18" else {})).items():
                    with self.subTest(statement, version=version):
                        changes, is_noticed = database.try_out(statement)
                        self.assertLessEqual(set(expected), {brief(change) for change in changes})
                        self.assertTrue(is_noticed)


if __name__ == "__main__":
    unittest.main()
