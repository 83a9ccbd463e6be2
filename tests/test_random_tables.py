import shutil
from typing import Any

import pandas as pd
from hypothesis import given

from data_contract_components.contract_definition._column_types import parse_built_in_type
from data_contract_components.contract_definition.contract_spec import WHOLE_TABLE
from data_contract_components.contract_definition.table_lists import strip_index
from data_contract_components.detection._get_data_catalog import CatalogColumn, get_data_catalog
from data_contract_components.detection._get_data_contract_specs import get_data_contract_specs
from data_contract_components.detection._table_contract import generate_contract_spec
from data_contract_components.detection.contract_violation_detector import COMPARED_KEYS, ContractViolationDetector
from tests import DatabaseTestCase, read_data
from tests.contracts import ContractsTestCase, chapters_head
from tests.random_tables import BUILT_IN_NAMES, ChangedTable, changed_tables, random_settings

VERSIONS = ("1.0.0", "1.1.0", "1.2.0")
# The keys whose values PostgreSQL prints in its own way, so that only whether there is one is compared.
PRINTED = ("column_default", "generation_expression")
MISSING, UNDECLARED = "column_name", "additionalColumns"
Found = list[tuple[str, str, str]]
Promises = dict[tuple[str, str], dict[str, Any]]


def name_contract(index: int, version: str) -> str:
    return f"{index}-{version}_contract_spec"


def find_promises(changed_tables: list[ChangedTable]) -> Promises:
    """The keys and values that the contracts need for each column."""
    return {
        (name_contract(index, version), name): simplify(changed.before.promises(name, version))
        for index, changed in enumerate(changed_tables)
        for version in VERSIONS
        for name in changed.before.columns
    }


def simplify(promises: dict[str, Any]) -> dict[str, Any]:
    """The same, with only what is known of a value before PostgreSQL prints it."""
    simple = {key: value is not None if key in PRINTED else value for key, value in promises.items()}
    if "physicalType" in promises and parse_built_in_type(promises["physicalType"], BUILT_IN_NAMES) is None:
        simple["physicalType"] = "of somebody else"
    return simple


def find_expected(changed_tables: list[ChangedTable]) -> Found:
    """Contract, column and key of what the changes break, by the SQL of the tables before and after."""
    expected: Found = []
    for index, changed in enumerate(changed_tables):
        before, after = changed.before, changed.after
        columns = after.columns if after else {}
        for version in VERSIONS:
            contract = name_contract(index, version)
            for name in before.columns:
                if not after or name not in columns:
                    expected.append((contract, name, MISSING))
                    continue
                promises, found = before.promises(name, version), after.facts(name)
                expected += [(contract, name, key) for key, value in promises.items() if found.get(key) != value]
            if version == "1.2.0" and columns and after:
                is_other = before.primary_key != after.primary_key
                expected += [(contract, WHOLE_TABLE, "primaryKey")] * is_other
                gone, new = before.constraints - after.constraints, after.constraints - before.constraints
                of_table = (key for key in gone if key.kind == "checks" or len(key.columns) > 1)
                expected += [(contract, WHOLE_TABLE, key.kind) for key in of_table]
                expected += [(contract, WHOLE_TABLE, "additionalConstraints")] * len(new)
            if version != "1.0.0":
                expected += [(contract, name, UNDECLARED) for name in columns if name not in before.columns]
                if columns and after and after.table_type != before.table_type:
                    expected.append((contract, WHOLE_TABLE, "table_type"))
    return sorted(expected)


class TestRandomTables(ContractsTestCase, DatabaseTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.database.query(f"alter database {self.database_name} set synchronous_commit = off")

    @random_settings(max_examples=40)
    @given(changed_tables())
    def test_a_contract_is_kept_by_its_table_and_a_change_breaks_what_it_touches(
        self, changed_tables: list[ChangedTable]
    ) -> None:
        self.database.query(
            "; ".join([read_data("drop_everything.sql"), *(changed.before.render() for changed in changed_tables)])
        )
        catalog_df = self.catalog(changed_tables)
        self.write_contracts(catalog_df, changed_tables)
        self.assertEqual(self.promises(catalog_df), find_promises(changed_tables))
        self.assertEqual(self.violations(catalog_df), [])
        self.database.query("; ".join(changed.change for changed in changed_tables))
        self.assertEqual(self.violations(self.catalog(changed_tables)), find_expected(changed_tables))

    def catalog(self, changed_tables: list[ChangedTable]) -> pd.DataFrame:
        return get_data_catalog(
            self.database, {(changed.before.schema, changed.before.name) for changed in changed_tables}
        )

    def write_contracts(self, catalog_df: pd.DataFrame, changed_tables: list[ChangedTable]) -> None:
        shutil.rmtree(self.directory)
        self.directory.mkdir()
        columns = CatalogColumn.from_df(catalog_df)
        for index, changed in enumerate(changed_tables):
            table = (changed.before.schema, changed.before.name)
            table_columns = [column for column in columns if (column.table_schema, column.table_name) == table]
            for version in VERSIONS:
                words = chapters_head(name=name_contract(index, version))
                if version != "1.0.0":
                    # Two active contracts of one table are refused; this one binds as well.
                    schema = {"additionalColumns": False}
                    schema |= {"additionalConstraints": False} if version == "1.2.0" else {}
                    words |= {"status": "deprecated", "sunset": "9999-12-31", "schema": schema}
                self.write(f"{index}-{version}", generate_contract_spec(table_columns, {}, version, words))

    def detector(self, catalog_df: pd.DataFrame) -> ContractViolationDetector:
        return ContractViolationDetector(get_data_contract_specs(self.directory), catalog_df)

    def promises(self, catalog_df: pd.DataFrame) -> Promises:
        return {
            (column.contract_name, column.column_name): simplify(
                {key: value for key, value in column.expected.items() if key in COMPARED_KEYS}
            )
            for column in self.detector(catalog_df).transform_contract_specs_to_catalog_format()
        }

    def violations(self, catalog_df: pd.DataFrame) -> Found:
        violations = self.detector(catalog_df).find_violations("binding")
        return sorted((v.contract_name, v.column_name, strip_index(v.key)) for v in violations)
