"""Writes the contract that describes a table as it is now, or drafts of many tables.

python -m data_contract_components.detection.generate_contract_spec TABLE [--schema SCHEMA]
python -m data_contract_components.detection.generate_contract_spec --all
"""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

from data_contract_components.command import command
from data_contract_components.contract_definition._json_text import render_json, render_json_path
from data_contract_components.contract_definition.contract_files import (
    NAME_ENDING,
    find_problems_between,
    get_data_contract_specs,
    read_contract,
)
from data_contract_components.contract_definition.contract_spec import Contract, ContractSpec, TableName
from data_contract_components.contract_definition.new_files import make_file_name, render_contract, write_new_files
from data_contract_components.contract_definition.spec_problems import (
    ANY_DATABASE,
    SPEC_VERSIONS,
    InvalidContractSpecError,
    find_spec_problems,
)
from data_contract_components.data_assets._query_postgres_helper import PostgresDB, database_url
from data_contract_components.detection._described_tables import (
    MissingTableError,
    NoContractError,
    find_tables,
    get_described_tables,
)
from data_contract_components.detection._get_data_catalog import TABLE_KEY, CatalogColumn, get_table_names
from data_contract_components.detection._new_contracts import (
    Choices,
    make_drafts,
    make_metadata,
)
from data_contract_components.detection._table_contract import generate_contract_spec
from data_contract_components.errors import DataContractError
from data_contract_components.escaping import cut
from data_contract_components.settings import get_settings

LINE_LENGTH = 80


def find_changes(before: Any, after: Any, path: str = "") -> list[str]:
    """What differs between two contracts, one line per difference, in the order of the first and then the second."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return [] if before == after else [f"{path}: {render_json(before)} -> {render_json(after)}"]
    lines = []
    for key in dict.fromkeys([*before, *after]):
        place = f"{path}.{key}" if path else str(key)
        if key not in after:
            lines.append(f"- {place}")
        elif key not in before:
            lines.append(f"+ {place}")
        else:
            lines += find_changes(before[key], after[key], place)
    return lines


@command("no contract written")
def main(arguments: list[str] | None = None) -> int:
    """0: the contracts are written, or were correct; 2: none could be written."""
    parser = argparse.ArgumentParser(
        description="Write the contract that describes a table as it is now, or drafts of many.",
        epilog="An existing contract keeps its texts; one of another table, namespace or owner is not overwritten. "
        "Several names, patterns and --all write drafts, which never fail the check, and leave tables alone that have "
        "a contract.",
    )
    parser.add_argument("table", nargs="*", help="a name or a pattern, as 'order*' or 'shop.*'")
    parser.add_argument("--all", action="store_true", help="every table and view")
    parser.add_argument("--schema", help="default: public, or all schemas with --all")
    parser.add_argument("--namespace", help="of a new contract; default: that of all others, or else the schema's name")
    parser.add_argument("--spec-version", choices=SPEC_VERSIONS, help="default: the file's own, or the newest")
    parser.add_argument("--owner-name", help="needed for a new contract, as is --owner-email")
    parser.add_argument("--owner-email")
    parser.add_argument("--output", type=Path, help=f"default: [SCHEMA.]TABLE{NAME_ENDING} beside the other contracts")
    options = parser.parse_args(arguments)
    if options.all == bool(options.table):
        parser.error("name a table, or give --all")
    try:
        database = PostgresDB()
        table_names = get_table_names(database)
        if table := _find_single(options, table_names):
            lines = _write_contract(options, table, database, table_names)
        elif options.output or options.spec_version == SPEC_VERSIONS[0]:
            parser.error(f"drafts have no --output, and need --spec-version {SPEC_VERSIONS[1]} or later")
        else:
            lines = _write_drafts(options, database, table_names)
    except (DataContractError, OSError, ValueError) as error:
        print(f"no contract written: {error}", file=sys.stderr)
        return 2
    print("\n".join(lines))
    return 0


def _find_single(options: argparse.Namespace, table_names: list[TableName]) -> TableName | None:
    """The table whose contract is written or updated; None where drafts are."""
    if len(options.table) != 1:
        return None
    [word] = options.table
    table = (options.schema or "public", word)
    qualified = [name for name in table_names if options.schema is None and ".".join(name) == word]
    # A partition, which is in no list, can be named, too.
    if table in table_names or not (qualified or set(word) & set("*?[")):
        return table
    return qualified[0] if qualified else None


def _write_contract(
    options: argparse.Namespace, name: TableName, database: PostgresDB, table_names: list[TableName]
) -> list[str]:
    """Writes the contract of one table, and returns the lines that say so."""
    contracts, settings = list(get_data_contract_specs(may_be_none=True).values()), get_settings()
    known = [settings.git_directory / path for table, path in _find_known(contracts) if table == name]
    output = options.output or next(iter(known), settings.contracts / make_file_name(*name))
    is_beside = output.resolve().is_relative_to(settings.contracts)
    directory = settings.git_directory if is_beside else output.resolve().parent
    path = output.resolve().relative_to(directory)
    previous: dict[str, Any] = {}
    if output.exists():
        contract, problems = read_contract(directory, path)
        if contract is None:
            raise InvalidContractSpecError(problems)
        previous = dict(contract.spec)
    table = get_described_tables(database, {name}).get(name)
    if table is None:
        raise MissingTableError(name[1], options.schema, table_names)
    _ensure_same(output, previous, table.columns[0], options)
    version = options.spec_version or previous.get("spec-version", SPEC_VERSIONS[-1])
    metadata = previous or make_metadata(table.columns[0], contracts, database_url(), _get_choices(options))
    spec = generate_contract_spec(table.columns, table.comments, version, metadata)
    if mistakes := _find_mistakes(spec, path, contracts if is_beside else None):
        raise NoContractError("\n".join([f"{output} would be invalid:", *mistakes]))
    changes = find_changes(previous, spec) if previous else [f"new: {len(table.columns)} columns"]
    if changes:
        if is_beside:
            output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(render_contract(spec), encoding="utf-8")
    return [str(output), *(f"  {change}" for change in changes or ["nothing changed"])]


def _write_drafts(options: argparse.Namespace, database: PostgresDB, table_names: list[TableName]) -> list[str]:
    """Writes drafts of the tables that have no contract, and returns the lines that say so."""
    tables = [name for name in table_names if options.schema in (None, name[0])]
    if not options.all:
        tables = find_tables(options.table, options.schema, table_names)
    elif not tables:
        raise NoContractError(f'the database has no table in schema "{options.schema}"')
    contracts, settings = get_data_contract_specs(may_be_none=True).values(), get_settings()
    known = {table for table, _ in _find_known(contracts)}
    described = get_described_tables(database, {name for name in tables if name not in known})
    directory = settings.contracts.relative_to(settings.git_directory)
    drafts = make_drafts(described.values(), contracts, database_url(), _get_choices(options), directory)
    write_new_files({settings.git_directory / draft.path: draft.text for draft in drafts})
    left_alone = [name for name in tables if name not in described]
    lines = [f"  has {'a contract' if name in known else 'no columns'}: {'.'.join(name)}" for name in left_alone]
    lines += [f"  draft: {draft.path.name}" for draft in drafts]
    summary = f"drafts written: {len(drafts)}; tables left alone: {len(left_alone)}"
    return [str(directory), *(cut(line, LINE_LENGTH) for line in lines), summary]


def _find_known(contracts: Iterable[Contract]) -> list[tuple[TableName, Path]]:
    """The tables that have a contract, and the contract's path."""
    return [(contract.table, contract.path) for contract in contracts if contract.spec.get("status") != "retired"]


def _get_choices(options: argparse.Namespace) -> Choices:
    version = options.spec_version or SPEC_VERSIONS[-1]
    return Choices(version, options.namespace, options.owner_name, options.owner_email)


def _ensure_same(output: Path, previous: dict[str, Any], found: CatalogColumn, options: argparse.Namespace) -> None:
    """Raises: NoContractError where `previous` is the contract of another table or owner."""
    if not previous:
        return
    names = [key for key in TABLE_KEY if key in previous["schema"]]
    before = ".".join(previous["schema"][key] for key in names)
    after = ".".join(getattr(found, key) for key in names)
    if before != after:
        raise NoContractError(
            f"{output} describes the table {before}, not {after}: write to another file with --output, "
            f"or change the names in it by hand if the table was renamed; {ANY_DATABASE}"
        )
    if options.namespace not in (None, previous["namespace"]):
        raise NoContractError(
            f"{output} is of the namespace {previous['namespace']}: leave out --namespace, or change it there by hand"
        )
    for key in ("name", "email"):
        if getattr(options, f"owner_{key}") not in (None, previous["owner"][key]):
            raise NoContractError(
                f"{output} belongs to {previous['owner']['name']}, {previous['owner']['email']}: leave out "
                "--owner-name and --owner-email, or change the owner in it by hand"
            )


def _find_mistakes(spec: dict[str, Any], path: Path, contracts: list[Contract] | None) -> list[str]:
    """What would be wrong with `spec` in the file `path` beside the project's contracts, or elsewhere (None)."""
    if problems := find_spec_problems(spec):
        return [f"{render_json_path(json_path)}: {message}" for json_path, message in problems]
    if contracts is None:
        return []
    if not path.name.endswith(NAME_ENDING) or path.name.startswith("."):
        return [f"its name is not that of a contract: give --output one that ends in {NAME_ENDING}"]
    contract = Contract(cast(ContractSpec, spec), path, render_contract(spec))
    others = [contract for contract in contracts if contract.path != path]
    clashes = [str(problem) for problem in find_problems_between(get_settings().git_directory, [*others, contract])]
    return [*clashes, "Name the file that is there with --output, or change that file first."] if clashes else []


if __name__ == "__main__":
    sys.exit(main())
