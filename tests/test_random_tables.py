import shutil
from typing import Any

import pandas as pd
from hypothesis import given

from data_contract_components.contract_definition.contract_spec import WHOLE_TABLE
from data_contract_components.detection._get_data_catalog import CatalogColumn, get_data_catalog
from data_contract_components.detection._get_data_contract_specs import get_data_contract_specs
from data_contract_components.detection._table_contract import generate_contract_spec
from data_contract_components.detection.contract_violation_detector import COMPARED_KEYS, ContractViolationDetector
from tests import DatabaseTestCase, read_data
from tests.contracts import ContractsTestCase, chapters_head
from tests.random_tables import ChangedTable, changed_tables, random_settings

VERSIONS = ("1.0.0", "1.1.0")
MISSING, UNDECLARED = "column_name", "additionalColumns"
Found = list[tuple[str, str, str]]
Promises = dict[tuple[str, str], dict[str, Any]]


def name_contract(index: int, version: str) -> str:
    return f"{index}-{version}_contract_spec"


def find_promises(changed_tables: list[ChangedTable]) -> Promises:
    """The keys and values that the contracts need for each column; of a default, whether there is one."""
    return {
        (name_contract(index, version), name): {
            key: value if key != "column_default" else value is not None
            for key, value in changed.before.promises(name, version).items()
        }
        for index, changed in enumerate(changed_tables)
        for version in VERSIONS
        for name in changed.before.columns
    }


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
            if version == "1.1.0":
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
                if version == "1.1.0":
                    # Two active contracts of one table are refused; this one binds as well.
                    words |= {"status": "deprecated", "sunset": "9999-12-31", "schema": {"additionalColumns": False}}
                self.write(f"{index}-{version}", generate_contract_spec(table_columns, {}, version, words))

    def detector(self, catalog_df: pd.DataFrame) -> ContractViolationDetector:
        return ContractViolationDetector(get_data_contract_specs(self.directory), catalog_df)

    def promises(self, catalog_df: pd.DataFrame) -> Promises:
        return {
            (column.contract_name, column.column_name): {
                key: value if key != "column_default" else value is not None
                for key, value in column.expected.items()
                if key in COMPARED_KEYS
            }
            for column in self.detector(catalog_df).transform_contract_specs_to_catalog_format()
        }

    def violations(self, catalog_df: pd.DataFrame) -> Found:
        violations = self.detector(catalog_df).find_violations("binding")
        return sorted((violation.contract_name, violation.column_name, violation.key) for violation in violations)
