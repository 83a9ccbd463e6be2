import contextlib
import io
import json
import os
from typing import Any
from unittest import mock

from data_contract_components.contract_definition.spec_problems import SPEC_VERSIONS
from data_contract_components.data_assets._museum_records import TABLES
from data_contract_components.detection import generate_contract_spec as generator
from data_contract_components.detection._get_data_catalog import get_data_catalog
from data_contract_components.detection._get_data_contract_specs import get_data_contract_specs
from data_contract_components.detection.contract_violation_detector import ContractViolationDetector
from tests import ROOT, DatabaseTestCase, ProjectTestCase, read_data, run
from tests.contracts import ContractsTestCase, chapters_spec

MODULE = "data_contract_components.detection.generate_contract_spec"
OWNER = ["--owner-name", "Data Engineering Team", "--owner-email", "data-eng@museum.org"]


class TestGenerateContractSpec(ContractsTestCase, DatabaseTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.path = self.directory / "object_images_contract_spec.json"

    def generate(self, *arguments: str) -> tuple[int, str]:
        result = run([MODULE, *arguments, "--output", str(self.path)], ROOT, self.url)
        self.assertNotIn("Traceback", result.stdout)
        return result.returncode, result.stdout

    def spec(self) -> dict[str, Any]:
        spec: dict[str, Any] = json.loads(self.path.read_text())
        return spec

    def test_the_contract_of_the_chapters_table_has_the_chapters_constraints(self) -> None:
        self.assertEqual(self.generate("object_images", "--spec-version", "1.0.0", *OWNER)[0], 0)
        chapters = chapters_spec()
        for part in ("constraints", "array_element"):
            self.assertEqual(
                {name: column.get(part) for name, column in self.spec()["schema"]["properties"].items()},
                {name: column.get(part) for name, column in chapters["schema"]["properties"].items()},
            )
        self.assertEqual(self.spec()["owner"], chapters["owner"])

    def test_each_table_keeps_the_contract_generated_from_it(self) -> None:
        self.database.query(read_data("every_key.sql"))
        catalog_df = get_data_catalog(self.database)
        self.enterContext(mock.patch.dict(os.environ, DATABASE_URL=self.url))
        for version in SPEC_VERSIONS:
            for table in (*TABLES, "Every thing;", 'a\t%s\u00a0"b'):
                with self.subTest(table, version=version), contextlib.redirect_stdout(io.StringIO()):
                    self.path.unlink(missing_ok=True)
                    # In this process, as twenty take longer than all that they do.
                    status = generator.main([table, "--spec-version", version, "--output", str(self.path), *OWNER])
                    self.assertEqual(status, 0)
                    detector = ContractViolationDetector(get_data_contract_specs(self.directory), catalog_df)
                    self.assertEqual(detector.detect_constraint_violations(), [])
                    self.assertTrue(detector.transform_contract_specs_to_catalog_format())

    def test_a_new_contract_takes_its_descriptions_from_the_comments(self) -> None:
        self.database.query("comment on column object_images.primary_image is 'it''s \"the\" image'; ")
        self.generate("object_images", *OWNER)
        self.assertEqual(self.spec()["schema"]["properties"]["primary_image"]["description"], 'it\'s "the" image')

    def test_only_a_contract_that_has_to_or_did_before_names_the_database(self) -> None:
        self.generate("object_images", *OWNER)
        self.assertEqual((self.spec()["spec-version"], "table_catalog" in self.spec()["schema"]), ("1.2.0", False))
        nothing_changed = (0, f"{self.path}\n  nothing changed\n")
        self.assertEqual(self.generate("object_images"), nothing_changed)
        status, output = self.generate("object_images", "--spec-version", "1.1.0")
        self.assertEqual((status, self.spec()["schema"]["table_catalog"]), (0, self.database_name))
        self.assertIn("  + schema.table_catalog\n", output)
        self.assertEqual(self.generate("object_images"), nothing_changed)
        output = self.generate("object_images", "--spec-version", "1.2.0")[1]
        self.assertEqual(output, f'{self.path}\n  spec-version: "1.1.0" -> "1.2.0"\n')

    def test_an_existing_contract_keeps_its_wording_and_the_changes_are_printed(self) -> None:
        self.generate("object_images", *OWNER)
        written = self.spec() | {
            "doc": "By hand.",
            "x-team": 1,
            "consumers": [{"name": "n", "role": "reader", "reason": "r"}],
        }
        column = written["schema"]["properties"]["primary_image"]
        column |= {"description": "By hand.", "examples": ["x"]}
        column["constraints"]["x-why"] = "y"
        written["schema"]["additionalColumns"] = False
        self.path.write_text(json.dumps(written))
        self.assertEqual(self.generate("object_images"), (0, f"{self.path}\n  nothing changed\n"))
        self.assertEqual(self.path.read_text(), json.dumps(written))
        self.database.query("alter table object_images drop additional_images, add extra boolean not null default true")
        self.database.query("alter table object_images alter primary_image type varchar(80)")
        self.assertEqual(
            self.generate("object_images")[1].splitlines()[1:],
            [
                '  schema.properties.primary_image.constraints.data_type: "text" -> "character varying"',
                "  + schema.properties.primary_image.constraints.character_maximum_length",
                "  - schema.properties.additional_images",
                "  + schema.properties.extra",
            ],
        )
        after = self.spec()
        self.assertEqual(after["schema"]["properties"]["primary_image"]["examples"], ["x"])
        self.assertEqual(after["schema"]["properties"]["primary_image"]["constraints"]["x-why"], "y")
        for key in ("doc", "x-team", "consumers", "owner"):
            self.assertEqual(after[key], written[key])

    def test_a_contract_that_cannot_be_generated_is_an_error_and_the_file_is_kept(self) -> None:
        status, output = self.generate("object_image", *OWNER)
        self.assertEqual((status, self.path.exists()), (2, False))
        self.assertIn(
            'no table "object_image" in schema "public"; did you mean "object_images" in schema "public"', output
        )
        status, output = self.generate("object_images")
        self.assertEqual((status, self.path.exists()), (2, False))
        self.assertIn("--owner-name and --owner-email", output)
        for text in ("{", "[]", '{"spec-version": "1.0.0"}'):
            self.path.write_text(text)
            self.assertEqual(self.generate("object_images", *OWNER)[0], 2)
            self.assertEqual(self.path.read_text(), text)


class TestGenerateIntoTheProject(DatabaseTestCase, ProjectTestCase):
    """Each test has a copy of the project, where two teams have a table of the same name."""

    def setUp(self) -> None:
        DatabaseTestCase.setUp(self)
        ProjectTestCase.setUp(self)
        self.contracts = self.project / "data_contract_components/contract_definition"
        self.database.query(
            "create schema crm; create schema billing; create table crm.customer (id integer primary key, email text);"
            "create table billing.customer (id bigint, iban text)"
        )

    def generate(self, table: str, *arguments: str, owner: str = "CRM") -> tuple[int, str]:
        owner_options = ["--owner-name", owner, "--owner-email", f"{owner}@museum.org"] if owner else []
        result = run([MODULE, table, *arguments, *owner_options], self.project, self.url)
        self.assertNotIn("Traceback", result.stdout)
        return result.returncode, result.stdout

    def test_tables_of_the_same_name_in_two_schemas_get_separate_contracts(self) -> None:
        for schema in ("crm", "billing"):
            self.assertEqual(self.generate("customer", "--schema", schema, owner=schema)[0], 0)
            spec = json.loads((self.contracts / f"{schema}.customer_contract_spec.json").read_text())
            self.assertEqual(spec["name"], f"{schema}.customer-contract-spec")
            self.assertEqual(spec["owner"]["name"], schema)
            self.assertEqual(spec["namespace"], "met-museum-data")
            self.assertTrue(spec["dataAssetResourceName"].endswith(f"/{self.database_name}.{schema}.customer"))
        self.assertEqual(len(get_data_contract_specs(self.contracts)), 3)

    def test_a_contract_of_another_table_owner_or_name_is_not_overwritten(self) -> None:
        self.assertEqual(self.generate("customer", "--schema", "crm")[0], 0)
        path = self.contracts / "crm.customer_contract_spec.json"
        folder = self.contracts / "met"
        folder.mkdir()
        before = path.read_text()
        for arguments, words in (
            (
                ["customer", "--schema", "billing", "--output", str(path)],
                "describes the table crm.customer, not billing.customer",
            ),
            (["customer", "--schema", "crm", "--output", str(path)], "belongs to CRM, CRM@museum.org"),
            (
                ["customer", "--schema", "crm", "--namespace", "new", "--output", str(path)],
                "is of the namespace met-museum-data: leave out --namespace",
            ),
            (
                ["customer", "--schema", "crm", "--output", str(folder / path.name)],
                f"{path.name} has the same file name",
            ),
            (
                ["customer", "--schema", "crm", "--output", str(folder / "x.json")],
                "would be invalid:\nits name is not that",
            ),
            (
                ["customer", "--schema", "crm", "--output", str(folder / "c_contract_spec.json")],
                "is an active contract of this table",
            ),
            (["customer"], 'did you mean "customer" in schema "crm" (--schema)?'),
        ):
            with self.subTest(arguments):
                status, output = self.generate(*arguments, owner="Billing")
                self.assertEqual(status, 2)
                self.assertIn(words, output)
                self.assertEqual((path.read_text(), list(folder.iterdir())), (before, []))
        contract = json.loads(before)
        contract["schema"]["table_catalog"] = "production"
        path.write_text(json.dumps(contract))
        output = self.generate("customer", "--schema", "crm")[1]
        self.assertIn("describes the table production.crm.customer, not", output)
        self.assertIn('if any database will do, leave "table_catalog" out', output)

    def test_a_new_contract_is_of_the_given_or_the_only_namespace_or_else_of_that_of_its_schema(self) -> None:
        namespaces = []
        for table, schema, options in (
            ("object", "public", []),
            ("customer", "crm", ["--namespace", "sales"]),
            ("customer", "billing", []),
        ):
            self.assertEqual(self.generate(table, "--schema", schema, *options)[0], 0)
            name = table if schema == "public" else f"{schema}.{table}"
            namespaces.append(json.loads((self.contracts / f"{name}_contract_spec.json").read_text())["namespace"])
        self.assertEqual(namespaces, ["met-museum-data", "sales", "billing"])

    def test_a_contract_that_would_be_invalid_is_not_written(self) -> None:
        self.generate("customer", "--schema", "crm")
        path = self.contracts / "crm.customer_contract_spec.json"
        before = json.dumps(json.loads(path.read_text()) | {"status": "draft"})
        path.write_text(before)
        status, output = self.generate("customer", "--schema", "crm", "--spec-version", "1.0.0")
        self.assertEqual((status, path.read_text()), (2, before))
        self.assertIn(f"{path} would be invalid:\n", output)
        self.assertIn('\n$.status: "status" is a key of a later spec-version: write "spec-version": "1.2.0"\n', output)
        path.write_bytes('{"doc": "é"}'.encode("latin-1"))
        for table, schema in (("customer", "crm"), ("object", "public")):
            status, output = self.generate(table, "--schema", schema)
            self.assertEqual(status, 2)
            self.assertIn(f"{path.name}: is not UTF-8 text", output)
        self.assertFalse((self.contracts / "object_contract_spec.json").exists())
