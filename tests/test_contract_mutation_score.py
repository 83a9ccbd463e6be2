import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

from data_contract_components.contract_definition.contract_spec import Contract
from data_contract_components.contract_definition.spec_problems import SCHEMA_DIRECTORY, SPEC_VERSIONS
from data_contract_components.contract_definition.table_lists import strip_index
from data_contract_components.data_assets._museum_records import TABLES
from data_contract_components.data_assets._query_postgres_helper import PostgresDB
from data_contract_components.detection import contract_violation_detector
from data_contract_components.detection._get_data_catalog import CatalogColumn, get_data_catalog
from data_contract_components.detection._table_contract import generate_contract_spec
from data_contract_components.detection.contract_mutation_score.__main__ import main
from data_contract_components.detection.contract_mutation_score.score import (
    LINE_LENGTH,
    ContractMutations,
    Verdict,
    render_score,
)
from data_contract_components.detection.contract_violation_detector import COMPARED_KEYS
from tests import (
    BINARIES,
    DatabaseTestCase,
    museum_project,
    read_data,
    run,
    run_on_terminal,
    settings_of,
    start_server,
    wait_until,
)
from tests.contracts import ContractsTestCase, chapters_head

MODULE = "data_contract_components.detection.contract_mutation_score"
SESSIONS_SQL = "select 1 from pg_stat_activity where datname ~ '^contracts_scratch_'"


def generate(database: PostgresDB, table: str, version: str = "1.1.0") -> Any:
    columns = CatalogColumn.from_df(get_data_catalog(database, {("public", table)}))
    return generate_contract_spec(columns, {}, version, chapters_head(name=table))


def get_verdicts(database: PostgresDB, spec: Any) -> list[Verdict]:
    with database.transaction() as transaction:
        return ContractMutations(transaction, Contract(spec, Path("x"), ""), "binding").get_verdicts()


def get_state(database: PostgresDB) -> list[list[Any]]:
    return database.query(read_data("state.sql")).to_numpy().tolist()


def get_scratch_databases(database: PostgresDB) -> list[str]:
    names_df = database.query("select datname::text from pg_database where datname ~ '^contracts_scratch_'")
    return list(names_df["datname"])


class MutationTestCase(ContractsTestCase, DatabaseTestCase):
    def score(self, *options: str, url: str = "") -> tuple[int, str]:
        """The status and the output of the command, in this process."""
        output = io.StringIO()
        with (
            settings_of(museum_project()),
            mock.patch.dict(os.environ, DATABASE_URL=url or self.url),
            contextlib.redirect_stdout(output),
            contextlib.redirect_stderr(output),
        ):
            status = main([str(self.directory), *options])
        return status, output.getvalue()


class TestContractMutations(MutationTestCase):
    def assert_all_noticed(self, verdicts: list[Verdict]) -> None:
        others = [verdict for verdict in verdicts if verdict.state != "noticed"]
        catalogs = [verdict for verdict in verdicts if verdict.clause.key == "table_catalog"]
        self.assertEqual(others, catalogs)
        self.assertTrue(render_score(verdicts).endswith(", 100 %"))

    def test_each_clause_of_the_generated_contract_of_each_of_the_museums_tables_is_noticed(self) -> None:
        for table in TABLES:
            for version in SPEC_VERSIONS:
                with self.subTest(table, version=version):
                    self.assert_all_noticed(get_verdicts(self.database, generate(self.database, table, version)))

    def test_each_key_of_the_dialect_is_noticed_on_every_kind_of_column_and_version(self) -> None:
        definitions = json.loads((SCHEMA_DIRECTORY / "contract_spec_1.2.0.schema.json").read_text())["$defs"]
        parts = definitions["column"]["properties"]
        keys = {*parts["constraints"]["properties"]}
        keys |= {f"array_element_{key}" for key in parts["array_element"]["properties"]}
        keys |= {"table_catalog", "table_schema", "table_name", "table_type", "additionalColumns", "column_name"}
        keys |= {"foreignKeys", "checks", "additionalConstraints"}
        for version in ("16", "18"):
            with self.subTest(version=version):
                database = PostgresDB(start_server(self, BINARIES[version]))
                database.query(f"create table object (object_id integer primary key); {read_data('every_key.sql')}")
                database.query('alter table "Every thing;" add u numeric(5, 1)[], add v timestamp(3)[]')
                if version == "18":
                    database.query('alter table "Every thing;" add z integer generated always as (y + 1) virtual')
                spec = generate(database, "Every thing;", "1.2.0")
                spec["schema"] |= {"additionalColumns": False, "additionalConstraints": False}
                spec["schema"]["table_catalog"] = "postgres"
                verdicts = get_verdicts(database, spec)
                self.assert_all_noticed(verdicts)
                self.assertEqual({strip_index(verdict.clause.key) for verdict in verdicts}, keys)

    def test_clauses_of_views_and_partitions_are_broken_by_replacing_them_with_a_copy(self) -> None:
        self.database.query(read_data("kinds_of_tables.sql"))
        for table in ("child", "view_of_column", "stored", "distant", "tied", "testator", "nested"):
            with self.subTest(table):
                spec = generate(self.database, table, "1.2.0")
                spec["schema"] |= {"additionalColumns": False, "additionalConstraints": False}
                self.assert_all_noticed(get_verdicts(self.database, spec))

    def test_a_broken_null_value_of_a_key_is_noticed(self) -> None:
        spec = generate(self.database, "object_copyright")
        column = spec["schema"]["properties"]["is_public_domain"]
        keys = ("character_maximum_length", "numeric_precision", "numeric_scale", "datetime_precision")
        column["constraints"] |= dict.fromkeys((*keys, "interval_type", "collation_name"))
        spec["schema"]["properties"] = {"is_public_domain": column}
        self.assert_all_noticed(get_verdicts(self.database, spec))

    def test_clauses_that_are_broken_already_or_cannot_be_broken_are_not_counted(self) -> None:
        spec = generate(self.database, "object_images")
        columns = spec["schema"]["properties"]
        columns["primary_image"]["constraints"]["is_nullable"] = False
        columns["gone"] = columns.pop("created_at")
        spec["schema"]["additionalColumns"] = True
        verdicts = get_verdicts(self.database, spec)
        others = {(verdict.clause.column_name, verdict.clause.key): verdict for verdict in verdicts}
        broken = others["primary_image", "is_nullable"]
        self.assertEqual((broken.state, broken.note), ("already broken", "Is Nullable: expected false, found true"))
        self.assertEqual({verdict.state for key, verdict in others.items() if key[0] == "gone"}, {"already broken"})
        self.assertEqual(others["(table)", "additionalColumns"].state, "cannot break")
        self.assertEqual(others["primary_image", "data_type"].state, "noticed")
        spec["schema"]["table_name"] = "nowhere"
        self.assertEqual({verdict.state for verdict in get_verdicts(self.database, spec)}, {"already broken"})

    def test_a_clause_of_elements_that_a_column_which_is_no_array_keeps_can_be_broken(self) -> None:
        self.database.query("create table measures (a numeric[])")
        spec = generate(self.database, "measures")
        self.database.query("alter table measures alter a type numeric using null")
        states = {verdict.clause.key: verdict.state for verdict in get_verdicts(self.database, spec)}
        self.assertEqual(spec["schema"]["properties"]["a"]["array_element"]["numeric_precision"], None)
        self.assertEqual(states["array_element_data_type"], "already broken")
        self.assertEqual(states["array_element_numeric_precision"], "noticed")


class TestContractMutationScore(MutationTestCase):
    def test_the_contracts_of_the_project_score_100_percent_and_nothing_is_left(self) -> None:
        before = get_state(self.database)
        result = run([MODULE], museum_project(), self.url)
        self.assertEqual(result.returncode, 0, result.stdout)
        lines = result.stdout.splitlines()
        self.assertEqual(lines[0], "object_images_contract_spec: 25 of 25 noticed, 100 %")
        self.assertIn("    cannot break   table_catalog: postgres", lines)
        self.assertIn("    noticed        numeric_precision: 32", lines)
        self.assertIn("    column_default: object_id, primary_image, additional_images, created_at", lines)
        self.assertEqual(lines[-1], "mutation score: 25 of 25 noticed, 100 %")
        self.assertLessEqual(max(map(len, lines)), LINE_LENGTH)
        self.assertEqual((get_scratch_databases(self.database), get_state(self.database)), ([], before))

    def test_a_terminal_shows_the_progress(self) -> None:
        self.write("a", generate(self.database, "object_tags"))
        shown = run_on_terminal([MODULE, str(self.directory), "--in-place"], museum_project(), self.url)
        self.assertRegex(shown, r"\r *\d+%.* \d+/42 .*clause/s")
        self.assertIn("mutation score: 41 of 41 noticed, 100 %", shown)

    def test_each_clause_of_a_contract_that_names_no_database_can_be_broken(self) -> None:
        self.write("a", generate(self.database, "object_tags", "1.2.0"))
        for options in ((), ("--in-place",)):
            status, output = self.score(*options)
            self.assertEqual((status, "cannot break" in output), (0, False), output)

    def test_clauses_that_a_detector_without_some_keys_misses_are_reported_with_the_statement(self) -> None:
        self.write("a", generate(self.database, "object_tags"))
        blind_keys = {"is_nullable", "references", "array_element_dimensions"}
        keys = [key for key in COMPARED_KEYS if key not in blind_keys]
        with mock.patch.object(contract_violation_detector, "COMPARED_KEYS", keys):
            status, output = self.score()
        self.assertEqual(status, 1)
        unnoticed = re.findall(r"^    unnoticed +(\w+): (.*)\n +(alter|create) table ", output, re.MULTILINE)
        self.assertEqual(
            sorted((key, value) for key, value, _ in unnoticed),
            [
                ("array_element_dimensions", "1"),
                *[("is_nullable", "false")] * 2,
                ("is_nullable", "true"),
                *[("references", "null")] * 3,
            ],
        )
        self.assertEqual(output.splitlines()[-1], "mutation score: 34 of 41 noticed, 82 %")

    def test_in_place_the_tables_and_rows_are_unchanged_afterwards(self) -> None:
        self.database.query("insert into object_images (object_id, primary_image) values (1, 'a'), (2, null)")
        spec = generate(self.database, "object_images", "1.0.0")
        self.write("a", spec)
        before = get_state(self.database)
        status, output = self.score("--in-place")
        self.assertEqual((status, output.splitlines()[-1][-5:]), (0, "100 %"), output)
        self.assertEqual(get_state(self.database), before)
        spec["schema"]["table_catalog"] = "another"
        self.write("a", spec)
        status, output = self.score("--in-place")
        self.assertEqual(status, 2)
        self.assertIn("Table Catalog: expected another, found", output)

    def test_a_role_without_the_rights_gets_status_2(self) -> None:
        role = f"role_of_{self.database_name}"
        self.database.query(f"create role {role} login")
        self.addCleanup(PostgresDB().query, f"drop role {role}")
        self.write("a", generate(self.database, "object_tags", "1.0.0"))
        parts = urlsplit(self.url)
        url = parts._replace(netloc=f"{role}@{parts.netloc.rpartition('@')[2]}").geturl()
        status, output = self.score(url=url)
        self.assertEqual(status, 2)
        self.assertIn("cannot create a scratch database: permission denied", output)
        status, output = self.score("--in-place", url=url)
        self.assertEqual(status, 2)
        self.assertIn("SQL state 42501", output)
        self.assertEqual(get_scratch_databases(self.database), [])

    def test_nothing_is_left_when_it_is_interrupted(self) -> None:
        for table in TABLES:
            self.write(table, generate(self.database, table))
        url = start_server(self, BINARIES["18"])
        server = PostgresDB(url)
        run(["alembic", "upgrade", "head"], museum_project(), url, check=True)
        before = get_state(server)
        # Each mutation lasts a second there, so that it cannot be missed.
        PostgresDB(urlsplit(url)._replace(path="/template1").geturl()).query(read_data("slow_mutations.sql"))
        for number, sql in (
            (signal.SIGINT, "select 1 from pg_database where datname ~ '^contracts_scratch_'"),
            (signal.SIGTERM, f"{SESSIONS_SQL} and query ~ 'before_mutation'"),
        ):
            with self.subTest(number.name):
                process = subprocess.Popen(
                    [sys.executable, "-m", MODULE, str(self.directory)],
                    cwd=museum_project(),
                    env=os.environ | {"DATABASE_URL": url},
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
                self.addCleanup(process.kill)
                wait_until(lambda sql=sql: len(server.query(sql)) > 0)  # type: ignore[misc]
                process.send_signal(number)
                while process.poll() is None:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(timeout=10)
                    # Again where it goes on: an exception that comes while another object is taken down is lost.
                    if len(server.query(SESSIONS_SQL)):
                        process.send_signal(number)
                output = process.communicate()[0]
                self.assertEqual((process.returncode, output.splitlines()[-1]), (130, "stopped; nothing was changed"))
                self.assertEqual((get_scratch_databases(server), get_state(server)), ([], before))
