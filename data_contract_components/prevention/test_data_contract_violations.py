"""The contract tests: every contract of contract_definition/ against the database of database_url()."""

import unittest

import pandas as pd

from data_contract_components.data_assets._applied_revisions import ensure_applied_revisions_are_current
from data_contract_components.detection._get_data_catalog import get_data_catalog
from data_contract_components.detection.contract_coverage_detector import ContractCoverageDetector
from data_contract_components.detection.contract_violation_detector import ContractViolationDetector


class TestContractViolations(unittest.TestCase):
    catalog_df: pd.DataFrame

    @classmethod
    def setUpClass(cls) -> None:
        ensure_applied_revisions_are_current()
        cls.catalog_df = get_data_catalog()

    def test_all_contract_assets_present_in_catalog(self) -> None:
        """Test that all assets under contract are present in the data catalog"""
        tables = ContractCoverageDetector(catalog_df=self.catalog_df).detect_coverage_in_data_catalog()
        self.assertTrue(not tables, f"All assets under contract should be present in data catalog.\nMissing: {tables}")

    def test_data_contracts_against_data_catalog(self) -> None:
        """Test that all data contract constraints match the data catalog."""
        violations = ContractViolationDetector(catalog_df=self.catalog_df).detect_constraint_violations()
        if violation_text := render_violations(violations):
            self.fail(f"All data contract constraints should match the data catalog.\n\nViolations:\n{violation_text}")


def render_violations(violations: list[dict[str, str]]) -> str:
    """The violations as a numbered list, four lines and an empty one each; nothing where there are none."""
    return "\n".join(
        f"{number}. Contract: {violation['contract_name']}\n"
        f"   Table: {violation['table_name']}\n"
        f"   Column: {violation['column_name']}\n"
        f"   Issue: {violation['violations']}\n"
        for number, violation in enumerate(violations, start=1)
    )
