"""The chapter's door to the contracts: step 3 of the flow, and the tables that they are about.

As a command, it validates contract files without a database:
python -m data_contract_components.detection._get_data_contract_specs
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

from data_contract_components.command import command
from data_contract_components.contract_definition.contract_files import get_data_contract_specs, read_contract
from data_contract_components.contract_definition.contract_spec import Contract, ContractSpec, TableName
from data_contract_components.contract_definition.spec_problems import InvalidContractSpecError

__all__ = ["TableKey", "get_data_contract_specs", "get_table_key", "get_tables"]


class TableKey(TypedDict):
    """The table under contract; `table_catalog` is None where it may be in whichever database is checked."""

    table_catalog: str | None
    table_schema: str
    table_name: str


def get_table_key(spec: ContractSpec) -> TableKey:
    schema = spec["schema"]
    return {
        "table_catalog": schema.get("table_catalog"),
        "table_schema": schema["table_schema"],
        "table_name": schema["table_name"],
    }


def get_tables(contracts: Mapping[str, Contract]) -> set[TableName]:
    """Schema and name of each table under contract."""
    return {contract.table for contract in contracts.values()}


def _find_repository(path: Path) -> Path:
    """The root of the git repository that `path` is in; its folder where there is none."""
    above = path.resolve().parents
    return next((folder for folder in above if (folder / ".git").exists()), above[0])


@command("nothing was changed")
def main(arguments: list[str] | None = None) -> int:
    """0: every contract file is valid; 1: one is not; 2: the project's are not known."""
    parser = argparse.ArgumentParser(
        prog="python -m data_contract_components.detection._get_data_contract_specs",
        description="Validate contract files, without a database.",
        epilog="Exit status: 0 all are valid; 1 one is not; 2 the project's settings are missing or wrong.",
    )
    parser.add_argument(
        "files", nargs="*", type=Path, metavar="FILE", help="each by itself (default: the project's, all together)"
    )
    paths = parser.parse_args(arguments).files
    problems = [problem for path in paths for problem in read_contract(Path(), path, _find_repository(path))[1]]
    try:
        count = len(paths or get_data_contract_specs())
    except InvalidContractSpecError as error:
        problems = error.problems
    print("\n".join(map(str, problems)) or f"{count} valid contract{'s' * (count != 1)}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
