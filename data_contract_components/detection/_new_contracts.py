"""What a new contract gets besides the table: its metadata; and drafts of many tables."""

import itertools
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote, urlsplit

from data_contract_components.contract_definition._json_text import render_json_path
from data_contract_components.contract_definition.contract_files import (
    NAME_ENDING,
    find_problems_between,
)
from data_contract_components.contract_definition.contract_spec import Contract, ContractSpec
from data_contract_components.contract_definition.new_files import make_file_name, render_contract, render_table_name
from data_contract_components.contract_definition.spec_problems import find_spec_problems
from data_contract_components.detection._described_tables import DescribedTable, NoContractError
from data_contract_components.detection._get_data_catalog import CatalogColumn
from data_contract_components.detection._table_contract import generate_contract_spec


@dataclass(frozen=True)
class Choices:
    """What a person decides about new contracts. Without an owner, none can be made.

    Without a `namespace`, they are in that of all others, or else in one that is named as the schema.
    """

    spec_version: str
    namespace: str | None
    owner_name: str | None
    owner_email: str | None


def make_metadata(table: CatalogColumn, contracts: Collection[Contract], url: str, choices: Choices) -> dict[str, Any]:
    """What stands above `schema` in the new contract of a table, one of whose columns is `table`.

    Raises: NoContractError without an owner.
    """
    if None in (choices.owner_name, choices.owner_email):
        raise NoContractError("a contract has an owner: give --owner-name and --owner-email")
    namespaces = {contract.spec["namespace"] for contract in contracts}
    name, parts = render_table_name(table.table_schema, table.table_name), urlsplit(url)
    return {
        "spec-version": choices.spec_version,
        "name": f"{name.replace('_', '-')}-contract-spec",
        "namespace": choices.namespace or (namespaces.pop() if len(namespaces) == 1 else table.table_schema),
        "dataAssetResourceName": f"postgresql://{parts.hostname or 'localhost'}:{parts.port or 5432}/"
        + quote(f"{table.table_catalog}.{name}"),
        "doc": f"Data contract for the {name} table.",
        "owner": {"name": choices.owner_name, "email": choices.owner_email},
    }


def make_drafts(
    tables: Iterable[DescribedTable], contracts: Collection[Contract], url: str, choices: Choices, directory: Path
) -> list[Contract]:
    """A draft in `directory` for each of the tables. No file and no name is that of a contract, or of another draft.

    Raises: NoContractError with everything that is wrong with them.
    """
    stems = {contract.path.name.removesuffix(NAME_ENDING).casefold() for contract in contracts}
    names = {contract.spec["name"].casefold() for contract in contracts}
    drafts: list[Contract] = []
    for table in tables:
        found = table.columns[0]
        metadata = make_metadata(found, contracts, url, choices)
        metadata |= {"name": _make_unique(metadata["name"], "-", names), "status": "draft"}
        spec = cast(ContractSpec, generate_contract_spec(table.columns, table.comments, choices.spec_version, metadata))
        stem = make_file_name(found.table_schema, found.table_name).removesuffix(NAME_ENDING)
        path = directory / f"{_make_unique(stem, '_', stems)}{NAME_ENDING}"
        drafts.append(Contract(spec, path, render_contract(spec)))
    mistakes = [
        f"{draft.path} would be invalid: {render_json_path(json_path)}: {message}"
        for draft in drafts
        for json_path, message in find_spec_problems(draft.spec)
    ]
    if mistakes := mistakes or [str(problem) for problem in find_problems_between(Path(), [*contracts, *drafts])]:
        raise NoContractError("\n".join(mistakes))
    return drafts


def _make_unique(text: str, mark: str, taken: set[str]) -> str:
    """`text`, with a number where it is taken; it is taken afterwards. Some file systems do not tell cases apart."""
    numbered = itertools.chain([text], (f"{text}{mark}{number}" for number in itertools.count(2)))
    unique = next(candidate for candidate in numbered if candidate.casefold() not in taken)
    taken.add(unique.casefold())
    return unique
