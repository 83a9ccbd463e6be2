"""Step 5 of the flow, for tables: which tables under contract are not in the catalog."""

import sys

import pandas as pd

from data_contract_components.command import command
from data_contract_components.contract_definition.contract_spec import get_enforcement
from data_contract_components.contract_definition.waivers import TABLE_CLAUSE, find_waivers
from data_contract_components.detection._contract_detector import ContractDetector, run_detector
from data_contract_components.detection._current_state import CurrentState
from data_contract_components.detection._get_data_catalog import TABLE_KEY
from data_contract_components.detection._get_data_contract_specs import TableKey, get_table_key


class ContractCoverageDetector(ContractDetector):
    """Finds the tables under contract that the catalog does not have."""

    def get_contract_spec_coverage(self) -> list[TableKey]:
        """The table of each contract that binds, in their order; not where a waiver excuses a missing table."""
        return [
            get_table_key(contract.spec)
            for contract in self.contracts.values()
            if get_enforcement(contract.spec, self.today) == "binding"
            and not ((waiver := find_waivers(contract.spec, self.today).get(TABLE_CLAUSE)) and waiver.is_valid)
        ]

    def detect_coverage_in_data_catalog(self) -> list[str]:
        """The names of the tables that are under contract and not in the catalog, in the order of the contracts.

        A table is not missing where only the database has another name: that is a violation of its own.
        """
        key = ["table_schema", "table_name"]
        coverage_df = pd.DataFrame(self.get_contract_spec_coverage(), columns=list(TABLE_KEY), dtype="string")
        merged_df = coverage_df.merge(
            self.catalog_df[key].drop_duplicates(), on=key, how="left", validate="many_to_one", indicator=True
        )
        return [str(name) for name in merged_df.loc[merged_df["_merge"] == "left_only", "table_name"]]


@command("nothing was changed")
def main(arguments: list[str] | None = None) -> int:
    """0: all tables under contract are in the catalog; 1: one is missing; 2: could not check."""
    return run_detector(arguments, "Find the tables under contract that the database does not have.", _detect)


def _detect(state: CurrentState) -> list[str]:
    return [f"missing: {name}" for name in ContractCoverageDetector(*state).detect_coverage_in_data_catalog()]


if __name__ == "__main__":
    sys.exit(main())
