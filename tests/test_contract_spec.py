import copy
import functools
import json
import re
import tomllib
from pathlib import Path
from typing import Any, cast

from data_contract_components.contract_definition.contract_files import find_problems_between, get_data_contract_specs
from data_contract_components.contract_definition.contract_spec import Contract, ContractSpec
from data_contract_components.contract_definition.spec_problems import (
    SCHEMA_DIRECTORY,
    SPEC_VERSIONS,
    find_spec_problems,
)
from data_contract_components.data_assets._query_postgres_helper import PostgresDB
from data_contract_components.detection._get_data_catalog import CatalogColumn, get_data_catalog
from data_contract_components.detection._table_contract import generate_contract_spec
from tests import BINARIES, read_data, start_server
from tests.contracts import ContractsTestCase, chapters_head, chapters_spec

CHAPTERS = chapters_spec()
# Every key of version 1.1.0, at least once.
FULL: dict[str, Any] = json.loads(read_data("full_contract_spec.json"))
CONSTRAINTS = "schema.properties.created_at.constraints"
ELEMENT = "schema.properties.additional_images.array_element"
# The same of 1.2.0, without those of 1.1.0.
TABLE: dict[str, Any] = json.loads(read_data("table_contract_spec.json"))
DELETED = object()
MISTAKES = tomllib.loads(read_data("contract_mistakes.toml"))
BOUNDED_TYPES = (
    *("varchar(7)", "char(7)", "bpchar", "bit(3)", "bit varying(3)", "numeric(5)", "numeric(5, 2)", "numeric(3, -2)"),
    *(f"{name}({digits})" for name in ("time", "timetz", "timestamp", "timestamptz", "interval") for digits in (0, 6)),
    *(f"interval {field}" for field in ("year", "month", "day", "hour", "minute", "second", "year to month")),
    *(f"interval {fields}" for fields in ("day to hour", "day to minute", "day to second", "hour to minute")),
    *("interval hour to second(2)", "interval minute to second", "interval second(3)", "mood", "key", "word", "pair"),
)
# What no parsed JSON can hold, as text or bytes.
UNPARSED: list[tuple[str | bytes, str]] = [
    ("", ":1: is not valid JSON: Expecting value"),
    ("\n\n{", ":3: is not valid JSON: Expecting property name"),
    ('{"a": 1,\n"b" 2}', ":2: is not valid JSON: Expecting ':' delimiter"),
    ("{} {}", ":1: is not valid JSON: Extra data"),
    (b"\xff\xfe{\x00}\x00", ": is not UTF-8 text"),
    (b'{"a": "\xe9"}', ": is not UTF-8 text"),
    ("[" * 100_000, ": is nested too deeply"),
    ("9" * 5_000, ": cannot be read: Exceeds the limit"),
    ("null", ':1: $: null is not of type "object"'),
    (json.dumps(CHAPTERS).replace("32.0", "NaN"), ": NaN is not a JSON value"),
    (json.dumps(CHAPTERS).replace("32.0", "-Infinity"), ": -Infinity is not a JSON value"),
    (json.dumps(CHAPTERS).replace("32.0", "1e999"), 'numeric_precision: "1e999" is not of types '),
    (json.dumps(CHAPTERS).replace('"doc"', '"name": "x",\n"doc"'), ':1: $.name: the key "name" is there twice'),
    (json.dumps(CHAPTERS).replace("Data Engineering Team", "\\ud800"), "surrogates not allowed"),
]


def changed(location: str, value: Any, full: dict[str, Any] = FULL) -> dict[str, Any]:
    spec = copy.deepcopy(full)
    *parents, key = [int(step) if step.isdigit() else step for step in location.split(".")]
    target: Any = spec
    for parent in parents:
        target = target[parent]
    if value is DELETED:
        del target[key]
    else:
        target[key] = value
    return spec


class TestContractSpec(ContractsTestCase):
    def test_a_contract_with_every_key_of_its_version_is_valid(self) -> None:
        self.assertEqual(find_spec_problems(CHAPTERS), [])
        for version in SPEC_VERSIONS[1:]:
            self.assertEqual(find_spec_problems(CHAPTERS | {"spec-version": version}), [])
            self.assertEqual(find_spec_problems(FULL | {"spec-version": version}), [])
        self.assertEqual(find_spec_problems(TABLE), [])
        self.write("a", FULL)
        self.write("b", b"\xef\xbb\xbf" + json.dumps(CHAPTERS | {"name": "another"}).encode())
        self.assertEqual(list(get_data_contract_specs(self.directory)), ["a_contract_spec", "b_contract_spec"])

    def test_each_mistake_is_one_problem_with_its_path_and_reason(self) -> None:
        for key, full in (("broken", FULL), ("broken_of_the_table", TABLE)):
            for location, value, message in MISTAKES[key]:
                with self.subTest(location, value=value):
                    self.write("a", changed(location, json.loads(value) if value else DELETED, full))
                    (problem,) = self.problems()
                    self.assertRegex(problem, r"^a_contract_spec\.json:\d+: \$")
                    self.assertIn(message, problem)

    def test_a_promise_that_no_table_of_its_kind_can_keep_is_a_mistake(self) -> None:
        for table_type, keys, words in MISTAKES["impossible_of_the_table"]:
            with self.subTest(table_type, keys=keys):
                schema = {"table_schema": "public", "table_name": "t", "table_type": table_type, **json.loads(keys)}
                schema["properties"] = {"c": {"constraints": {"data_type": "integer"}}}
                self.write("a", CHAPTERS | {"spec-version": "1.2.0", "schema": schema})
                (problem,) = self.problems()
                self.assertIn(words, problem)

    def test_a_type_name_that_postgresql_never_prints_is_refused_with_the_name_to_write(self) -> None:
        for version in SPEC_VERSIONS:
            for name, words in MISTAKES["type_names"].items():
                with self.subTest(name, version=version):
                    (problem,) = self.problems_of_column({"data_type": name, "numeric_precision": 32}, version)
                    self.assertIn(f"PostgreSQL never prints {json.dumps(name)} here: write {words}", problem)
        for name, words in (
            ("integr", 'did you mean "integer"? a type of your own or of an extension is written "USER-DEFINED"'),
            ("mood", 'is not the name of a built-in type: a type of your own or of an extension is written "USER-'),
            ("", '"" is not the name of a built-in type'),
        ):
            self.assertIn(words, self.problems_of_column({"data_type": name})[0])
        ((_, message),) = find_spec_problems(changed(f"{ELEMENT}.data_type", "text[]"))
        self.assertEqual(message, 'PostgreSQL never prints "text[]" here: write "text"')

    def test_a_value_that_no_column_can_have_is_a_mistake(self) -> None:
        huge = json.dumps({"data_type": "numeric", "numeric_precision": 10**400})
        for table_type, constraints, words in (
            *MISTAKES["impossible"],
            ("BASE TABLE", huge, "is greater than the maximum of 1000"),
        ):
            with self.subTest(constraints[:90], table_type=table_type):
                (problem,) = self.problems_of_column(json.loads(constraints), table_type=table_type)
                self.assertIn(words, problem)
        for constraints in MISTAKES["breakable"]:
            self.assertEqual(self.problems_of_column(json.loads(constraints), table_type="BASE TABLE"), [])

    def problems_of_column(self, constraints: dict[str, Any], version: str = "1.1.0", **schema: Any) -> list[str]:
        schema |= {"properties": {"c": {"constraints": constraints}}}
        spec = CHAPTERS | {"spec-version": version, "schema": CHAPTERS["schema"] | schema}
        return [message for _, message in find_spec_problems(spec)]

    def test_every_name_that_postgresql_prints_is_known_and_every_value_that_it_reports_is_possible(self) -> None:
        known_names: set[str] = set()
        for version, binaries in BINARIES.items():
            database = PostgresDB(start_server(self, binaries))
            names = set(database.query(read_data("type_names.sql"))["name"])
            known_names |= names
            types = [*sorted(name for name in names if not name.startswith("pg_")), *BOUNDED_TYPES]
            definitions = [f"c{number} {name}, a{number} {name}[]" for number, name in enumerate(types)]
            database.query(f"{read_data('derived_tables.sql')} create table everything ({', '.join(definitions)})")
            catalog_columns = CatalogColumn.from_df(get_data_catalog(database))
            for table in ("everything", "t", "v", "mv"):
                columns = [column for column in catalog_columns if column.table_name == table]
                self.assertTrue(columns)
                for spec_version in SPEC_VERSIONS:
                    with self.subTest(table, version=version, spec_version=spec_version):
                        spec = generate_contract_spec(columns, {}, spec_version, chapters_head())
                        self.assertEqual(find_spec_problems(spec), [])
        if len(BINARIES) == 4:
            definitions = json.loads((SCHEMA_DIRECTORY / "contract_spec_1.2.0.schema.json").read_text())["$defs"]
            names = {name for name in known_names if not re.fullmatch("pg_[a-z_]+", name)}
            self.assertEqual(names | {"ARRAY", "USER-DEFINED"}, set(definitions["data_type"]["anyOf"][0]["enum"]))

    def test_the_versions_have_the_same_rules_for_types_and_lengths(self) -> None:
        first, second = (
            json.loads((SCHEMA_DIRECTORY / f"contract_spec_{version}.schema.json").read_text())["$defs"]
            for version in ("1.0.0", "1.2.0")
        )
        for name in ("data_type", "character_maximum_length", "numeric_precision", "datetime_precision"):
            self.assertEqual(first[name], second[name])

    def test_the_line_of_a_problem_is_that_of_the_key_or_of_what_lacks_it(self) -> None:
        for location in ("owner.name", f"{CONSTRAINTS}.unique", "consumers.0.role", f"{ELEMENT}.dimensions"):
            self.write("a", changed(location, ["wrong"]))
            text = (self.directory / "a_contract_spec.json").read_text()
            line = text[: text.index("[\n", text.index(f'"{location.split(".")[-1]}": [\n'))].count("\n") + 1
            self.assertIn(f"json:{line}: $.", self.problems()[0])
        self.write("a", changed("owner.email", DELETED))
        text = (self.directory / "a_contract_spec.json").read_text()
        self.assertIn(f"json:{text[: text.index('owner')].count(chr(10)) + 1}: $.owner: ", self.problems()[0])

    def test_a_file_that_is_not_valid_json_is_refused_with_the_reason(self) -> None:
        for content, message in UNPARSED:
            with self.subTest(content[:40]):
                self.write("a", content)
                self.assertIn(message, self.problems()[0])

    def test_the_first_version_requires_the_same_keys_but_the_databases_name(self) -> None:
        """So that the message about a missing key finds it in the newest version."""
        for location in ("doc", "owner.email", "schema.table_name", f"{CONSTRAINTS}.data_type"):
            spec = copy.deepcopy(CHAPTERS)
            *parents, key = location.split(".")
            del functools.reduce(dict.__getitem__, parents, spec)[key]
            ((_, message),) = find_spec_problems(spec)
            self.assertEqual(message, f'"{key}" is a required property')

    def test_only_the_newest_version_can_do_without_the_databases_name(self) -> None:
        schema = {key: value for key, value in CHAPTERS["schema"].items() if key != "table_catalog"}
        message = (
            '"table_catalog" is a required property: write it, or "spec-version": "1.2.0", where it may be left out'
        )
        for version in SPEC_VERSIONS:
            problems = find_spec_problems(CHAPTERS | {"spec-version": version, "schema": schema})
            self.assertEqual(problems, [] if version == "1.2.0" else [(("schema",), message)])

    def test_a_key_of_a_later_version_is_refused_with_that_version(self) -> None:
        for key in ("status", "consumers"):
            problems = find_spec_problems(CHAPTERS | {key: FULL[key]})
            message = f'"{key}" is a key of a later spec-version: write "spec-version": "1.2.0"'
            self.assertEqual(problems, [((key,), message)])

    def test_the_keys_of_the_newest_version_are_refused_before_it_and_not_suggested(self) -> None:
        new_keys = {"primaryKey", "unique", "foreignKeys", "checks", "additionalConstraints"}
        new_keys |= {"physicalType", "fields", "generation_expression"}
        chapters: Any = copy.deepcopy(CHAPTERS)
        chapters["schema"] |= {key: TABLE["schema"][key] for key in ("primaryKey", "unique", "foreignKeys", "checks")}
        chapters["schema"]["additionalConstraints"] = True
        constraints: dict[str, Any] = {"physicalType": "integer", "fields": {}, "generation_expression": None}
        chapters["schema"]["properties"]["object_id"]["constraints"] |= constraints
        for version in SPEC_VERSIONS[:-1]:
            problems = find_spec_problems(chapters | {"spec-version": version})
            self.assertEqual({json_path[-1] for json_path, _ in problems}, new_keys)
            for json_path, message in problems:
                later = f'"{json_path[-1]}" is a key of a later spec-version: write "spec-version": "1.2.0"'
                self.assertEqual(message, later)
        for location in ("schema.uniqu", "schema.properties.created_at.constraints.physicalTyp"):
            ((_, message),) = find_spec_problems(changed(location, "x"))
            self.assertRegex(message, r'^unknown key "\w+"; (?!.*(Constraints|physical))')

    def test_the_type_of_an_extension_may_have_what_it_prints_in_parentheses(self) -> None:
        name = "schema.properties.size.constraints.physicalType"
        for value in ("geometry(Point,4326)", '"My Schema"."Kind"(A)[]', "vector(1536)"):
            self.assertEqual(find_spec_problems(changed(name, value, TABLE)), [])
        ((_, message),) = find_spec_problems(changed(name, "Geometry(Point,4326)", TABLE))
        self.assertIn("in lower case", message)

    def test_two_contracts_with_one_name_or_one_table_are_refused(self) -> None:
        self.write("a", CHAPTERS)
        self.write("b", CHAPTERS)
        self.assertEqual(
            self.problems(),
            [
                "b_contract_spec.json:3: $.name: a_contract_spec.json, another contract in this namespace, "
                "has the same name",
                "b_contract_spec.json:16: $.schema.table_name: a_contract_spec.json is an active contract of this "
                "table, too",
            ],
        )
        for status in ("draft", "retired"):
            self.write("b", CHAPTERS | {"spec-version": "1.1.0", "status": status, "name": "another"})
            self.assertEqual(len(get_data_contract_specs(self.directory)), 2)

    def test_two_contracts_of_one_table_are_refused_unless_they_name_two_databases(self) -> None:
        for databases, is_refused in (
            (("app", "app"), True),
            (("app", "app_ci"), False),
            (("app", None), True),
            ((None, "app"), True),
            ((None, None), True),
            (("app", "app_ci", None), True),
        ):
            with self.subTest(databases):
                contracts = []
                for number, database in enumerate(databases):
                    schema = {**CHAPTERS["schema"], "table_catalog": database}
                    if database is None:
                        del schema["table_catalog"]
                    spec = CHAPTERS | {"spec-version": "1.2.0", "name": f"{number}", "schema": schema}
                    contracts.append(Contract(cast(ContractSpec, spec), Path(f"{number}.json"), json.dumps(spec)))
                messages = [problem.message for problem in find_problems_between(self.directory, contracts)]
                expected = ["0.json is an active contract of this table, too"] if is_refused else []
                self.assertEqual(messages, expected)
