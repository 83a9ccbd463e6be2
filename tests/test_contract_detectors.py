from data_contract_components.detection._get_data_catalog import get_data_catalog
from data_contract_components.detection._get_data_contract_specs import get_data_contract_specs
from data_contract_components.detection.contract_coverage_detector import ContractCoverageDetector
from data_contract_components.detection.contract_violation_detector import ContractColumn, ContractViolationDetector
from tests import DatabaseTestCase
from tests.contracts import ContractsTestCase, chapters_spec


class DetectorTestCase(ContractsTestCase, DatabaseTestCase):
    def write_for_table(self, name: str, table_name: str, *, table_catalog: str | None = "") -> None:
        """The chapter's contract, for a table of this test's database, of another one, or (None) of any."""
        spec = chapters_spec(name=name)
        spec["schema"] |= {"table_name": table_name, "table_catalog": table_catalog or self.database_name}
        if table_catalog is None:
            spec["spec-version"] = "1.2.0"
            del spec["schema"]["table_catalog"]
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

    def test_a_table_of_another_schema_does_not_count(self) -> None:
        self.database.query("create schema other; create table other.elsewhere (object_id integer)")
        self.write_for_table("a", "elsewhere")
        self.assertEqual(self.detector().detect_coverage_in_data_catalog(), ["elsewhere"])

    def test_whatever_database_is_named_only_a_table_that_is_not_there_is_missing(self) -> None:
        for name, table_catalog in (("a", None), ("b", "another_database")):
            self.write_for_table(f"{name}1", f"missing_{name}", table_catalog=table_catalog)
            self.write_for_table(f"{name}2", f"object{'_images' * (name == 'a')}", table_catalog=table_catalog)
        self.assertEqual(self.detector().detect_coverage_in_data_catalog(), ["missing_a", "missing_b"])


class TestContractViolationDetector(DetectorTestCase):
    """Which change of a table breaks which clause is tested by tests/cases."""

    def violations(self) -> list[dict[str, str]]:
        contracts = get_data_contract_specs(self.directory)
        return ContractViolationDetector(contracts, get_data_catalog(self.database)).detect_constraint_violations()

    def test_a_contract_in_the_format_of_the_catalog_has_only_the_keys_that_it_mentions(self) -> None:
        self.write_for_table("a", "object_images")
        detector = ContractViolationDetector(get_data_contract_specs(self.directory))
        columns = detector.transform_contract_specs_to_catalog_format()
        self.assertEqual([column.column_name for column in columns], list(chapters_spec()["schema"]["properties"]))
        self.assertEqual(
            columns[2],
            ContractColumn(
                contract_name="a_contract_spec",
                table_catalog=self.database_name,
                table_schema="public",
                table_name="object_images",
                column_name="additional_images",
                expected={
                    "data_type": "ARRAY",
                    "primaryKey": False,
                    "is_nullable": True,
                    "is_updatable": True,
                    "array_element_data_type": "text",
                },
            ),
        )

    def test_the_museums_tables_keep_the_chapters_contract(self) -> None:
        self.write_for_table("a", "object_images")
        self.assertEqual(self.violations(), [])

    def test_a_contract_of_any_database_is_compared_and_one_of_another_database_names_the_way_out(self) -> None:
        self.database.query("alter table object_images drop column additional_images")
        way_out = 'if any database will do, leave "table_catalog" out, with "spec-version": "1.2.0"'
        other = f"Table Catalog: expected production, found {self.database_name} (nothing else was compared; {way_out})"
        missing = "Column 'additional_images' is defined in contract but missing from data catalog"
        for table_catalog, expected in ((None, ("additional_images", missing)), ("production", ("(table)", other))):
            self.write_for_table("a", "object_images", table_catalog=table_catalog)
            (violation,) = self.violations()
            self.assertEqual((violation["column_name"], violation["violations"]), expected)

    def test_violations_come_in_the_order_of_the_contracts_missing_columns_first(self) -> None:
        self.write_for_table("b", "object_images")
        self.write_for_table("a", "object_copyright")
        self.database.query("alter table object_images drop column additional_images")
        self.database.query("alter table object_images drop constraint object_images_pkey")
        missing = "Column 'additional_images' is defined in contract but missing from data catalog"
        places = (
            ("a_contract_spec", "object_copyright", "additional_images", missing),
            ("b_contract_spec", "object_images", "additional_images", missing),
            ("b_contract_spec", "object_images", "object_id", "Primary Key: expected true, found false"),
        )
        keys = ("contract_name", "table_name", "column_name", "violations")
        self.assertEqual(self.violations(), [dict(zip(keys, values, strict=True)) for values in places])
