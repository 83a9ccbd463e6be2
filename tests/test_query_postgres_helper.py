import datetime
import decimal
import json
import os
import socket
import time
import unittest
from pathlib import Path
from unittest import mock
from urllib.parse import unquote, urlsplit

import pandas as pd
from psycopg2.extensions import parse_dsn

from data_contract_components.data_assets._query_postgres_helper import (
    PostgresDB,
    database_url,
    way_out_of_missing_feature,
)
from data_contract_components.errors import DatabaseUnavailableError, QueryError
from tests import CONTRACT_TESTS, DatabaseTestCase, museum_project, read_data, run

PASSWORD = "s3cret"
REFUSED, UNREACHABLE = "the URL cannot be read", "127.0.0.1"
# By the reason why each has no answer. "s3cret" and "p4rt" are of a password; nothing answers at port 1.
URLS: dict[str, list[str]] = json.loads(read_data("urls.json"))


class TestDatabaseUrl(unittest.TestCase):
    def test_each_scheme_of_a_postgresql_url_is_understood(self) -> None:
        for scheme in ("postgresql", "postgres", "postgresql+psycopg2"):
            with self.subTest(scheme), mock.patch.dict(os.environ, DATABASE_URL=f"{scheme}://u@h:1/d?sslmode=disable"):
                self.assertEqual(database_url(), "postgresql://u@h:1/d?sslmode=disable")

    def test_no_message_has_a_part_of_a_password_and_urllib_reads_a_url_as_libpq_does(self) -> None:
        for url, word in ((url, word) for word, urls in URLS.items() for url in urls):
            with self.subTest(url), mock.patch.dict(os.environ, DATABASE_URL=url):
                with self.assertRaises(DatabaseUnavailableError) as caught:
                    PostgresDB().query("select 1")
                message = f"{caught.exception} {caught.exception!r} {caught.exception.__cause__}"
                self.assertIn(word, message)
                self.assertNotRegex(message, "s3cret|p4rt|[^s]part")
                if word == REFUSED:
                    self.assertIn("postgresql://user:password@host:port/database", message)
                if word == UNREACHABLE:
                    parts = urlsplit(database_url())
                    self.assertIn(parts.port, (None, 1))
                    self.assertEqual(parse_dsn(parts.geturl()), parse_dsn(url))
                    self.assertEqual(unquote(parts.password or PASSWORD), parse_dsn(url).get("password", PASSWORD))

    def test_a_parameter_of_other_tools_is_named_with_the_way_out(self) -> None:
        for query, reason in {
            "pgbouncer=true": '"pgbouncer", which is in the URL\nRemove it from DATABASE_URL.',
            "sslmode=disable&schema=art": "or write options=-csearch_path%3Dart in its place.",
            "connection_limit=1&sslmode=disable": '"connection_limit"',
        }.items():
            with (
                self.subTest(query),
                mock.patch.dict(os.environ, DATABASE_URL=f"postgresql://u:{PASSWORD}@h/d?{query}"),
            ):
                with self.assertRaises(DatabaseUnavailableError) as caught:
                    database_url()
                self.assertIn(reason, str(caught.exception))
                self.assertNotIn("%XX", str(caught.exception))


class TestMissingFeature(unittest.TestCase):
    def test_what_a_server_was_built_without_has_a_way_out_and_a_statement_that_is_wrong_has_none(self) -> None:
        for message, is_missing in {
            'extension "pgcrypto" is not available (Could not open extension control file "x": No such file)': True,
            'could not open extension control file "/usr/share/postgresql/14/extension/x.control": No such file': True,
            'collation "und-x-icu" for encoding "UTF8" does not exist': True,
            "ICU is not supported in this build": True,
            "compression method lz4 not supported (… requires the server to be built with lz4 support.)": True,
            'required extension "cube" is not installed': False,
            'extension "vector" already exists': False,
            'extension "vector" does not exist': False,
            'collation mismatch between explicit collations "C" and "POSIX"': False,
        }.items():
            with self.subTest(message):
                self.assertEqual(bool(way_out_of_missing_feature(message)), is_missing)


class TestUnreachableDatabase(unittest.TestCase):
    def setUp(self) -> None:
        closed_socket = socket.create_server(("127.0.0.1", 0))
        self.port = closed_socket.getsockname()[1]
        closed_socket.close()
        self.url = f"postgresql://u:{PASSWORD}@127.0.0.1:{self.port}/met"

    def assert_no_connection(self, command: list[str], directory: Path, status: int, *parts: str) -> str:
        result = run(command, directory, self.url)
        self.assertEqual(result.returncode, status)
        for part in ("Connection refused", *parts):
            self.assertIn(part, result.stdout)
        self.assertNotIn(PASSWORD, result.stdout)
        return result.stdout

    def test_alembic_reports_what_where_and_the_way_out_in_place_of_a_traceback(self) -> None:
        directory = museum_project() / "data_contract_components/data_assets"
        parts = ("127.0.0.1", str(self.port), '"met"', "DATABASE_URL")
        output = self.assert_no_connection(["alembic", "upgrade", "head"], directory, 2, *parts)
        self.assertNotIn("Traceback", output)

    def test_the_contract_tests_end_in_error_and_neither_fail_nor_pass(self) -> None:
        output = self.assert_no_connection(["unittest", CONTRACT_TESTS, "-v"], museum_project(), 1, "FAILED (errors=2)")
        self.assertEqual(output.count("  File "), 2, "more than one line of where it was raised")
        self.assertNotIn("FAIL:", output)
        self.assertNotIn("... ok", output)

    def test_a_server_that_never_answers_is_an_error_within_ten_seconds(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"postgresql://u:{PASSWORD}@127.0.0.1:{silent.getsockname()[1]}/met"
            start = time.monotonic()
            with self.assertRaisesRegex(DatabaseUnavailableError, "no answer within 9 seconds"):
                PostgresDB(url).query("select 1")
            self.assertLess(time.monotonic() - start, 10)


class TestQuery(DatabaseTestCase):
    def test_rows_come_in_nullable_dtypes_whether_there_are_rows_or_not(self) -> None:
        sql = "select 9007199254740993 as whole, true as truth, 'é' as words, 1.5::float8 as real where {}"
        for condition in ("true", "false"):
            frame = self.database.query(sql.format(condition))
            self.assertEqual([str(dtype) for dtype in frame.dtypes], ["Int64", "boolean", "string", "Float64"])
        frame = self.database.query("select 9007199254740993 as whole union all select null order by 1")
        self.assertEqual(frame["whole"][0], 9007199254740993)
        self.assertIs(frame["whole"][1], pd.NA)

    def test_other_types_stay_as_psycopg2_reads_them(self) -> None:
        frame = self.database.query("select 1.10 as n, timestamp '2024-01-02 03:04:05.6' as t, array['a', null] as a")
        moment = datetime.datetime.fromisoformat("2024-01-02T03:04:05.600000")
        self.assertEqual(frame.iloc[0].to_list(), [decimal.Decimal("1.10"), moment, ["a", None]])

    def test_columns_of_one_name_are_kept(self) -> None:
        frame = self.database.query("select 1 as a, 'x' as a")
        self.assertEqual(list(frame.columns), ["a", "a"])
        self.assertEqual(frame.iloc[0].tolist(), [1, "x"])

    def test_values_are_bound_by_position_or_name_and_a_percent_sign_needs_no_escape(self) -> None:
        self.assertEqual(self.database.query("select %s as v", ["it's; --"])["v"][0], "it's; --")
        self.assertEqual(self.database.query("select %(v)s as v", {"v": 7})["v"][0], 7)
        self.assertEqual(self.database.query("select 'a' like '%' as v")["v"][0], True)

    def test_a_statement_without_rows_is_committed_and_returns_its_status(self) -> None:
        self.assertEqual(self.database.query("create table t (a int)").to_dict("list"), {"status": ["CREATE TABLE"]})
        self.assertEqual(self.database.query("insert into t values (1), (2)")["status"][0], "INSERT 0 2")
        self.assertEqual(self.database.query("begin; insert into t values (3)")["status"][0], "INSERT 0 1")
        self.assertEqual(self.database.query("vacuum t")["status"][0], "VACUUM")
        self.assertEqual(self.database.query("select count(*) as n from t")["n"][0], 3)

    def test_several_statements_return_the_last_result(self) -> None:
        frame = self.database.query("create table t (a int); insert into t values (5); select a from t")
        self.assertEqual(frame.to_dict("list"), {"a": [5]})
        self.assertEqual(self.database.query("select 1; drop table t")["status"][0], "DROP TABLE")

    def test_an_error_names_the_sql_state_and_leaves_nothing_half_done(self) -> None:
        with self.assertRaises(QueryError) as caught:
            self.database.query("create table half (a int); insert into half values (1); select 1 / 0")
        self.assertEqual(caught.exception.sql_state, "22012")
        self.assertEqual(str(caught.exception), "SQL state 22012: division by zero")
        self.assertIsNone(self.database.query("select to_regclass('half') as t")["t"][0])

    def test_a_transaction_is_rolled_back_and_continues_from_its_savepoint_after_an_error(self) -> None:
        with self.database.transaction() as transaction:
            transaction.query("create table t (a int); insert into t values (5)")
            transaction.query("savepoint s")
            with self.assertRaises(QueryError):
                transaction.query("drop table t; select 1 / 0")
            transaction.query("rollback to savepoint s")
            self.assertEqual(transaction.query("select a from t")["a"][0], 5)
            self.assertIsNone(self.database.query("select to_regclass('t') as t")["t"][0])
        self.assertIsNone(self.database.query("select to_regclass('t') as t")["t"][0])

    def test_a_transaction_whose_connection_is_lost_is_an_error(self) -> None:
        with self.database.transaction() as transaction:
            number = transaction.query("select pg_backend_pid() as number")["number"][0]
            self.database.query("select pg_terminate_backend(%s)", [int(number)])
            for _ in range(2):
                with self.assertRaises(QueryError):
                    transaction.query("select 1")
