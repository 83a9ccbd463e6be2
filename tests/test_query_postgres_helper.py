import datetime
import decimal
import os
import socket
import time
import unittest
from unittest import mock

import pandas as pd

from data_contract_components.data_assets._query_postgres_helper import PostgresDB, database_url
from data_contract_components.errors import DatabaseUnavailableError, QueryError
from tests import CONTRACT_TESTS, ROOT, DatabaseTestCase, run

PASSWORD = "s3cret"


class TestDatabaseUrl(unittest.TestCase):
    def test_each_scheme_of_a_postgresql_url_is_understood(self) -> None:
        for scheme in ("postgresql", "postgres", "postgresql+psycopg2"):
            with self.subTest(scheme), mock.patch.dict(os.environ, DATABASE_URL=f"{scheme}://u@h:1/d?sslmode=disable"):
                self.assertEqual(database_url(), "postgresql://u@h:1/d?sslmode=disable")

    def test_a_url_that_cannot_be_read_is_refused_without_its_password(self) -> None:
        for url in (
            f"mysql://u:{PASSWORD}@h/d",
            f"u:{PASSWORD}@h/d",
            f"postgresql://u:{PASSWORD}@{PASSWORD}@h/d",
            f"postgresql://u:{PASSWORD}/{PASSWORD}@h/d",
            f"postgresql://u:12/{PASSWORD}@h/d",
            f"postgresql://u:5432,1/{PASSWORD}@h/d",
            f"postgresql://u:12/{PASSWORD}@h/d?sslmode=disable",
            f"postgresql://u@h/d?{PASSWORD}",
            f"postgresql://u@h:{PASSWORD}/d",
        ):
            with self.subTest(url), mock.patch.dict(os.environ, DATABASE_URL=url):
                with self.assertRaises(DatabaseUnavailableError) as caught:
                    PostgresDB().query("select 1")
                self.assertIn("postgresql://user:password@host:port/database", str(caught.exception))
                self.assertNotIn(PASSWORD, str(caught.exception))


class TestUnreachableDatabase(unittest.TestCase):
    def setUp(self) -> None:
        closed_socket = socket.create_server(("127.0.0.1", 0))
        self.port = closed_socket.getsockname()[1]
        closed_socket.close()
        self.url = f"postgresql://u:{PASSWORD}@127.0.0.1:{self.port}/met"

    def test_alembic_says_what_where_and_the_way_out_in_place_of_a_traceback(self) -> None:
        result = run(["alembic", "upgrade", "head"], ROOT / "data_contract_components/data_assets", self.url)
        self.assertEqual(result.returncode, 2)
        for part in ("127.0.0.1", str(self.port), '"met"', "Connection refused", "DATABASE_URL"):
            self.assertIn(part, result.stdout)
        self.assertNotIn("Traceback", result.stdout)
        self.assertNotIn(PASSWORD, result.stdout)

    def test_the_contract_tests_end_in_error_and_neither_fail_nor_pass(self) -> None:
        result = run(["unittest", CONTRACT_TESTS, "-v"], ROOT, self.url)
        self.assertEqual(result.returncode, 1)
        self.assertIn("Connection refused", result.stdout)
        self.assertIn("FAILED (errors=2)", result.stdout)
        self.assertNotIn("FAIL:", result.stdout)
        self.assertNotIn("... ok", result.stdout)
        self.assertNotIn(PASSWORD, result.stdout)

    def test_a_server_that_never_answers_is_given_up_within_ten_seconds(self) -> None:
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
        self.assertEqual(
            frame.to_dict("records"),
            [
                {
                    "n": decimal.Decimal("1.10"),
                    "t": datetime.datetime.fromisoformat("2024-01-02T03:04:05.600000"),
                    "a": ["a", None],
                }
            ],
        )

    def test_columns_of_one_name_are_kept(self) -> None:
        frame = self.database.query("select 1 as a, 'x' as a")
        self.assertEqual(list(frame.columns), ["a", "a"])
        self.assertEqual(frame.iloc[0].tolist(), [1, "x"])

    def test_values_are_bound_by_position_or_name_and_a_lone_percent_sign_needs_no_care(self) -> None:
        self.assertEqual(self.database.query("select %s as v", ["it's; --"])["v"][0], "it's; --")
        self.assertEqual(self.database.query("select %(v)s as v", {"v": 7})["v"][0], 7)
        self.assertEqual(self.database.query("select 'a' like '%' as v")["v"][0], True)

    def test_a_statement_without_rows_is_committed_and_answers_with_its_status(self) -> None:
        self.assertEqual(self.database.query("create table t (a int)").to_dict("list"), {"status": ["CREATE TABLE"]})
        self.assertEqual(self.database.query("insert into t values (1), (2)")["status"][0], "INSERT 0 2")
        self.assertEqual(self.database.query("begin; insert into t values (3)")["status"][0], "INSERT 0 1")
        self.assertEqual(self.database.query("vacuum t")["status"][0], "VACUUM")
        self.assertEqual(self.database.query("select count(*) as n from t")["n"][0], 3)

    def test_several_statements_answer_with_the_last_result(self) -> None:
        frame = self.database.query("create table t (a int); insert into t values (5); select a from t")
        self.assertEqual(frame.to_dict("list"), {"a": [5]})
        self.assertEqual(self.database.query("select 1; drop table t")["status"][0], "DROP TABLE")

    def test_an_error_names_the_sql_state_and_leaves_nothing_half_done(self) -> None:
        with self.assertRaises(QueryError) as caught:
            self.database.query("create table half (a int); insert into half values (1); select 1 / 0")
        self.assertEqual(caught.exception.sql_state, "22012")
        self.assertEqual(str(caught.exception), "SQL state 22012: division by zero")
        self.assertIsNone(self.database.query("select to_regclass('half') as t")["t"][0])

    def test_of_a_transaction_nothing_is_kept_and_after_an_error_it_goes_on_from_its_savepoint(self) -> None:
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
