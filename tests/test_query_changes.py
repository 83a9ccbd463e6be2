import json
import os
import re
import tomllib
import unittest
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import psycopg2
import sqlalchemy
from psycopg2.extensions import cursor
from sqlalchemy.dialects import postgresql

from data_contract_components.contract_definition.contract_spec import Contract
from data_contract_components.data_assets._query_postgres_helper import PostgresDB
from data_contract_components.detection._consumer_queries import QueryKey, Verdict, find_queries, get_key
from data_contract_components.detection._get_data_contract_specs import get_data_contract_specs
from data_contract_components.detection.migration_changes.query_changes import Verdicts, find_query_changes
from data_contract_components.detection.migration_changes.scratch_verdicts import (
    judge_in_scratch_database,
)
from tests import BINARIES, start_server, url_of_database
from tests.contracts import chapters_spec

QUERIES_DIRECTORY = Path(__file__).parent / "queries"
SHARED_SQL = (QUERIES_DIRECTORY / "shared.sql").read_text()
ROWS_SQL = (QUERIES_DIRECTORY / "rows.sql").read_text()


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A query and a change of the tables; `expected` is what becomes of the query."""

    role: str
    name: str
    query: str
    change: str
    expected: str = "as before"
    values: Any = field(default_factory=list)
    rows: str | None = None

    def contracts(self) -> dict[str, Contract]:
        consumer = {"name": "Team", "role": self.role, "reason": "", "queries": ["query.sql"]}
        consumer |= {"rows": "rows.sql"} if self.rows else {}
        spec = chapters_spec(consumers=[consumer])
        spec["spec-version"] = "1.2.0"
        with TemporaryDirectory() as name:
            directory = Path(name)
            (directory / "case_contract_spec.json").write_text(json.dumps(spec))
            (directory / "query.sql").write_text(self.query)
            (directory / "rows.sql").write_text(self.rows or "")
            return get_data_contract_specs(directory)


def read_pairs(role: str) -> list[Pair]:
    cases = tomllib.loads((QUERIES_DIRECTORY / f"{role}s.toml").read_text())
    return [Pair(role=role, name=name, **case) for name, case in cases.items()]


def run_query(open_cursor: cursor, pair: Pair) -> list[Any] | None:
    """The columns of the result when a client really runs the query, which is then undone; None where it fails."""
    open_cursor.execute("savepoint running")
    try:
        if pair.role == "writer":
            open_cursor.execute("create role a_client in role pg_read_all_data, pg_write_all_data")
            # What the statement needs may be among the rows already.
            for sql in (pair.rows or "select").split("; "):
                open_cursor.execute(f"{sql} on conflict do nothing" if pair.rows else sql)
            open_cursor.execute("set local role a_client")
        if re.search(r"\$\d", pair.query):
            open_cursor.execute(f"prepare client as {pair.query}")
            open_cursor.execute(f"execute client ({', '.join(pair.values)})")
            description = open_cursor.description
            open_cursor.execute("deallocate client")
        elif re.search(r"(?<!:):[a-z]", pair.query):
            dialect = postgresql.dialect(paramstyle="pyformat")  # type: ignore[no-untyped-call]
            open_cursor.execute(str(sqlalchemy.text(pair.query).compile(dialect=dialect)), pair.values)
            description = open_cursor.description
        else:
            values = [tuple(v) if isinstance(v, list) else v for v in pair.values] if pair.values else None
            open_cursor.execute(pair.query, pair.values if isinstance(pair.values, dict) else values)
            description = open_cursor.description
        open_cursor.execute("set constraints all immediate")
        return list(description or [])
    except psycopg2.Error:
        return None
    finally:
        open_cursor.execute("rollback to savepoint running")
        open_cursor.execute("deallocate all")


def describe(before: list[Any] | None, after: list[Any] | None) -> str:
    return "refused" if after is None else "as before" if before == after else "other columns"


class TestPairs(unittest.TestCase):
    """What PostgreSQL says of a query, without its rows, is what really running it with rows shows."""

    def setUp(self) -> None:
        self.cursors: dict[str, list[cursor]] = {}
        for version, binaries in BINARIES.items():
            url = start_server(self, binaries)
            for database, sql in {"empty": SHARED_SQL, "full": SHARED_SQL + ROWS_SQL}.items():
                PostgresDB(url).query(f"create database {database}_one")
                connection = psycopg2.connect(urlsplit(url)._replace(path=f"/{database}_one").geturl())
                self.addCleanup(connection.close)
                self.cursors.setdefault(version, []).append(connection.cursor())
                self.cursors[version][-1].execute(sql)

    def test_the_verdict_on_readers_queries(self) -> None:
        self.assert_verdicts("reader")

    def test_the_verdict_on_writers_queries(self) -> None:
        self.assert_verdicts("writer")

    def assert_verdicts(self, role: str) -> None:
        for pair in read_pairs(role):
            contracts = pair.contracts()
            for version, (empty_cursor, full_cursor) in self.cursors.items():
                with self.subTest(pair.name, version=version):
                    runs, verdicts = [], []
                    for sql in ("savepoint before", pair.change):
                        for open_cursor in (empty_cursor, full_cursor):
                            open_cursor.execute(sql)
                        runs.append(run_query(full_cursor, pair))
                        verdicts.append(judge(empty_cursor, contracts))
                    for open_cursor in (empty_cursor, full_cursor):
                        open_cursor.execute("rollback to savepoint before")
                    self.assertIsNotNone(runs[0], "the query fails without the change")
                    self.assertEqual(describe(*runs), pair.expected, "what running the query shows")
                    self.assertEqual(find_outcome(contracts, *verdicts), pair.expected, verdicts)


class TestRole(unittest.TestCase):
    """A writer's statement is run by nobody who may do everything, and leaves nothing."""

    def setUp(self) -> None:
        name = f"role_of_writer_{os.getpid()}"
        PostgresDB().query(f"create database {name}")
        self.addCleanup(PostgresDB().query, f"drop database {name} with (force)")
        connection = psycopg2.connect(url_of_database(name))
        self.addCleanup(connection.close)
        self.cursor = connection.cursor()
        self.cursor.execute("create table written (words text); create role plain; grant plain to current_user")
        self.cursor.execute("alter table written owner to plain")

    def verdict(self, query: str) -> Verdict:
        contracts = Pair(role="writer", name="", query=query, change="").contracts()
        ((_, verdict),) = judge(self.cursor, contracts).items()
        self.cursor.execute("select count(*) from pg_roles where rolname ~ '^contracts_'")
        self.assertEqual(self.cursor.fetchone(), (0,))
        self.cursor.execute("select count(*), (select count(*) from pg_prepared_statements) from written")
        self.assertEqual(self.cursor.fetchone(), (0, 0))
        return verdict

    def test_it_may_write_rows_and_nothing_else(self) -> None:
        self.assertEqual(self.verdict("insert into written values ('x')"), Verdict())
        failure = self.verdict("insert into written select pg_read_file('PG_VERSION')").failure
        assert failure
        self.assertEqual(failure.message, "permission denied for function pg_read_file")

    def test_it_finds_the_tables_of_the_role_that_it_leaves(self) -> None:
        self.cursor.execute("create schema authorization current_user create table of_user (id integer)")
        self.assertEqual(self.verdict("insert into of_user values (1)"), Verdict())

    def test_a_role_that_is_no_superuser_stays_itself(self) -> None:
        self.cursor.execute("set role plain")
        self.assertEqual(self.verdict("insert into written values (current_user)"), Verdict())

    def test_a_statement_without_its_values_is_not_tried(self) -> None:
        verdict = self.verdict("insert into written values (%s)")
        self.assertEqual(verdict.not_tried, "its parameters have no values")


def judge(open_cursor: cursor, contracts: dict[str, Contract]) -> dict[QueryKey, Verdict]:
    queries = find_queries(contracts)
    return {get_key(query): judge_in_scratch_database(open_cursor, query) for query in queries}


def find_outcome(contracts: dict[str, Contract], before: Verdicts, after: Verdicts) -> str:
    ((key, verdict),) = after.items()
    violations = list(find_query_changes(contracts, [key], before, after))
    if before[key].refusal:
        return "refused by the base"
    if verdict.refusal or any(violation.key == "queries" for violation in violations):
        return "refused"
    return "other columns" if violations else "as before"
