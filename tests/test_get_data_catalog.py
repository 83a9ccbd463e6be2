import unittest

from data_contract_components.data_assets._query_postgres_helper import PostgresDB
from data_contract_components.detection._get_data_catalog import (
    CATALOG_COLUMNS,
    TABLE_KEY,
    CatalogColumn,
    PreparedCatalog,
    get_data_catalog,
)
from data_contract_components.errors import CatalogHiddenError, QueryError
from tests import BINARIES, DatabaseTestCase, read_data, start_server

# Where the catalog intentionally differs: its value, and that of information_schema.
DIFFERENCES = {
    ("everything", "ba", "data_type"): ("character varying", "USER-DEFINED"),
    ("everything", "ba", "udt_name"): ("varchar", "short_text"),
    ("everything", "ba", "character_maximum_length"): (7, "NULL"),
    # NOT NULL is that of the domain beneath.
    ("everything", "ba", "is_nullable"): (False, True),
    ("looking", "ab", "is_nullable"): (True, False),
}
RENDERED = (
    *("table_schema", "table_name", "column_name", "data_type", "constraint_type", "is_nullable", "is_updatable"),
    *("character_maximum_length", "numeric_precision", "datetime_precision", "array_element_data_type"),
    *("array_element_character_maximum_length", "array_element_numeric_precision", "array_element_datetime_precision"),
)

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
    def test_the_columns_of_the_result_are_catalog_columns(self) -> None:
        self.assertEqual(tuple(get_data_catalog(self.database).columns), CATALOG_COLUMNS)

    def test_each_column_of_the_museums_tables_has_one_row(self) -> None:
        catalog_df = get_data_catalog(self.database)
        self.assertFalse(catalog_df.duplicated([*TABLE_KEY, "column_name"]).any())
        self.assertEqual(len(catalog_df[catalog_df["table_name"] != "alembic_version"]), 33)
        self.assertEqual(set(catalog_df["table_catalog"]), {self.database_name})


class TestAgreement(DatabaseTestCase):
    def test_the_catalog_equals_information_schema_except_for_nested_domains_and_not_null_of_views(self) -> None:
        self.database.query(read_data("every_type.sql"))
        keys = [*TABLE_KEY[1:], "column_name"]
        view_df = self.database.query(read_data("information_schema_columns.sql")).sort_values(keys, ignore_index=True)
        catalog_df = get_data_catalog(self.database).sort_values(keys, ignore_index=True)
        catalog_df = catalog_df[catalog_df["table_type"] != "MATERIALIZED VIEW"].reset_index(drop=True)
        self.assertGreater(len(view_df), 60)
        self.assertEqual(catalog_df[keys].values.tolist(), view_df[keys].values.tolist())
        differences: dict[tuple[str, str, str], tuple[object, object]] = {}
        for column in view_df.columns:
            view, catalog = (df[column].astype("object").fillna("NULL").tolist() for df in (view_df, catalog_df))
            rows = zip(view_df["table_name"], view_df["column_name"], catalog, view, strict=True)
            differences |= {(table, name, column): (here, there) for table, name, here, there in rows if here != there}
        self.assertEqual(differences, DIFFERENCES)

    def test_an_index_that_could_not_be_built_makes_nothing_unique(self) -> None:
        self.database.query("create table doubled as select 1 as a from generate_series(1, 2)")
        with self.assertRaisesRegex(QueryError, "could not create unique index"):
            self.database.query("create unique index concurrently u on doubled (a)")
        [column] = CatalogColumn.from_df(get_data_catalog(self.database, {("public", "doubled")}))
        self.assertEqual((column.unique, column.not_enforced), (False, {"unique": 'index "u" is not valid'}))

    def test_a_role_without_any_right_reads_the_same_catalog(self) -> None:
        self.assertTrue(get_data_catalog(self.nobody()).equals(get_data_catalog(self.database)))

    def test_a_role_that_may_not_read_a_system_catalog_gets_an_error(self) -> None:
        self.database.query("revoke select on pg_catalog.pg_enum from public")
        with self.assertRaisesRegex(CatalogHiddenError, "^role nobody_at_all may not read .*pg_enum"):
            get_data_catalog(self.nobody())

    def test_a_default_is_printed_the_same_whatever_the_settings_of_the_role(self) -> None:
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

    def test_a_prepared_catalog_follows_the_changes_of_its_table_whatever_the_search_path(self) -> None:
        self.database.query(read_data("every_type.sql"))
        with self.database.transaction() as transaction:
            catalog = PreparedCatalog(transaction, ("public", "everything"))
            for change in ("select", "set search_path = ''", "alter table public.everything add new text default 'é'"):
                transaction.get_rows(change)
                columns = catalog.get_columns()
                expected = get_data_catalog(transaction, {("public", "everything")})
                self.assertEqual(columns, CatalogColumn.from_df(expected))
            self.assertEqual((columns[-1].column_name, columns[-1].column_default), ("new", "'é'::text"))
            transaction.get_rows("alter table public.everything rename to something")
            self.assertEqual(catalog.get_columns(), [])

    def nobody(self) -> PostgresDB:
        self.database.query("create role nobody_at_all")
        self.addCleanup(self.database.query, "drop role nobody_at_all")
        return PostgresDB(f"{self.url}{'&' if '?' in self.url else '?'}options=-c%20role%3Dnobody_at_all")

    def test_only_the_requested_tables_are_read(self) -> None:
        catalog_df = get_data_catalog(self.database, {("public", "object"), ("public", "missing")})
        self.assertEqual(set(catalog_df["table_name"]), {"object"})
        self.assertEqual(len(get_data_catalog(self.database, set())), 0)


class TestOnEachVersion(unittest.TestCase):
    def test_owner_and_reader_get_the_same_catalog_with_one_row_per_column(self) -> None:
        catalog = read_data("catalog.txt").rstrip("\n")
        for version, binaries_directory in BINARIES.items():
            with self.subTest(version):
                url = start_server(self, binaries_directory)
                database = PostgresDB(url)
                self.assertEqual(database.query("show server_version_num")["server_version_num"][0][:2], version)
                database.query(read_data("catalog_tables.sql"))
                self.assertEqual(render(database), catalog)
                self.assertEqual(render(PostgresDB(f"{url}&options=-c%20role%3Dreader")), catalog)
