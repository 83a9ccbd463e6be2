"""Writes the contract that describes a table as it is now.

python -m data_contract_components.detection.generate_contract_spec TABLE [--schema SCHEMA]
"""

import argparse
import json
import sys
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote, urlsplit

from data_contract_components.command import command
from data_contract_components.contract_definition._json_text import render_json
from data_contract_components.contract_definition.contract_spec import ELEMENT_PREFIX, Contract, ContractSpec
from data_contract_components.contract_definition.spec_problems import (
    SPEC_VERSIONS,
    InvalidContractSpecError,
    find_spec_problems,
)
from data_contract_components.data_assets._query_postgres_helper import PostgresDB, database_url, read_sql
from data_contract_components.detection._get_data_catalog import (
    TABLE_KEY,
    CatalogColumn,
    get_data_catalog,
    get_table_names,
)
from data_contract_components.detection._get_data_contract_specs import (
    NAME_ENDING,
    find_problems_between,
    get_data_contract_specs,
    read_contract,
    render_json_path,
)
from data_contract_components.errors import DataContractError
from data_contract_components.settings import get_settings

COLUMN_COMMENTS_SQL = read_sql(Path(__file__).parent / "sql" / "column_comments.sql")
# The keys that have a value for some types only, and these types. Without a value, 1.0.0 omits them, 1.1.0 has null.
TYPE_KEYS = {
    "character_maximum_length": ("character", "character varying", "bit", "bit varying"),
    "numeric_precision": ("smallint", "integer", "bigint", "real", "double precision", "numeric"),
    "numeric_scale": ("numeric",),
    "datetime_precision": ("date", "time", "timestamp", "interval"),
    "interval_type": ("interval",),
    "udt_name": ("USER-DEFINED",),
    "collation_name": ("text", "character", "character varying", "name"),
}
KEYS_OF_1_0 = (
    "primaryKey",
    "data_type",
    "character_maximum_length",
    "numeric_precision",
    "datetime_precision",
    "is_nullable",
    "is_updatable",
)
KEYS_OF_EVERY_TYPE = ("domain_name", "column_default", "is_identity", "is_generated", "unique")


class NoContractError(DataContractError):
    """No contract was written."""


def generate_contract_spec(
    columns: list[CatalogColumn], descriptions: dict[str, str], spec_version: str, previous: dict[str, Any]
) -> dict[str, Any]:
    """The contract of the table with these `columns`, with everything in `previous` that the database does not decide.

    Without `previous`, the keys that only a person can fill in (`owner`, `doc` and the like) are missing.
    """
    previous_schema = previous.get("schema", {})
    previous_columns = previous_schema.get("properties", {})
    schema = {key: previous_schema[key] for key in ("$schema", "title") if key in previous_schema}
    schema |= {key: getattr(columns[0], key) for key in TABLE_KEY}
    if spec_version != SPEC_VERSIONS[0]:
        schema["table_type"] = columns[0].table_type
    schema |= {key: value for key, value in previous_schema.items() if key not in schema and key != "properties"}
    schema["properties"] = {
        found.column_name: _generate_column(found, descriptions, spec_version, previous_columns.get(found.column_name))
        for found in columns
    }
    return previous | {"spec-version": spec_version, "schema": schema}


def _generate_column(
    found: CatalogColumn, descriptions: dict[str, str], spec_version: str, previous: dict[str, Any] | None
) -> dict[str, Any]:
    column: dict[str, Any] = {}
    if previous is None and found.column_name in descriptions:
        column["description"] = descriptions[found.column_name]
    column |= {key: value for key, value in (previous or {}).items() if key not in ("constraints", "array_element")}
    column["constraints"] = _generate_constraints(found, spec_version) | _own_keys(previous, "constraints")
    if found.data_type == "ARRAY":
        column["array_element"] = _generate_element(found, spec_version) | _own_keys(previous, "array_element")
    return column


def _own_keys(previous: dict[str, Any] | None, part: str) -> dict[str, Any]:
    return {key: value for key, value in (previous or {}).get(part, {}).items() if key.startswith("x-")}


def _generate_constraints(found: CatalogColumn, spec_version: str) -> dict[str, Any]:
    constraints = {key: value for key in KEYS_OF_1_0 if (value := getattr(found, key)) is not None}
    if spec_version == SPEC_VERSIONS[0]:
        return constraints
    constraints |= _type_values(found.data_type, found, prefix="")
    constraints |= {key: getattr(found, key) for key in KEYS_OF_EVERY_TYPE}
    constraints["references"] = found.references[0] if found.references else None
    return constraints | ({"enum": found.enum} if found.enum is not None else {})


def _generate_element(found: CatalogColumn, spec_version: str) -> dict[str, Any]:
    element = {"data_type": found.array_element_data_type}
    values = _type_values(str(found.array_element_data_type), found, ELEMENT_PREFIX)
    if spec_version == SPEC_VERSIONS[0]:
        return element | {key: value for key, value in values.items() if key in KEYS_OF_1_0 and value is not None}
    element |= values | {"udt_name": found.array_element_udt_name}
    return element | ({"dimensions": found.array_element_dimensions} if found.array_element_dimensions else {})


def _type_values(data_type: str, found: CatalogColumn, prefix: str) -> dict[str, Any]:
    """The values of those keys that apply to this type, null included."""
    kind = data_type.removesuffix(" with time zone").removesuffix(" without time zone")
    keys = (key for key, types in TYPE_KEYS.items() if kind in types)
    return {key: getattr(found, prefix + key) for key in keys if hasattr(found, prefix + key)}


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
    """0: the contract is written, or was correct; 2: it could not be written."""
    parser = argparse.ArgumentParser(
        description="Write the contract that describes a table as it is now.",
        epilog="An existing contract keeps its texts; one of another table or owner is not overwritten.",
    )
    parser.add_argument("table")
    parser.add_argument("--schema", default="public")
    parser.add_argument("--spec-version", choices=SPEC_VERSIONS, help="default: the file's own, or the newest")
    parser.add_argument("--owner-name", help="needed for a new contract, as is --owner-email")
    parser.add_argument("--owner-email")
    parser.add_argument("--output", type=Path, help=f"default: [SCHEMA.]TABLE{NAME_ENDING} beside the other contracts")
    options = parser.parse_args(arguments)
    name = options.table if options.schema == "public" else f"{options.schema}.{options.table}"
    output = options.output or get_settings().contracts / f"{name.replace('/', '_')}{NAME_ENDING}"
    try:
        previous, spec = _generate(options, name, output)
        changes = find_changes(previous, spec) if previous else [f"new: {len(spec['schema']['properties'])} columns"]
        if changes:
            output.write_text(_render(spec), encoding="utf-8")
    except (DataContractError, OSError, ValueError) as error:
        print(f"no contract written: {error}", file=sys.stderr)
        return 2
    print("\n".join([str(output), *(f"  {change}" for change in changes or ["nothing changed"])]))
    return 0


def _generate(options: argparse.Namespace, name: str, output: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The contract in the file `output` ({} where there is none), and the one to write."""
    contracts = get_data_contract_specs(may_be_none=True)
    contract_directory = get_settings().contracts
    directory = contract_directory if output.resolve().is_relative_to(contract_directory) else output.resolve().parent
    path = output.resolve().relative_to(directory)
    previous: dict[str, Any] = {}
    if output.exists():
        contract, problems = read_contract(directory, path)
        if contract is None:
            raise InvalidContractSpecError(problems)
        previous = dict(contract.spec)
    columns, descriptions = _read_table(options.schema, options.table)
    _ensure_same(output, previous, columns[0], options)
    owner = previous.get("owner") or {"name": options.owner_name, "email": options.owner_email}
    if None in owner.values():
        raise NoContractError("a contract has an owner: give --owner-name and --owner-email")
    namespaces = {contract.spec["namespace"] for contract in contracts.values()}
    catalog, url = columns[0].table_catalog, urlsplit(database_url())
    defaults = {
        "spec-version": "",
        "name": f"{name.replace('_', '-')}-contract-spec",
        "namespace": namespaces.pop() if len(namespaces) == 1 else catalog,
        "dataAssetResourceName": f"postgresql://{url.hostname or 'localhost'}:{url.port or 5432}/"
        + quote(f"{catalog}.{name}"),
        "doc": f"Data contract for the {name} table.",
    }
    version = options.spec_version or previous.get("spec-version", SPEC_VERSIONS[-1])
    spec = generate_contract_spec(columns, descriptions, version, defaults | previous | {"owner": owner})
    beside = list(contracts.values()) if directory == contract_directory else None
    if mistakes := _find_mistakes(spec, path, beside):
        raise NoContractError("\n".join([f"{output} would be invalid:", *mistakes]))
    return previous, spec


def _read_table(table_schema: str, table_name: str) -> tuple[list[CatalogColumn], dict[str, str]]:
    """The columns of the table, and their comments."""
    database = PostgresDB()
    columns = CatalogColumn.from_df(get_data_catalog(database, tables={(table_schema, table_name)}))
    if not columns:
        schemas = {name: schema for schema, name in get_table_names(database)}
        nearest = get_close_matches(table_name, schemas, n=1)
        raise NoContractError(
            f'the database has no table "{table_name}" in schema "{table_schema}"'
            + (f'; did you mean "{nearest[0]}" in schema "{schemas[nearest[0]]}" (--schema)?' if nearest else "")
        )
    comments_df = database.query(COLUMN_COMMENTS_SQL, [table_schema, table_name]).dropna()
    return columns, dict(comments_df.itertuples(index=False, name=None))


def _ensure_same(output: Path, previous: dict[str, Any], found: CatalogColumn, options: argparse.Namespace) -> None:
    """Raises: NoContractError where `previous` is the contract of another table or owner."""
    if not previous:
        return
    before = ".".join(previous["schema"][key] for key in TABLE_KEY)
    after = ".".join(getattr(found, key) for key in TABLE_KEY)
    if before != after:
        raise NoContractError(
            f"{output} describes the table {before}, not {after}: write to another file with --output, "
            "or change the names in it by hand if the table was renamed"
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
    contract = Contract(cast(ContractSpec, spec), path, _render(spec))
    others = [contract for contract in contracts if contract.path != path]
    clashes = [str(problem) for problem in find_problems_between(get_settings().contracts, [*others, contract])]
    return [*clashes, "Name the file that is there with --output, or change that file first."] if clashes else []


def _render(spec: dict[str, Any]) -> str:
    return json.dumps(spec, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.exit(main())
