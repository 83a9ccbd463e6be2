"""The contract tests: every contract of contract_definition/ against the database of database_url()."""

import functools
import unittest
from typing import Any

from data_contract_components.command import escape_output
from data_contract_components.contract_definition.contract_spec import ensure_a_contract_binds
from data_contract_components.data_assets._applied_revisions import ensure_applied_revisions_are_current
from data_contract_components.detection._get_data_catalog import get_data_catalog
from data_contract_components.detection._get_data_contract_specs import get_data_contract_specs, get_tables
from data_contract_components.detection.contract_coverage_detector import ContractCoverageDetector
from data_contract_components.detection.contract_violation_detector import ContractViolationDetector
from data_contract_components.errors import DataContractError


class TestContractViolations(unittest.TestCase):
    """FAIL is a broken contract; ERROR says that it could not be checked."""

    def setUp(self) -> None:
        # Here, so that each test ends in ERROR by itself when there is nothing to compare.
        state = get_current_state()
        if isinstance(state, DataContractError):
            raise state.with_traceback(None) from None
        self.state = state

    def test_all_contract_assets_present_in_catalog(self) -> None:
        """Test that all assets under contract are present in the data catalog"""
        tables = ContractCoverageDetector(*self.state).detect_coverage_in_data_catalog()
        self.assertTrue(not tables, f"All assets under contract should be present in data catalog.\nMissing: {tables}")

    def test_data_contracts_against_data_catalog(self) -> None:
        """Test that all data contract constraints match the data catalog."""
        violations = ContractViolationDetector(*self.state).detect_constraint_violations()
        if violation_text := render_violations(violations):
            self.fail(f"All data contract constraints should match the data catalog.\n\nViolations:\n{violation_text}")


@functools.cache
def get_current_state() -> tuple[Any, Any] | DataContractError:
    """The contracts, and the catalog of a database that this checkout's migrations built; read once for both tests."""
    try:
        ensure_applied_revisions_are_current()
        contract_specs = get_data_contract_specs()
        ensure_a_contract_binds(contract_specs)
        return contract_specs, get_data_catalog(tables=get_tables(contract_specs))
    except DataContractError as error:
        error.args = (escape_output(str(error)),)
        return error


def render_violations(violations: list[dict[str, str]]) -> str:
    """The violations as a numbered list, four lines and an empty one each; nothing where there are none."""
    text = "\n".join(
        f"{number}. Contract: {violation['contract_name']}\n"
        f"   Table: {violation['table_name']}\n"
        f"   Column: {violation['column_name']}\n"
        f"   Issue: {violation['violations']}\n"
        for number, violation in enumerate(violations, start=1)
    )
    return escape_output(text)
