import unittest

from data_contract_components.data_assets._query_postgres_helper import PostgresDB
from data_contract_components.detection._get_data_catalog import CATALOG_COLUMNS, COLUMN_KEY, get_data_catalog, to_rows
from data_contract_components.errors import CatalogHiddenError, QueryError
from tests import BINARIES, DatabaseTestCase, start_server

TABLES_SQL = """
create type mood as enum ('calm');
create table plain (
    id integer primary key unique check (id > 0),
    name varchar(20) not null unique,
    price numeric(10, 2),
    moment timestamp(3) with time zone,
    words text[],
    prices numeric(8, 1)[],
    moments timestamp(0)[],
    codes varchar(5)[][],
    moods mood[],
    documents json[]
);
create table referring (id integer primary key references plain, plain_id integer not null references plain (id));
create table two_keys (a integer, b integer, c integer not null, primary key (b, a));
create schema "Other Schema; %s";
create table "Other Schema; %s"."Odd ""Name"" %" ("Key %s" integer constraint plain_pkey primary key, "a.b" text);
create view looking as select id, name from plain;
create view counting as select count(*) as number from plain;
create role reader;
grant usage on schema public, "Other Schema; %s" to reader;
grant select on all tables in schema public, "Other Schema; %s" to reader;
"""
EVERYTHING_SQL = """
create domain short_text as varchar(7) collate "C" not null default 'x';
create domain numbers as integer[];
create domain title as short_text;
create domain titles as title[];
create type mood as enum ('calm', 'angry');
create type pair as (a integer, b text);
create table everything (
    a smallint generated always as identity, b bigint, c real, d double precision, e numeric, f numeric(9, 3), g money,
    h char, i char(4), j varchar, k varchar(9), l text collate "C", m bytea, n bit(3), o varbit(8), p boolean,
    q date, r time, s time(2) with time zone, t timestamp(0), u timestamptz, v interval, w interval day to second(2),
    x json, y jsonb, z uuid, aa inet, ab short_text, ac numbers, ad mood, ae pair, af text[][], ag mood[], ah xml,
    ai integer default 5 + 5, aj integer generated always as (b * 2) stored, ak serial, al name, am oid,
    "An" text not null, ba title, bb title[], bc titles
);
create view looking as select a, b, "An", b + 1 as added, ab from everything;
create materialized view kept as select 1 as one;
create table parts (a integer not null, b text) partition by list (a);
create table part_one partition of parts for values in (1);
"""
# What the catalog says on purpose where information_schema has the second value.
DIFFERENCES = {
    ("everything", "ba", "data_type"): ("character varying", "USER-DEFINED"),
    ("everything", "ba", "udt_name"): ("varchar", "short_text"),
    ("everything", "ba", "character_maximum_length"): (7, "NULL"),
    # NOT NULL is that of the domain beneath.
    ("everything", "ba", "is_nullable"): (False, True),
    ("looking", "ab", "is_nullable"): (True, False),
}
INFORMATION_SCHEMA_SQL = """
select
    table_schema, table_name, column_name, data_type, is_nullable = 'YES' as is_nullable,
    is_updatable = 'YES' as is_updatable, character_maximum_length, numeric_precision, numeric_scale,
    datetime_precision, interval_type, udt_name, domain_name, collation_name, column_default,
    is_identity = 'YES' as is_identity, is_generated = 'ALWAYS' as is_generated
from information_schema.columns
where table_schema not in ('pg_catalog', 'information_schema')
"""
RENDERED = (
    "table_schema",
    "table_name",
    "column_name",
    "data_type",
    "constraint_type",
    "is_nullable",
    "is_updatable",
    "character_maximum_length",
    "numeric_precision",
    "datetime_precision",
    "array_element_data_type",
    "array_element_character_maximum_length",
    "array_element_numeric_precision",
    "array_element_datetime_precision",
)
CATALOG = """\
Other Schema; %s|Odd "Name" %|Key %s|integer|PRIMARY KEY|False|True||32|||||
Other Schema; %s|Odd "Name" %|a.b|text||True|True|||||||
public|counting|number|bigint||True|False||64|||||
public|looking|id|integer||True|True||32|||||
public|looking|name|character varying||True|True|20||||||
public|plain|id|integer|PRIMARY KEY|False|True||32|||||
public|plain|name|character varying||False|True|20||||||
public|plain|price|numeric||True|True||10|||||
public|plain|moment|timestamp with time zone||True|True|||3||||
public|plain|words|ARRAY||True|True||||text|||
public|plain|prices|ARRAY||True|True||||numeric||8|
public|plain|moments|ARRAY||True|True||||timestamp without time zone|||0
public|plain|codes|ARRAY||True|True||||character varying|5||
public|plain|moods|ARRAY||True|True||||USER-DEFINED|||
public|plain|documents|ARRAY||True|True||||json|||
public|referring|id|integer|PRIMARY KEY|False|True||32|||||
public|referring|plain_id|integer||False|True||32|||||
public|two_keys|a|integer|PRIMARY KEY|False|True||32|||||
public|two_keys|b|integer|PRIMARY KEY|False|True||32|||||
public|two_keys|c|integer||False|True||32|||||"""

DEFAULTS_SQL = """
create sequence counter;
create schema elsewhere;
create type elsewhere.mood as enum ('a');
create table defaults (
    a integer default nextval('counter'), b timestamptz default '2020-01-02 00:00+00',
    c interval default '1 day 2 hours', d elsewhere.mood default 'a', e text default e'\\\\', f bytea default '\\x01'
);
"""
SETTINGS = (
    *("timezone = 'Asia/Tokyo'", "datestyle = german", "intervalstyle = iso_8601", "search_path = elsewhere"),
    *("quote_all_identifiers = on", "bytea_output = escape", "standard_conforming_strings = off"),
)


def render(database: PostgresDB) -> str:
    rows = get_data_catalog(database)[list(RENDERED)].astype("object").fillna("").values.tolist()
    return "\n".join("|".join(map(str, row)) for row in rows)


class TestGetDataCatalog(DatabaseTestCase):
    def test_the_columns_are_those_that_are_announced(self) -> None:
        self.assertEqual(tuple(get_data_catalog(self.database).columns), CATALOG_COLUMNS)

    def test_each_column_of_the_museums_tables_has_one_row(self) -> None:
        catalog_df = get_data_catalog(self.database)
        self.assertFalse(catalog_df.duplicated(list(COLUMN_KEY)).any())
        self.assertEqual(len(catalog_df[catalog_df["table_name"] != "alembic_version"]), 33)
        self.assertEqual(set(catalog_df["table_catalog"]), {self.database_name})


class TestAgreement(DatabaseTestCase):
    def test_it_says_what_information_schema_says_but_for_nested_domains_and_not_null_of_views(self) -> None:
        self.database.query(EVERYTHING_SQL)
        keys = [*COLUMN_KEY[1:]]
        view_df = self.database.query(INFORMATION_SCHEMA_SQL).sort_values(keys, ignore_index=True)
        catalog_df = get_data_catalog(self.database).sort_values(keys, ignore_index=True)
        catalog_df = catalog_df[catalog_df["table_type"] != "MATERIALIZED VIEW"].reset_index(drop=True)
        self.assertGreater(len(view_df), 60)
        self.assertEqual(catalog_df[keys].values.tolist(), view_df[keys].values.tolist())
        differences = {}
        for column in view_df.columns:
            view, catalog = (df[column].astype("object").fillna("NULL").tolist() for df in (view_df, catalog_df))
            rows = zip(view_df["table_name"], view_df["column_name"], catalog, view, strict=True)
            differences |= {(table, name, column): (here, there) for table, name, here, there in rows if here != there}
        self.assertEqual(differences, DIFFERENCES)

    def test_an_index_that_could_not_be_built_makes_nothing_unique(self) -> None:
        self.database.query("create table doubled as select 1 as a from generate_series(1, 2)")
        with self.assertRaisesRegex(QueryError, "could not create unique index"):
            self.database.query("create unique index concurrently u on doubled (a)")
        [row] = to_rows(get_data_catalog(self.database, {("public", "doubled")}))
        self.assertEqual((row["unique"], row["not_enforced"]), (False, {"unique": 'index "u" is not valid'}))

    def test_a_role_without_any_right_sees_the_same(self) -> None:
        self.assertTrue(get_data_catalog(self.nobody()).equals(get_data_catalog(self.database)))

    def test_what_a_role_may_not_see_is_not_missing(self) -> None:
        self.database.query("revoke select on pg_catalog.pg_enum from public")
        with self.assertRaisesRegex(CatalogHiddenError, "could not check: role nobody_at_all may not see .*pg_enum"):
            get_data_catalog(self.nobody())

    def test_a_default_is_printed_as_for_everybody_whatever_the_roles_settings(self) -> None:
        self.database.query(DEFAULTS_SQL)
        for setting in SETTINGS:
            self.database.query(f"alter database {self.database_name} set {setting}")
        defaults_df = get_data_catalog(self.database, {("public", "defaults")})
        self.assertEqual(
            list(defaults_df["column_default"]),
            [
                "nextval('counter'::regclass)",
                "'2020-01-02 00:00:00+00'::timestamp with time zone",
                "'1 day 02:00:00'::interval",
                "'a'::elsewhere.mood",
                r"'\'::text",
                r"'\x01'::bytea",
            ],
        )
        self.assertEqual(list(defaults_df["data_type"])[-2:], ["text", "bytea"])

    def nobody(self) -> PostgresDB:
        self.database.query("create role nobody_at_all")
        self.addCleanup(self.database.query, "drop role nobody_at_all")
        return PostgresDB(f"{self.url}{'&' if '?' in self.url else '?'}options=-c%20role%3Dnobody_at_all")

    def test_only_the_tables_that_are_asked_for_are_read(self) -> None:
        catalog_df = get_data_catalog(self.database, {("public", "object"), ("public", "missing")})
        self.assertEqual(set(catalog_df["table_name"]), {"object"})
        self.assertEqual(len(get_data_catalog(self.database, set())), 0)


class TestOnEachVersion(unittest.TestCase):
    def test_owner_and_reader_see_one_right_row_a_column(self) -> None:
        for version, binaries_directory in BINARIES.items():
            with self.subTest(version):
                url = start_server(self, binaries_directory)
                database = PostgresDB(url)
                self.assertEqual(database.query("show server_version_num")["server_version_num"][0][:2], version)
                database.query(TABLES_SQL)
                self.assertEqual(render(database), CATALOG)
                self.assertEqual(render(PostgresDB(f"{url}&options=-c%20role%3Dreader")), CATALOG)
