import contextlib
import io
import json
import os
from pathlib import Path
from typing import Any, cast
from unittest import mock

from data_contract_components.contract_definition.contract_spec import Contract
from data_contract_components.contract_definition.new_files import write_new_files
from data_contract_components.contract_definition.spec_problems import SPEC_VERSIONS
from data_contract_components.data_assets._museum_records import TABLES
from data_contract_components.detection import generate_contract_spec as generator
from data_contract_components.detection._described_tables import NoContractError, get_described_tables
from data_contract_components.detection._get_data_catalog import get_data_catalog, get_table_names
from data_contract_components.detection._get_data_contract_specs import get_data_contract_specs
from data_contract_components.detection._new_contracts import Choices, make_drafts
from data_contract_components.detection.contract_violation_detector import ContractViolationDetector
from tests import DatabaseTestCase, ProjectTestCase, museum_project, read_data, run
from tests.contracts import ContractsTestCase, chapters_spec

MODULE = "data_contract_components.detection.generate_contract_spec"
OWNER = ["--owner-name", "Data Engineering Team", "--owner-email", "data-eng@museum.org"]


class TestGenerateContractSpec(ContractsTestCase, DatabaseTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.path = self.directory / "object_images_contract_spec.json"

    def generate(self, *arguments: str) -> tuple[int, str]:
        result = run([MODULE, *arguments, "--output", str(self.path)], museum_project(), self.url)
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
        lines = output.splitlines()
        self.assertEqual(lines[1], '  spec-version: "1.1.0" -> "1.2.0"')
        self.assertEqual(lines[-1], "  + schema.primaryKey")
        keys = {line.rpartition(".")[2] for line in lines[2:] if line.startswith("  + schema.properties.")}
        self.assertEqual(keys, {"physicalType", "generation_expression"})

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
                '  schema.properties.primary_image.constraints.physicalType: "text" -> "character varying(80)"',
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

    def generate(self, *arguments: str, owner: str = "CRM") -> tuple[int, str]:
        owner_options = ["--owner-name", owner, "--owner-email", f"{owner}@museum.org"] if owner else []
        result = run([MODULE, *arguments, *owner_options], self.project, self.url)
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

    def test_the_contract_of_a_table_is_updated_wherever_it_is_among_the_contracts(self) -> None:
        self.generate("customer", "--schema", "crm")
        self.assertIn("nothing changed", self.generate("crm.customer", owner="")[1])
        path = self.contracts / "met/c_contract_spec.json"
        path.parent.mkdir()
        (self.contracts / "crm.customer_contract_spec.json").rename(path)
        self.database.query("alter table crm.customer drop email")
        status, output = self.generate("customer", "--schema", "crm", owner="")
        self.assertEqual((status, output), (0, f"{path}\n  - schema.properties.email\n"))
        self.assertEqual(len(get_data_contract_specs(self.contracts)), 2)

    def files(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in self.contracts.glob("*_contract_spec.json")}

    def test_all_writes_a_draft_of_each_table_without_a_contract_and_the_database_keeps_it(self) -> None:
        self.database.query(
            'create table "a/b" (i integer); create table "a-b" (i integer); create table "A-b" (i text[]);'
            'create table "crm.customer" (i integer); create table "..\\x\n" (i integer); create table empty ();'
            "create view crm.emails as select email from crm.customer;"
            "create table parts (i integer) partition by range (i);"
            "create table part partition of parts for values from (1) to (2);"
            "comment on column crm.customer.email is 'é'"
        )
        before = self.files()
        status, output = self.generate("--all", owner="")
        self.assertEqual((status, self.files()), (2, before))
        self.assertIn("give --owner-name and --owner-email", output)
        status, output = self.generate("--all")
        self.assertEqual(status, 0, output)
        lines = output.splitlines()
        self.assertEqual(
            lines[:4],
            [
                "data_contract_components/contract_definition",
                "  has no columns: public.empty",
                "  has a contract: public.object_images",
                "  draft: billing.customer_contract_spec.json",
            ],
        )
        drafts = [f"{name}_contract_spec.json" for name in ("A-b", "a-b_2", "a_b", "crm.customer", "crm.customer_2")]
        drafts += [f"{name}_contract_spec.json" for name in ("_._x_", "crm.emails", "parts")]
        files = self.files()
        self.assertLessEqual({*drafts, "object_tags_contract_spec.json"}, files.keys())
        self.assertEqual({*lines[3:-1]}, {f"  draft: {name}" for name in files.keys() - before.keys()})
        self.assertEqual(lines[-1], f"drafts written: {len(files) - 1}; tables left alone: 2")
        self.assertEqual({name: files[name] for name in before}, before)
        contracts = get_data_contract_specs(self.contracts)
        names = set(get_table_names(self.database)) - {("public", "empty")}
        self.assertEqual({contract.table for contract in contracts.values()}, names)
        self.assertEqual([c.spec.get("status") for c in contracts.values()].count("draft"), len(names) - 1)
        detector = ContractViolationDetector(contracts, get_data_catalog(self.database))
        self.assertEqual(detector.find_violations("reported"), [])
        email = contracts["crm.customer_contract_spec"].spec["schema"]["properties"]["email"]
        self.assertEqual(email["description"], "é")
        status, output = self.generate("--all", owner="")
        self.assertEqual((status, self.files()), (0, files))
        self.assertEqual(output.splitlines()[-1], f"drafts written: 0; tables left alone: {len(files) + 1}")

    def test_names_and_patterns_choose_the_tables_and_a_retired_contract_does_not_count(self) -> None:
        before = self.files()
        for arguments, words in (
            (["crm.*", "nix*"], 'no table "nix*" in schema "public"'),
            (["crm.custome", "object"], 'did you mean "customer" in schema "crm"'),
            (["--all", "--schema", "nix"], 'no table in schema "nix"'),
            (["--all", "object"], "name a table, or give --all"),
            ([], "name a table, or give --all"),
            (["object*", "--spec-version", "1.0.0"], "drafts have no --output, and need --spec-version 1.1.0"),
            (["object*", "--output", "x_contract_spec.json"], "drafts have no --output"),
        ):
            with self.subTest(arguments):
                status, output = self.generate(*arguments)
                self.assertEqual((status, self.files()), (2, before), output)
                self.assertIn(words, " ".join(output.split()))
        retired = json.loads(before["object_images_contract_spec.json"]) | {
            "spec-version": "1.1.0",
            "status": "retired",
        }
        (self.contracts / "object_images_contract_spec.json").write_text(json.dumps(retired))
        for arguments, drafts in (
            (["crm.*", "object_images"], ["crm.customer", "object_images_2"]),
            (["c*", "--schema", "billing"], ["billing.customer"]),
            (
                ["object_*a*"],
                ["object_api_metadata", "object_gallery_info", "object_physical_properties", "object_tags"],
            ),
        ):
            with self.subTest(arguments):
                output = self.generate(*arguments)[1]
                found = [line for line in output.splitlines() if line.startswith("  draft: ")]
                self.assertEqual(found, [f"  draft: {name}_contract_spec.json" for name in drafts], output)

    def test_no_draft_is_written_where_one_of_them_cannot_be(self) -> None:
        before = self.files()
        tables = get_described_tables(self.database, {("crm", "customer"), ("billing", "customer")}).values()
        with self.assertRaises(NoContractError) as caught:
            make_drafts(tables, [], self.url, Choices("0.1.0", None, "a", "b"), Path("d"))
        mistake = "_contract_spec.json would be invalid: $.spec-version: expected "
        self.assertEqual(
            [line.partition('"')[0] for line in str(caught.exception).splitlines()],
            [f"d/{schema}.customer{mistake}" for schema in ("billing", "crm")],
        )
        drafts = [Contract(cast(Any, {}), Path(name), name) for name in ("new", "object_images_contract_spec.json")]
        with self.assertRaises(FileExistsError):
            write_new_files({self.contracts / draft.path: draft.text for draft in drafts})
        self.assertEqual((self.files(), (self.contracts / "new").exists()), (before, False))

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
