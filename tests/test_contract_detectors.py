import copy
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from data_contract_components.detection._get_data_catalog import get_data_catalog
from data_contract_components.detection._get_data_contract_specs import CONTRACT_DIRECTORY, get_data_contract_specs
from data_contract_components.detection.contract_coverage_detector import ContractCoverageDetector
from data_contract_components.detection.contract_violation_detector import ContractViolationDetector
from tests import DatabaseTestCase

TABLE_SQL = """
drop table object_images;
create table object_images (
    object_id integer primary key,
    primary_image text,
    additional_images text[],
    created_at timestamp not null default current_timestamp
);
"""
# One change of the table, and what the contract tells of it.
CHANGES = {
    "alter column primary_image type varchar(80)": (
        "primary_image",
        "Data Type: expected text, found character varying",
    ),
    "alter column object_id type bigint": (
        "object_id",
        "Data Type: expected integer, found bigint",
        "Numeric Precision: expected 32, found 64",
    ),
    "drop constraint object_images_pkey": ("object_id", "Primary Key: expected true, found false"),
    "drop constraint object_images_pkey, add primary key (object_id, created_at)": (
        "created_at",
        "Primary Key: expected false, found true",
    ),
    "alter column created_at drop not null": ("created_at", "Is Nullable: expected false, found true"),
    "alter column primary_image set not null": ("primary_image", "Is Nullable: expected true, found false"),
    "alter column created_at type timestamp(3)": ("created_at", "Datetime Precision: expected 6, found 3"),
    "alter column created_at type timestamptz": (
        "created_at",
        "Data Type: expected timestamp without time zone, found timestamp with time zone",
    ),
    "alter column additional_images type varchar[]": (
        "additional_images",
        "Array Element Data Type: expected text, found character varying",
    ),
    "alter column additional_images type text": (
        "additional_images",
        "Data Type: expected ARRAY, found text",
        "Array Element Data Type: expected text, found null",
    ),
    "drop column primary_image": (
        "primary_image",
        "Column 'primary_image' is defined in contract but missing from data catalog",
    ),
    'rename column primary_image to "Primary_Image"': (
        "primary_image",
        "Column 'primary_image' is defined in contract but missing from data catalog",
    ),
}
# Changes that break nothing.
HARMLESS_SQL = """
alter table object_images add column extra integer;
alter table object_images add unique (object_id);
alter table object_images add check (object_id > 0);
create index on object_images (primary_image);
create table referring (object_id integer primary key references object_images);
create schema other;
create table other.object_images (object_id text constraint object_images_pkey primary key);
comment on column object_images.primary_image is 'words';
"""
RETIRED = {"spec-version": "1.1.0", "status": "retired"}


class DetectorTestCase(DatabaseTestCase):
    def setUp(self) -> None:
        super().setUp()
        temporary_directory = TemporaryDirectory()
        self.addCleanup(temporary_directory.cleanup)
        self.directory = Path(temporary_directory.name)
        self.spec = json.loads((CONTRACT_DIRECTORY / "object_images_contract_spec.json").read_text())
        self.spec["schema"]["table_catalog"] = self.database_name

    def write(self, name: str, spec: dict[str, Any]) -> None:
        (self.directory / f"{name}_contract_spec.json").write_text(json.dumps(spec))

    def write_for_table(self, name: str, table_name: str) -> None:
        spec = copy.deepcopy(self.spec)
        spec["schema"]["table_name"] = table_name
        spec["name"] = name
        self.write(name, spec)


class TestContractCoverageDetector(DetectorTestCase):
    def detector(self) -> ContractCoverageDetector:
        return ContractCoverageDetector(get_data_contract_specs(self.directory), get_data_catalog(self.database))

    def test_the_tables_under_contract_are_listed_in_the_order_of_the_contracts(self) -> None:
        self.write_for_table("b", "object")
        self.write_for_table("a", "missing")
        key = {"table_catalog": self.database_name, "table_schema": "public"}
        self.assertEqual(
            self.detector().get_contract_spec_coverage(),
            [key | {"table_name": "missing"}, key | {"table_name": "object"}],
        )

    def test_each_missing_table_is_named_once(self) -> None:
        for name, table_name in (("a", "missing"), ("b", "object_images"), ("c", "Object_Images")):
            self.write_for_table(name, table_name)
        self.assertEqual(self.detector().detect_coverage_in_data_catalog(), ["missing", "Object_Images"])

    def test_a_table_of_another_schema_or_database_does_not_count(self) -> None:
        self.database.query("create schema other; create table other.elsewhere (object_id integer)")
        self.write_for_table("a", "elsewhere")
        self.spec["schema"]["table_catalog"] = "another_database"
        self.write("b", self.spec)
        self.assertEqual(self.detector().detect_coverage_in_data_catalog(), ["elsewhere", "object_images"])


class TestContractViolationDetector(DetectorTestCase):
    def violations(self) -> list[dict[str, str]]:
        return ContractViolationDetector(
            get_data_contract_specs(self.directory), get_data_catalog(self.database)
        ).detect_constraint_violations()

    def test_the_contract_in_the_catalogs_format_has_what_it_mentions_and_no_more(self) -> None:
        self.write("a", self.spec)
        rows = ContractViolationDetector(
            get_data_contract_specs(self.directory)
        ).transform_contract_specs_to_catalog_format()
        self.assertEqual([row["column_name"] for row in rows], list(self.spec["schema"]["properties"]))
        self.assertEqual(
            rows[2],
            {
                "contract_name": "a_contract_spec",
                "table_catalog": self.database_name,
                "table_schema": "public",
                "table_name": "object_images",
                "column_name": "additional_images",
                "data_type": "ARRAY",
                "primaryKey": False,
                "is_nullable": True,
                "is_updatable": True,
                "array_element_data_type": "text",
            },
        )

    def test_the_museums_tables_keep_the_chapters_contract(self) -> None:
        self.write("a", self.spec)
        self.assertEqual(self.violations(), [])

    def test_each_change_is_told_as_what_was_expected_and_what_was_found(self) -> None:
        self.write("a", self.spec)
        for change, (column_name, *texts) in CHANGES.items():
            with self.subTest(change):
                self.database.query(TABLE_SQL)
                self.database.query(f"alter table object_images {change}")
                key = {"contract_name": "a_contract_spec", "table_name": "object_images", "column_name": column_name}
                self.assertEqual(self.violations(), [key | {"violations": text} for text in texts])

    def test_a_view_in_place_of_the_table_loses_key_and_not_null(self) -> None:
        self.write("a", self.spec)
        self.database.query(
            "alter table object_images rename to object_images_table;"
            "create view object_images as select distinct * from object_images_table"
        )
        texts = {(violation["column_name"], violation["violations"]) for violation in self.violations()}
        self.assertIn(("object_id", "Primary Key: expected true, found false"), texts)
        self.assertIn(("primary_image", "Is Updatable: expected true, found false"), texts)

    def test_what_breaks_nothing_is_not_told(self) -> None:
        self.write("a", self.spec)
        self.database.query(HARMLESS_SQL)
        self.assertEqual(self.violations(), [])

    def test_a_key_that_is_not_mentioned_is_not_checked_and_null_says_that_there_is_none(self) -> None:
        properties = self.spec["schema"]["properties"]
        properties["primary_image"]["constraints"] = {"data_type": "text", "character_maximum_length": None}
        properties["object_id"]["constraints"] = {"data_type": "integer"}
        self.write("a", self.spec)
        self.database.query("alter table object_images drop constraint object_images_pkey")
        self.database.query("alter table object_images alter primary_image set not null")
        self.assertEqual(self.violations(), [])
        properties["primary_image"]["constraints"] = {
            "data_type": "character varying",
            "character_maximum_length": None,
        }
        self.write("a", self.spec)
        self.database.query("alter table object_images alter primary_image type varchar(80)")
        self.assertEqual(
            [violation["violations"] for violation in self.violations()],
            ["Character Maximum Length: expected null, found 80"],
        )

    def test_a_retired_contract_is_not_checked(self) -> None:
        self.write_for_table("a", "object")
        self.write("b", json.loads((self.directory / "a_contract_spec.json").read_text()) | RETIRED)
        self.write("c", self.spec)
        (self.directory / "a_contract_spec.json").unlink()
        self.assertEqual(self.violations(), [])

    def test_what_is_ones_own_in_a_reference_is_not_compared(self) -> None:
        self.database.query("alter table object_images add foreign key (object_id) references object (object_id)")
        reference = {"table_schema": "public", "table_name": "object", "column_name": "object_id", "x-why": "a join"}
        self.spec["spec-version"] = "1.1.0"
        self.spec["schema"]["properties"]["object_id"]["constraints"]["references"] = reference
        self.write("a", self.spec)
        self.assertEqual(self.violations(), [])

    def test_violations_come_in_the_order_of_the_contracts_missing_columns_first(self) -> None:
        self.write("b", self.spec)
        self.write_for_table("a", "object_copyright")
        self.database.query("alter table object_images drop column additional_images")
        self.database.query("alter table object_images drop constraint object_images_pkey")
        self.assertEqual(
            [(violation["contract_name"], violation["column_name"]) for violation in self.violations()],
            [
                ("a_contract_spec", "additional_images"),
                ("b_contract_spec", "additional_images"),
                ("b_contract_spec", "object_id"),
            ],
        )
