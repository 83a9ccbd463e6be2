"""Step 5 of the flow, for tables: which tables under contract are not in the catalog."""

import datetime

import pandas as pd

from data_contract_components.contract_definition.contract_spec import Contract, get_enforcement
from data_contract_components.detection._get_data_catalog import TABLE_KEY, get_data_catalog
from data_contract_components.detection._get_data_contract_specs import (
    get_data_contract_specs,
    get_table_key,
    get_tables,
)


class ContractCoverageDetector:
    """Contracts (the project's own where they are not given) beside the catalog (the database's, read when needed).

    `today` decides whether a deprecated contract still binds; None is the day in UTC.
    """

    def __init__(
        self,
        contracts: dict[str, Contract] | None = None,
        catalog_df: pd.DataFrame | None = None,
        today: datetime.date | None = None,
    ) -> None:
        self.contracts = get_data_contract_specs() if contracts is None else contracts
        self.catalog_df = catalog_df
        self.today = today or datetime.datetime.now(datetime.UTC).date()

    def get_contract_spec_coverage(self) -> list[dict[str, str]]:
        """The table of each contract that binds: a dict with the keys TABLE_KEY, in the order of the contracts."""
        return [
            get_table_key(contract.spec)
            for contract in self.contracts.values()
            if get_enforcement(contract.spec, self.today) == "binding"
        ]

    def detect_coverage_in_data_catalog(self) -> list[str]:
        """The names of the tables that are under contract and not in the catalog, in the order of the contracts."""
        coverage_df = pd.DataFrame(self.get_contract_spec_coverage(), columns=list(TABLE_KEY), dtype="string")
        if self.catalog_df is None:
            self.catalog_df = get_data_catalog(tables=get_tables(self.contracts))
        key = list(TABLE_KEY)
        merged_df = coverage_df.merge(
            self.catalog_df[key].drop_duplicates(), on=key, how="left", validate="many_to_one", indicator=True
        )
        return [str(name) for name in merged_df.loc[merged_df["_merge"] == "left_only", "table_name"]]
