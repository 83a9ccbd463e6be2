"""The contract tests: FAIL is a broken contract, ERROR says that nothing could be checked and what to do."""

import unittest

from data_contract_components.contract_definition.code_owners import find_code_owner_problems, find_owned_contracts
from data_contract_components.detection.contract_coverage_detector import ContractCoverageDetector
from data_contract_components.detection.contract_violation_detector import ContractViolationDetector
from data_contract_components.errors import DataContractError
from data_contract_components.escaping import escape_output
from data_contract_components.prevention.contract_report.current_state import Today, get_state_or_error, split_off_today


class TestContractViolations(unittest.TestCase):
    today: Today = None  # the day in UTC, unless the command below has another

    def setUp(self) -> None:
        state = get_state_or_error(self.today)
        if isinstance(state, DataContractError):
            raise state.with_traceback(None) from None
        self.state, self.detector = state, ContractViolationDetector(*state)

    def test_all_contract_assets_present_in_catalog(self) -> None:
        """Test that all assets under contract are present in the data catalog"""
        tables = ContractCoverageDetector(*self.state).detect_coverage_in_data_catalog()
        self.assertTrue(not tables, f"All assets under contract should be present in data catalog.\nMissing: {tables}")

    def test_data_contracts_against_data_catalog(self) -> None:
        """Test that all data contract constraints match the data catalog."""
        if violation_text := render_violations(self.detector.detect_constraint_violations()):
            self.fail(f"All data contract constraints should match the data catalog.\n\nViolations:\n{violation_text}")
        self.detector.ensure_waivers_are_needed()

    def check_code_owners(self) -> None:
        """Test that CODEOWNERS asks the owner.github of each contract to approve its changes."""
        if text := escape_output("\n".join(map(str, find_code_owner_problems(self.state.contracts)))):
            self.fail(f"CODEOWNERS should ask the owner.github of each contract to approve its changes.\n\n{text}")


def load_tests(_loader: unittest.TestLoader, tests: unittest.TestSuite, _pattern: str | None) -> unittest.TestSuite:
    """One test per detector; where a contract has owner.github, also that of CODEOWNERS. unittest calls it."""
    state = get_state_or_error(TestContractViolations.today)
    if not isinstance(state, DataContractError) and find_owned_contracts(state.contracts):
        tests.addTest(TestContractViolations("check_code_owners"))
    return tests


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


if __name__ == "__main__":
    TestContractViolations.today, arguments = split_off_today()
    unittest.main(argv=arguments)
