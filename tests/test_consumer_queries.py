import os
import random
import unittest
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import psycopg2

from data_contract_components.contract_definition._sql_text import find_statements
from data_contract_components.data_assets._query_postgres_helper import PostgresDB, database_url
from data_contract_components.detection._consumer_queries import (
    ConsumerState,
    UndecidedQueryError,
    get_consumer_state,
)
from data_contract_components.detection._get_data_catalog import get_data_catalog
from data_contract_components.detection._get_data_contract_specs import get_data_contract_specs
from data_contract_components.detection.contract_violation_detector import ContractViolationDetector, Violation
from tests import DatabaseTestCase
from tests.contracts import ContractsTestCase, chapters_spec

# Pieces of SQL that hide a semicolon, or seem to.
PIECES = (
    *(
        "select 1",
        *";;;;;;;;",
        "'",
        "''",
        "\\'",
        "\\",
        "e'",
        "E'",
        "U&'",
        'u&"',
        "b'",
        "x'",
        "n'",
        '"',
        "\n",
        "\r",
        " ",
        "\t",
    ),
    *("--", "-- ;\n", "/*", "*/", "/", "*", "+", "-", "$", "$$", "$a$", "$1", "$é$", "a", "a$b$", "1", "1e", "1$a$"),
    *(
        "é",
        "(",
        ")",
        "[",
        ":a",
        "::int",
        "%",
        "%s",
        "%(a)s",
        "%%",
        ",",
        "commit",
        "0x",
        ":",
        "in",
        "\v",
        "\f",
        "\u00a0",
    ),
)


class QueriesTestCase(ContractsTestCase):
    """Each test has one contract with one consumer."""

    def write_contract(self, *names: str, role: str = "reader", table_name: str = "object_images", **more: Any) -> None:
        consumer = {"name": "Research", "role": role, "reason": "They look."} | more
        consumer |= {"queries": list(names)} if names else {}
        spec = chapters_spec(consumers=[consumer]) | {"spec-version": "1.2.0"}
        spec["schema"] |= {"table_name": table_name}
        del spec["schema"]["table_catalog"]
        self.write("t", spec)

    def write_query(self, text: str | bytes, name: str = "q.sql") -> Path:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path


class TestFiles(QueriesTestCase):
    def test_a_query_is_one_statement_of_the_consumers_kind(self) -> None:
        reader, writer = "expected SELECT, VALUES or TABLE", "expected INSERT, UPDATE, DELETE or MERGE"
        second = "has a second statement: give each a file of its own"
        for role, text, problem in (
            ("reader", "", "q.sql:1: has no statement: write one, SELECT, VALUES or TABLE"),
            ("reader", "\n-- select 1;\n/* ; */ ;;", "q.sql:1: has no statement: write one, SELECT, VALUES or TABLE"),
            ("reader", "-- a\ndelete from t", f"q.sql:2: is DELETE; {reader}"),
            ("reader", "with a as (select 1) insert into t select * from a", f"q.sql:1: is INSERT; {reader}"),
            ("reader", "\ncommit", f"q.sql:2: is COMMIT; {reader}"),
            ("reader", "do 'begin perform 1; end'", f"q.sql:1: is DO; {reader}"),
            ("reader", "select 1;\n\nselect 2", f"q.sql:3: {second}"),
            ("reader", "select e'a'\n'\\'' ; commit ; '", f"q.sql:2: is COMMIT; {reader}"),
            ("writer", "select 1", f"q.sql:1: is SELECT; {writer}"),
            ("writer", "truncate t", f"q.sql:1: is TRUNCATE; {writer}"),
            ("writer", "insert into t values (1);\nupdate t set a = 1", f"q.sql:2: {second}"),
        ):
            with self.subTest(text):
                self.write_contract("q.sql", role=role)
                self.write_query(text)
                self.assertEqual(self.problems()[0], problem)

    def test_one_statement_may_hold_what_looks_like_more(self) -> None:
        for text in (
            "select ';' as \"a;b\" -- ; select\n/* ; /* ; */ ; */ ;",
            "with update as (select 1), b as (delete from t returning *) select $a$ ; $b$ ; $a$",
            "(select 1) union (table t)",
            "values (1), (e'\\';')",
        ):
            with self.subTest(text):
                self.write_contract("q.sql")
                self.write_query(text)
                ((query,),) = (contract.queries for contract in get_data_contract_specs(self.directory).values())
                self.assertTrue(text.startswith(query.statement.render()))
                self.assertIn(query.statement.kind, ("SELECT", "VALUES"))

    def test_parameters_of_every_style_get_numbers(self) -> None:
        for text, rendered in (
            ("select $2, $1", "select  $2 ,  $1 "),
            ("select %s, %s, '%s', a %% 2", "select  $1 ,  $2 , '%s', a % 2"),
            ("select %(a)s, %(b)s, %(a)s", "select  $1 ,  $2 ,  $1 "),
            ("select :a, ':b', x::int, y[1:n], :a", "select  $1 , ':b', x::int, y[1:n],  $1 "),
            ("select 1 where a in %(list)s", "select 1 where a in ( $1 )"),
            ("select a %% 2, a %x", "select a %% 2, a %x"),
        ):
            with self.subTest(text):
                (statement,) = find_statements(text)
                self.assertEqual(statement.render(), rendered)

    def test_nothing_outside_of_the_repository_is_read(self) -> None:
        outside = self.directory.parent / f"{self.directory.name}.sql"
        outside.write_text("select 1")
        self.addCleanup(outside.unlink)
        (self.directory / "link.sql").symlink_to(outside)
        (self.directory / "folder").symlink_to(self.directory.parent)
        for name in ("link.sql", f"folder/{outside.name}"):
            with self.subTest(name):
                self.write_contract(name)
                self.assertIn(f"$.consumers[0].queries[0]: {name} is a link out of the repository", self.problems()[-1])
        message = "expected the path of an .sql file, relative to the contract, in its folder or below it"
        for name in (str(outside), f"../{outside.name}", "a/../../q.sql", "q.txt", "/q.sql", ".."):
            with self.subTest(name):
                self.write_contract(name)
                self.assertIn(f'$.consumers[0].queries[0]: {message}; found "{name}"', self.problems()[-1])

    def test_a_file_that_cannot_be_read_is_a_problem_on_the_contracts_line(self) -> None:
        os.mkfifo(self.directory / "pipe.sql")
        (self.directory / "folder.sql").mkdir()
        (self.directory / "loop.sql").symlink_to("loop.sql")
        self.write_query(b"select '\xff'", "latin.sql")
        self.write_query("select 1 \0", "null.sql")
        self.write_query("-" * 1_000_001, "large.sql")
        for name, problem in (
            ("missing.sql", "there is no file missing.sql"),
            ("pipe.sql", "pipe.sql is not a file"),
            ("folder.sql", "folder.sql is not a file"),
            ("loop.sql", "loop.sql"),
            ("latin.sql", "latin.sql is not UTF-8 text"),
            ("null.sql", "null.sql has a NUL character"),
            ("large.sql", "large.sql has more than 1,000,000 bytes"),
        ):
            with self.subTest(name):
                self.write_contract(name)
                self.assertIn(f"$.consumers[0].queries[0]: {problem}", self.problems()[-1])
                self.assertRegex(self.problems()[-1], r"^t_contract_spec\.json:\d+: ")

    def test_they_are_keys_of_version_1_2_0(self) -> None:
        consumer = {"name": "a", "role": "writer", "reason": "b", "queries": ["q.sql"], "rows": "r.sql"}
        self.write("t", chapters_spec(consumers=[consumer]) | {"spec-version": "1.1.0"})
        self.assertEqual(
            [problem.partition("$")[2] for problem in self.problems()],
            [
                f'.consumers[0].{key}: "{key}" is a key of a later spec-version: write "spec-version": "1.2.0"'
                for key in ("queries", "rows")
            ],
        )


class TestStatements(unittest.TestCase):
    def test_what_postgresql_takes_for_several_statements_is_never_one(self) -> None:
        """PostgreSQL itself counts, as it prepares no more than one at a time."""
        texts = random.Random(14)
        counted = 0
        with psycopg.connect(database_url()) as connection:
            for _ in range(20_000):
                text = "select 1" + "".join(texts.choices(PIECES, k=texts.randint(1, 14)))
                statements = find_statements(text)
                if len(statements) == 1:
                    sql = statements[0].render().encode()
                    message = connection.pgconn.prepare(b"", sql).error_message.decode()
                    self.assertNotIn("cannot insert multiple commands", message, text)
                    connection.pgconn.exec_(b"rollback")
                    counted += 1
        self.assertGreater(counted, 1000)


class TestVerdicts(QueriesTestCase, DatabaseTestCase):
    def state(self, url: str = "") -> ConsumerState:
        return get_consumer_state(get_data_contract_specs(self.directory), url=url or self.url)

    def violations(self) -> list[Violation]:
        contracts = get_data_contract_specs(self.directory)
        return ContractViolationDetector(contracts, get_data_catalog(self.database), self.state()).find_violations(
            "binding"
        )

    def url_of_role(self, *grants: str) -> str:
        """A role without any right but the one to connect, and what `grants` give it."""
        role = f"nobody_{self.database_name}"
        self.database.query(f"create role {role} login; revoke all on schema public from public")
        self.addCleanup(PostgresDB().query, f"drop role {role}")
        self.addCleanup(self.database.query, f"drop owned by {role}")
        for grant in grants:
            self.database.query(f"grant {grant} to {role}")
        parts = urlsplit(self.url)
        return parts._replace(netloc=f"{role}@{parts.netloc.rpartition('@')[2]}").geturl()

    def test_a_refused_query_is_named_with_the_place_and_the_words_of_postgresql(self) -> None:
        self.write_contract("queries/a.sql")
        self.write_query("-- é\nselect object_id,\n  :x as x, primary_imag\nfrom object_images", "queries/a.sql")
        (violation,) = self.violations()
        self.assertEqual(
            str(violation),
            'Query queries/a.sql of Research fails: column "primary_imag" does not exist (SQL state 42703)',
        )
        query = violation.query
        assert query
        self.assertEqual((query.line, query.column, query.source_line), (3, 12, "  :x as x, primary_imag"))
        self.assertEqual(query.hint, 'Perhaps you meant to reference the column "object_images.primary_image".')

    def test_a_text_that_is_no_sql_is_refused_and_the_next_query_is_judged(self) -> None:
        self.write_contract("a.sql", "b.sql", "c.sql")
        self.write_query("select object_id fro m object_images", "a.sql")
        self.write_query("select object_id from object_images", "b.sql")
        self.write_query("select object_id\nfrom object_images where", "c.sql")
        self.assertEqual(
            [(v.column_name, v.query and v.query.line, v.found) for v in self.violations()],
            [
                ("a.sql", 1, 'syntax error at or near "m"'),
                ("c.sql", 2, "syntax error at end of input"),
            ],
        )

    def test_it_needs_no_right_to_a_row_and_runs_nothing(self) -> None:
        insert = "insert into object_images values (1) returning 1"
        self.database.query(f"create function shout() returns integer language sql as '{insert}'; create sequence s")
        self.write_contract("q.sql")
        self.write_query("select *, shout(), nextval('s'), pg_sleep(100) from object_images for update")
        url = self.url_of_role("usage on schema public")
        ((_, verdict),) = self.state(url).verdicts.items()
        self.assertIsNone(verdict.refusal)
        self.assertEqual(
            self.database.get_rows("select count(*)::int, (select last_value from s) from object_images"), [(0, 1)]
        )

    def test_where_the_role_may_not_look_nothing_is_decided(self) -> None:
        self.write_contract("q.sql")
        self.write_query("select object_id from public.object_images")
        with self.assertRaisesRegex(
            UndecidedQueryError, "q.sql: cannot be judged: permission denied for schema public"
        ):
            self.state(self.url_of_role())

    def test_a_lock_is_not_waited_for_without_end(self) -> None:
        self.write_contract("q.sql")
        self.write_query("select object_id from object_images")
        with closing(psycopg2.connect(self.url)) as connection:
            connection.cursor().execute("lock table object_images in access exclusive mode")
            with self.assertRaisesRegex(UndecidedQueryError, "lock timeout"):
                self.state()

    def test_a_writer_has_to_write_what_has_no_default(self) -> None:
        self.database.query(
            """
            create domain answer as integer not null default 42;
            create table written (
                always integer generated always as identity,
                usual integer generated by default as identity,
                computed text generated always as ('x') stored,
                filled text not null default '',
                solved answer,
                free text,
                known text not null,
                forgotten text not null
            );
            create view seen as select known, upper(known) as loud from written
            """
        )
        for table_name, columns, expected in (
            (
                "written",
                ["known", "always", "computed"],
                {
                    "forgotten": "writer Research does not write it, and it is NOT NULL and has no default",
                    "always": "writer Research writes it, and it is generated always",
                    "computed": "writer Research writes it, and it is generated always",
                },
            ),
            ("written", ["known", "forgotten", "usual", "filled", "free"], {}),
            ("seen", ["known", "loud"], {"loud": "writer Research writes it, and it is not updatable"}),
        ):
            with self.subTest(table_name, columns=columns):
                self.write_contract(role="writer", table_name=table_name, columns=columns)
                found = {v.column_name: str(v) for v in self.violations() if v.key == "consumers"}
                self.assertEqual(found, expected)
        self.write_contract(role="writer", table_name="written")
        names = {violation.column_name for violation in self.violations() if violation.key == "consumers"}
        self.assertEqual(names, {"known", "forgotten"})

    def test_without_what_the_database_says_nothing_is_said_about_writers(self) -> None:
        self.database.query("create table written (id integer not null default 1, known text not null)")
        self.write_contract(role="writer", table_name="written", columns=[])
        contracts = get_data_contract_specs(self.directory)
        violations = ContractViolationDetector(contracts, get_data_catalog(self.database)).find_violations("binding")
        self.assertNotIn("consumers", {violation.key for violation in violations})
        self.assertEqual([v.column_name for v in self.violations() if v.key == "consumers"], ["known"])

    def test_a_writer_of_an_older_version_has_to_write_nothing(self) -> None:
        self.database.query("create table written (known text not null)")
        consumer = {"name": "Research", "role": "writer", "reason": "They write.", "columns": []}
        spec = chapters_spec(consumers=[consumer])
        spec["schema"] |= {"table_name": "written", "table_catalog": self.database_name}
        for version, keys in (("1.1.0", set()), ("1.2.0", {"consumers"})):
            with self.subTest(version):
                self.write("t", spec | {"spec-version": version})
                self.assertEqual({v.key for v in self.violations() if v.column_name == "known"}, keys)


if __name__ == "__main__":
    unittest.main()
