"""Step 5 of the flow, for columns: where the catalog is not what the contracts say."""

import json
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import pandas as pd

from data_contract_components.detection._get_data_catalog import COLUMN_KEY, get_data_catalog
from data_contract_components.detection._get_data_contract_specs import CONTRACT_DIRECTORY, get_data_contract_specs

# The keys of a contract's column, in the order in which they are compared, as reports name them.
CONSTRAINT_LABELS = {
    "data_type": "Data Type",
    "primaryKey": "Primary Key",
    "is_nullable": "Is Nullable",
    "is_updatable": "Is Updatable",
    "character_maximum_length": "Character Maximum Length",
    "numeric_precision": "Numeric Precision",
    "datetime_precision": "Datetime Precision",
    "array_element_data_type": "Array Element Data Type",
    "array_element_character_maximum_length": "Array Element Character Maximum Length",
    "array_element_numeric_precision": "Array Element Numeric Precision",
    "array_element_datetime_precision": "Array Element Datetime Precision",
}


class ContractViolationDetector:
    """The contracts of a directory beside the columns of the catalog (read from the database where it is not given)."""

    def __init__(
        self, contract_directory: Path | str = CONTRACT_DIRECTORY, catalog_df: pd.DataFrame | None = None
    ) -> None:
        self.contract_specs = get_data_contract_specs(contract_directory)
        self.catalog_df = catalog_df

    def transform_contract_specs_to_catalog_format(self) -> list[dict[str, Any]]:
        """The columns under contract as the catalog has them, one dict a column, in the order of the contracts.

        Shape: `contract_name`, COLUMN_KEY, and those of CONSTRAINT_LABELS that the contract mentions: a key that is
            absent is not checked, a key that is None says that the column must have none.
        """
        return [
            {
                "contract_name": contract_name,
                "table_catalog": spec["schema"]["table_catalog"],
                "table_schema": spec["schema"]["table_schema"],
                "table_name": spec["schema"]["table_name"],
                "column_name": column_name,
                **column["constraints"],
                **{f"array_element_{key}": value for key, value in column.get("array_element", {}).items()},
            }
            for contract_name, spec in self.contract_specs.items()
            for column_name, column in spec["schema"]["properties"].items()
        ]

    def detect_constraint_violations(self) -> list[dict[str, str]]:
        """What breaks the contracts, in their order; of each, first the columns that are missing.

        Shape: one dict a violation, with the keys `contract_name`, `table_name`, `column_name`, `violations` (words).
        """
        contract_rows = self.transform_contract_specs_to_catalog_format()
        contract_df = pd.DataFrame(contract_rows, columns=list(COLUMN_KEY), dtype="string")
        catalog_df = get_data_catalog() if self.catalog_df is None else self.catalog_df
        merged_df = contract_df.merge(
            catalog_df, on=list(COLUMN_KEY), how="left", validate="many_to_one", indicator=True
        )
        catalog_rows = merged_df.astype("object").where(merged_df.notna(), None).to_dict("records")
        # sorted() keeps the contract's order of columns within the missing ones, and within the others.
        pairs = sorted(
            zip(contract_rows, catalog_rows, strict=True),
            key=lambda pair: (pair[0]["contract_name"], pair[1]["_merge"] == "both"),
        )
        return [
            {
                "contract_name": contract_row["contract_name"],
                "table_name": contract_row["table_name"],
                "column_name": contract_row["column_name"],
                "violations": violation,
            }
            for contract_row, catalog_row in pairs
            for violation in find_column_violations(contract_row, catalog_row)
        ]


def find_column_violations(contract_row: dict[str, Any], catalog_row: dict[Hashable, Any]) -> list[str]:
    """What differs between a column under contract and the same column in the catalog, in words."""
    if catalog_row["_merge"] == "left_only":
        return [f"Column '{contract_row['column_name']}' is defined in contract but missing from data catalog"]
    found_row = catalog_row | {"primaryKey": catalog_row["constraint_type"] == "PRIMARY KEY"}
    return [
        f"{label}: expected {_render_value(contract_row[key])}, found {_render_value(found_row[key])}"
        for key, label in CONSTRAINT_LABELS.items()
        if key in contract_row and contract_row[key] != found_row[key]
    ]


def _render_value(value: Any) -> str:
    """A value as a contract has it, words without quotes and 32.0 as 32."""
    if isinstance(value, str):
        return value
    return json.dumps(int(value) if isinstance(value, float) and value.is_integer() else value)
