"""Contracts as files of the Open Data Contract Standard: they are valid, and their rules judge as the detector does."""

import json
import re
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, cast

import jsonschema_rs
import yaml
from hypothesis import given

from data_contract_components.contract_definition._odcs_yaml import render_yaml
from data_contract_components.contract_definition.contract_spec import (
    TABLE_CLAUSES,
    WHOLE_TABLE,
    Contract,
    ContractSpec,
)
from data_contract_components.contract_definition.export_odcs import make_document
from data_contract_components.contract_definition.spec_problems import find_spec_problems
from data_contract_components.data_assets._query_postgres_helper import PostgresDB
from data_contract_components.detection._get_data_catalog import CatalogColumn, get_data_catalog
from data_contract_components.detection._table_contract import generate_contract_spec
from data_contract_components.detection.contract_violation_detector import COMPARED_KEYS, ContractViolationDetector
from tests import (
    BINARIES,
    CONTRACTS,
    RUN_DIRECTORY,
    SHARED_DIRECTORY,
    DatabaseTestCase,
    museum_project,
    read_data,
    run,
    start_server,
)
from tests.contracts import chapters_head, chapters_spec
from tests.random_specs import REPOSITORY, valid_specs
from tests.random_tables import ChangedTable, changed_tables, random_settings
from tests.test_cases import CASES, SHARED_SQL, Case

COMMAND = "data_contract_components.contract_definition.export_odcs"
STANDARDS = ("3.1", "3.2")
SCHEMA_PATHS = {name: SHARED_DIRECTORY / f"schemas/odcs-json-schema-v{name}.0.json" for name in STANDARDS}
# So that no rule depends on how the session prints things.
OTHER_SETTINGS = """
set local search_path = pg_catalog; set local timezone = 'Asia/Tokyo'; set local datestyle = 'German';
"""
Broken = set[tuple[str, str]]


def find_rules(document: dict[str, Any]) -> dict[tuple[str, str], str]:
    """The queries by column, or WHOLE_TABLE, and the rule's id."""
    [table] = document["schema"]
    places = {WHOLE_TABLE: table} | {column["name"]: column for column in table["properties"]}
    return {(name, rule["id"]): rule["query"] for name, place in places.items() for rule in place.get("quality", [])}


def make_id(key: str) -> str:
    return "dataContracts-" + re.sub("[^A-Za-z0-9]+", "-", key).strip("-")


def judge(database: PostgresDB, spec: dict[str, Any]) -> tuple[Broken, Broken]:
    """What the rules find broken, and what the detector does; of columns that are missing, that alone."""
    # The rules judge whatever the contract's status, and know of no waiver.
    enforced = {key: value for key, value in spec.items() if key not in ("status", "replacedBy", "waivers")}
    contract = Contract(cast(ContractSpec, enforced), Path("a"), "")
    found: Broken = set()
    for place, query in find_rules(make_document(spec)).items():
        database.query(OTHER_SETTINGS)
        [[number]] = database.get_rows(query)
        if number:
            found.add(place)
    detector = ContractViolationDetector({"a": contract}, get_data_catalog(database, {contract.table}))
    violations = detector.find_violations("binding")
    missing = {violation.column_name for violation in violations if violation.key == "column_name"}
    expected = {
        (WHOLE_TABLE if violation.key == "additionalColumns" else violation.column_name, make_id(violation.key))
        for violation in violations
        if violation.key != "column_name"
    }
    return {place for place in found if place[0] not in missing}, expected


def judge_case(case: Case, transaction: PostgresDB) -> tuple[Broken, Broken]:
    transaction.query("savepoint before")
    transaction.query(case.statements())
    try:
        return judge(transaction, case.spec())
    finally:
        transaction.query("rollback to savepoint before")


class TestRules(DatabaseTestCase):
    maxDiff = None

    def test_in_each_case_the_rules_find_what_the_detector_finds(self) -> None:
        databases = {
            int(version): self.enterContext(PostgresDB(start_server(self, binaries)).transaction())
            for version, binaries in BINARIES.items()
        }
        for database in databases.values():
            database.query(SHARED_SQL)
        with ThreadPoolExecutor() as pool:
            for number, case in enumerate(CASES):
                # The newest version judges all of them, each older one its share, and those that are not for all.
                shares = {max(databases), sorted(databases)[number % len(databases)]}
                wanted = shares if len(case.versions) == len(databases) else set(databases)
                versions = [version for version in databases if version in wanted & set(case.versions)]
                verdicts = pool.map(partial(judge_case, case), (databases[version] for version in versions))
                for version, (found, expected) in zip(versions, verdicts, strict=True):
                    with self.subTest(case.name, version=version):
                        self.assertEqual(found, expected)

    @random_settings(max_examples=5)
    @given(changed_tables())
    def test_so_do_they_in_random_tables_before_and_after_a_change(self, changed: list[ChangedTable]) -> None:
        before = changed[0].before
        self.database.query(f"{read_data('drop_everything.sql')}; {before.render()}")
        columns = CatalogColumn.from_df(get_data_catalog(self.database, {(before.schema, before.name)}))
        schema = {"additionalColumns": False, "additionalConstraints": False}
        spec = generate_contract_spec(columns, {}, "1.2.0", chapters_head(schema=schema))
        with self.database.transaction() as transaction:
            self.assertEqual(judge(transaction, spec), (set(), set()))
        self.database.query(changed[0].change)
        with self.database.transaction() as transaction:
            found, expected = judge(transaction, spec)
        if changed[0].after:
            self.assertEqual(found, expected)

    def test_each_clause_has_a_rule_but_the_names_and_what_allows_everything(self) -> None:
        keys: set[str] = set()
        for spec in REPOSITORY:
            for name, key in find_rules(make_document(spec)):
                keys.add(f"{'table' if name == WHOLE_TABLE else 'column'} {re.sub('-[0-9]+$', '', key)}")
        expected = {f"column {make_id(key)}" for key in COMPARED_KEYS}
        expected |= {f"table {make_id(key)}" for key in TABLE_CLAUSES if key not in ("table_schema", "table_name")}
        self.assertEqual(keys, expected)

    def test_what_tools_fill_in_or_read_as_sql_stays_as_it_is(self) -> None:
        for text in (
            "{table}",
            "${HOME}",
            "$HOME",
            "'; drop table object; --",
            "\\",
            "%s %",
            ":a ::b",
            '"',
            "é\n\t\u2028",
        ):
            with self.subTest(text), self.database.transaction() as transaction:
                quoted, literal = text.replace('"', '""'), text.replace("'", "''")
                transaction.query(
                    f"create type \"{quoted} type\" as enum ('{literal}'); "
                    f'create table "{quoted}" ("{quoted}" text unique default \'{literal}\', e "{quoted} type", '
                    f"check (\"{quoted}\" <> '{literal}'))"
                )
                columns = CatalogColumn.from_df(get_data_catalog(transaction, {("public", text)}))
                schema = {"additionalColumns": False, "additionalConstraints": False}
                spec = generate_contract_spec(columns, {}, "1.2.0", chapters_head(schema=schema))
                self.assertEqual(judge(transaction, spec), (set(), set()))
                for query in find_rules(make_document(spec)).values():
                    self.assertNotIn("{", query)
                spec["schema"]["properties"][text]["constraints"]["column_default"] += " "
                found, expected = judge(transaction, spec)
                self.assertEqual((found, found), (expected, {(text, make_id("column_default"))}))


class TestFiles(unittest.TestCase):
    maxDiff = None

    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="odcs-", dir=RUN_DIRECTORY))

    @unittest.skipUnless(SCHEMA_PATHS["3.2"].exists(), "the schemas of the standard are not beside this repository")
    def test_each_contract_of_the_repository_is_valid_by_the_schema_of_each_version(self) -> None:
        for standard, path in SCHEMA_PATHS.items():
            validator = jsonschema_rs.validator_for(json.loads(path.read_text()))
            for number, spec in enumerate(REPOSITORY):
                with self.subTest(standard, number=number):
                    self.assertEqual([str(error) for error in validator.iter_errors(make_document(spec, standard))], [])

    @unittest.skipUnless(SCHEMA_PATHS["3.2"].exists(), "the schemas of the standard are not beside this repository")
    @random_settings(max_examples=10)
    @given(valid_specs)
    def test_so_is_a_random_one(self, spec: Any) -> None:
        for standard, path in SCHEMA_PATHS.items():
            validator = jsonschema_rs.validator_for(json.loads(path.read_text()))
            self.assertEqual([str(error) for error in validator.iter_errors(make_document(spec, standard))], [])

    @random_settings(max_examples=8)
    @given(valid_specs)
    def test_a_reader_of_yaml_1_1_reads_what_was_written(self, spec: Any) -> None:
        document = make_document(spec)
        self.assertEqual(yaml.safe_load(render_yaml(document)), document)

    def test_a_text_that_only_some_readers_take_for_text_is_quoted(self) -> None:
        for text in ("no", "1e3", "0o7", "012", "1:30", "2027-01-31", "~", "null", "", "0x1F", "+.5E-3", ".inf", "<<"):
            self.assertIn(render_yaml(text)[0], "'\"", text)
        self.assertEqual(render_yaml("select 1\nfrom a"), "|-\n  select 1\n  from a\n")

    def test_all_contracts_of_the_project_are_exported_and_a_second_time_the_same(self) -> None:
        outputs = []
        for name in ("first", "second"):
            result = run([COMMAND, "--output", str(self.directory / name)], museum_project())
            self.assertEqual(
                (result.returncode, result.stdout), (0, f"{self.directory / name}/object_images.odcs.yaml\n")
            )
            outputs.append((self.directory / name / "object_images.odcs.yaml").read_bytes())
        self.assertEqual(outputs[0], outputs[1])
        self.assertIn(b"\napiVersion: v3.2.0\n", b"\n" + outputs[0])

    def test_one_contract_is_exported_for_an_older_version(self) -> None:
        contract = museum_project() / CONTRACTS / "object_images_contract_spec.json"
        result = run(
            [COMMAND, str(contract), "--standard-version", "3.1"], self.directory, PYTHONPATH=str(museum_project())
        )
        self.assertEqual((result.returncode, result.stdout), (0, "object_images.odcs.yaml\n"))
        self.assertTrue((self.directory / "object_images.odcs.yaml").read_text().startswith("apiVersion: v3.1.0\n"))

    def test_a_name_that_tools_read_as_a_variable_is_reported_with_its_place(self) -> None:
        contract = museum_project() / CONTRACTS / "object_images_contract_spec.json"
        text = contract.read_text()
        for old, new in (
            ('"name": "Data Engineering Team"', '"name": "${TEAM}"'),
            ('"table_catalog": "postgres"', '"table_catalog": "${DATABASE}"'),
            ('"object_id": {', '"a ${ID}": {'),
            ('"doc": "', '"doc": "${DOC}'),
        ):
            self.assertEqual(text.count(old), 1, old)
            text = text.replace(old, new)
        path = self.directory / "a_contract_spec.json"
        path.write_text(text)
        result = run([COMMAND, str(path), "--output", str(self.directory)], museum_project())
        places = (
            ("$.owner.name", "${TEAM}"),
            ("$.schema.table_catalog", "${DATA"),
            ("$.schema.properties.a ${ID}", "${ID"),
        )
        lines = text.splitlines()
        words = 'tools of ODCS take "${" for a variable of the environment: choose a name without it'
        expected = [
            f"{path}:{next(number for number, line in enumerate(lines, 1) if part in line)}: {place}: {words}"
            for place, part in places
        ]
        self.assertEqual((result.returncode, result.stdout.splitlines()), (1, expected))
        self.assertEqual([*self.directory.iterdir()], [path])

    def test_words_that_tools_would_judge_in_another_way_are_left_out(self) -> None:
        column = {"data_type": "USER-DEFINED", "enum": ["${HOME}"], "primaryKey": True}
        schema = {"primaryKey": ["a", "b"], "properties": {"a": {"constraints": column}}}
        schema |= {"table_schema": "public", "table_name": "t"}
        spec = chapters_head() | {"spec-version": "1.2.0", "schema": schema}
        self.assertEqual(find_spec_problems(spec), [])
        [found] = make_document(spec)["schema"][0]["properties"]
        self.assertEqual([*found], ["name", "physicalType", "quality", "customProperties"])

    def test_nothing_is_written_where_a_contract_is_not_valid_or_a_file_is_there(self) -> None:
        names = [self.directory / f"{name}_contract_spec.json" for name in "abc"]
        for path in names[:2]:
            path.write_text(json.dumps(chapters_spec(name=path.name)))
        names[2].write_text(json.dumps(chapters_spec(doc=1, owner={"name": "A"})))
        arguments = [*map(str, names), "--output", str(self.directory / "new")]
        result = run([COMMAND, *arguments], museum_project())
        lines = [line.removeprefix(f"{names[2]}:1: ") for line in result.stdout.splitlines()]
        self.assertEqual(
            (result.returncode, sorted(lines)),
            (1, ['$.doc: 1 is not of type "string"', '$.owner: "email" is a required property']),
        )
        (self.directory / "new").mkdir()
        (self.directory / "new/b.odcs.yaml").write_text("mine")
        result = run([COMMAND, *arguments[:2], *arguments[3:]], museum_project())
        there = self.directory / "new/b.odcs.yaml"
        self.assertEqual((result.returncode, result.stdout), (2, f"[Errno 17] File exists: '{there}'\n"))
        self.assertEqual([(path.name, path.read_text()) for path in there.parent.iterdir()], [("b.odcs.yaml", "mine")])
