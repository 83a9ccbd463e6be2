"""Step 5 of the flow, for columns: where the catalog is not what the contracts say."""

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from data_contract_components.contract_definition._json_text import render_value
from data_contract_components.contract_definition.contract_spec import (
    ELEMENT_PREFIX,
    WHOLE_TABLE,
    Contract,
    ContractSpec,
    Enforcement,
    get_enforcement,
)
from data_contract_components.detection._get_data_catalog import (
    COLUMN_KEY,
    CONSTRAINT_COLUMNS,
    TABLE_KEY,
    CatalogRow,
    get_data_catalog,
    to_rows,
)
from data_contract_components.detection._get_data_contract_specs import (
    get_data_contract_specs,
    get_table_key,
    get_tables,
)

# The keys of a contract's column, in the order in which they are compared.
COMPARED_KEYS = ("data_type", *CONSTRAINT_COLUMNS)


@dataclass(frozen=True)
class Violation:
    """One clause of a contract that the catalog does not keep.

    `key` is one of COMPARED_KEYS, "column_name" (the column is missing), "additionalColumns" (a column that is not
    listed), or, of the WHOLE_TABLE, "table_type" or "table_catalog". `reason` is why what is declared does not count.
    """

    contract_name: str
    table_schema: str
    table_name: str
    column_name: str
    key: str
    expected: Any
    found: Any
    reason: str | None = None
    table_catalog: str = ""

    def __str__(self) -> str:
        if self.key == "column_name":
            return f"Column '{self.expected}' is defined in contract but missing from data catalog"
        if self.key == "additionalColumns":
            return f"Column '{self.found}' is in data catalog but not defined in contract"
        words = "".join(f" {letter}" if letter.isupper() else letter for letter in self.key).replace("_", " ")
        text = f"{words.title()}: expected {render_value(self.expected)}, found {render_value(self.found)}"
        return f"{text} ({self.reason})" if self.reason else text


class ContractViolationDetector:
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

    def transform_contract_specs_to_catalog_format(self) -> list[dict[str, Any]]:
        """The columns under contract as the catalog has them, one dict a column, in the order of the contracts.

        Shape: `contract_name`, COLUMN_KEY, and those of COMPARED_KEYS that the contract mentions: a key that is
            absent is not checked, a key that is None says that the column must have none.
        """
        return [
            {
                "contract_name": contract_name,
                **get_table_key(contract.spec),
                "column_name": column_name,
                **column["constraints"],
                **{f"{ELEMENT_PREFIX}{key}": value for key, value in column.get("array_element", {}).items()},
            }
            for contract_name, contract in self.contracts.items()
            for column_name, column in contract.spec["schema"]["properties"].items()
        ]

    def detect_constraint_violations(self) -> list[dict[str, str]]:
        """What breaks the contracts that bind, in their order; of each, first the columns that are missing.

        Shape: one dict a violation, with the keys `contract_name`, `table_name`, `column_name`, `violations` (words).
        """
        return [
            {
                "contract_name": violation.contract_name,
                "table_name": violation.table_name,
                "column_name": violation.column_name,
                "violations": str(violation),
            }
            for violation in self.find_violations("binding")
        ]

    def find_violations(self, *enforcements: Enforcement) -> list[Violation]:
        """The same as facts, of the contracts that are enforced so."""
        if self.catalog_df is None:
            self.catalog_df = get_data_catalog(tables=get_tables(self.contracts))
        contract_rows = self.transform_contract_specs_to_catalog_format()
        catalog_rows = to_rows(self.catalog_df)
        key = list(COLUMN_KEY)
        merged_df = pd.DataFrame(contract_rows, columns=key, dtype="string").merge(
            self.catalog_df[key].assign(position=range(len(catalog_rows))), on=key, how="left", validate="many_to_one"
        )
        rows_of_contract: dict[str, list[tuple[dict[str, Any], CatalogRow | None]]] = {}
        for contract_row, (_, position) in zip(contract_rows, merged_df["position"].items(), strict=True):
            catalog_row = None if pd.isna(position) else catalog_rows[int(position)]
            rows_of_contract.setdefault(contract_row["contract_name"], []).append((contract_row, catalog_row))
        rows_of_table: dict[tuple[Any, ...], list[CatalogRow]] = {}
        for catalog_row in catalog_rows:
            rows_of_table.setdefault(tuple(catalog_row[key] for key in TABLE_KEY), []).append(catalog_row)
        return [
            Violation(
                contract_name,
                *contract.table,
                *facts,
                table_catalog=contract.spec["schema"]["table_catalog"],
            )
            for contract_name, contract in self.contracts.items()
            if get_enforcement(contract.spec, self.today) in enforcements
            for facts in _find_violations(contract.spec, rows_of_contract[contract_name], rows_of_table)
        ]


def _find_violations(
    spec: ContractSpec,
    rows: list[tuple[dict[str, Any], CatalogRow | None]],
    rows_of_table: dict[tuple[Any, ...], list[CatalogRow]],
) -> Iterator[tuple[str, str, Any, Any, str | None]]:
    """Column, key, expected, found and reason of each violation of one contract."""
    schema, table_rows = spec["schema"], rows_of_table.get(tuple(get_table_key(spec).values()), [])
    if not table_rows:
        names = (schema["table_schema"], schema["table_name"])
        if other_catalog := next((key[0] for key in rows_of_table if key[1:] == names), None):
            yield WHOLE_TABLE, "table_catalog", schema["table_catalog"], other_catalog, None
            return
    for contract_row, catalog_row in rows:
        if catalog_row is None:
            yield contract_row["column_name"], "column_name", contract_row["column_name"], None, None
    if table_rows and "table_type" in schema and schema["table_type"] != table_rows[0]["table_type"]:
        yield WHOLE_TABLE, "table_type", schema["table_type"], table_rows[0]["table_type"], None
    for contract_row, catalog_row in rows:
        if catalog_row is not None:
            for facts in find_column_violations(contract_row, catalog_row):
                yield contract_row["column_name"], *facts
    if not schema.get("additionalColumns", True):
        for catalog_row in table_rows:
            if catalog_row["column_name"] not in schema["properties"]:
                yield catalog_row["column_name"], "additionalColumns", None, catalog_row["column_name"], None


def find_column_violations(
    contract_row: dict[str, Any], catalog_row: CatalogRow
) -> list[tuple[str, Any, Any, str | None]]:
    """Key, expected, found and reason of what differs between a column under contract and the same in the catalog."""
    reasons = catalog_row["not_enforced"] or {}
    return [
        # A foreign key that is not enforced does not explain one where the contract says that there is none.
        (key, contract_row[key], catalog_row[key], None if contract_row[key] is None else reasons.get(key))
        for key in COMPARED_KEYS
        if key in contract_row and not _holds(key, contract_row[key], catalog_row[key])
    ]


def _holds(key: str, expected: Any, found: Any) -> bool:
    # A column may have several foreign keys, and the contract asks for one of them.
    if key == "references" and expected is not None:
        target = {name: value for name, value in expected.items() if not name.startswith("x-")}
        return target in (found or [])
    # PostgreSQL does not know the dimensions of a view's column.
    if key == "array_element_dimensions" and found == 0:
        return True
    return bool(expected == found)
