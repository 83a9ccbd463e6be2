"""Writes the contract that describes a table as it stands: python -m …generate_contract_spec TABLE [--schema S]."""

import argparse
import json
import sys
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from data_contract_components.command import command
from data_contract_components.contract_definition.contract_spec import SPEC_VERSIONS, find_spec_problems
from data_contract_components.data_assets._query_postgres_helper import PostgresDB, database_url
from data_contract_components.detection._get_data_catalog import get_data_catalog, to_rows
from data_contract_components.detection._get_data_contract_specs import CONTRACT_DIRECTORY, NAME_ENDING
from data_contract_components.errors import DataContractError

COMMENTS_SQL = """
select attname::text as column_name, pg_catalog.col_description(attrelid, attnum) as description
from pg_catalog.pg_attribute
join pg_catalog.pg_class on pg_class.oid = attrelid
join pg_catalog.pg_namespace on pg_namespace.oid = relnamespace
where nspname = %s and relname = %s and attnum > 0 and not attisdropped
order by attnum
"""
# Keys that say something of columns of some types only, in both versions, and the types; null is said from 1.1.0 on.
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
    catalog_rows: list[dict[Any, Any]], descriptions: dict[str, str], spec_version: str, previous: dict[str, Any]
) -> dict[str, Any]:
    """The contract of the table that `catalog_rows` describe; every word of `previous` that is not the database's.

    Without `previous`, the keys that only a person can say (`owner`, `doc` and the like) are missing.
    """
    previous_schema = previous.get("schema", {})
    previous_columns = previous_schema.get("properties", {})
    first_row = catalog_rows[0]
    schema = {key: previous_schema[key] for key in ("$schema", "title") if key in previous_schema}
    schema |= {key: first_row[key] for key in ("table_catalog", "table_schema", "table_name")}
    if spec_version != SPEC_VERSIONS[0]:
        schema["table_type"] = first_row["table_type"]
    schema |= {key: value for key, value in previous_schema.items() if key not in schema and key != "properties"}
    schema["properties"] = {
        row["column_name"]: _generate_column(row, descriptions, spec_version, previous_columns.get(row["column_name"]))
        for row in catalog_rows
    }
    return previous | {"spec-version": spec_version, "schema": schema}


def _generate_column(
    row: dict[Any, Any], descriptions: dict[str, str], spec_version: str, previous: dict[str, Any] | None
) -> dict[str, Any]:
    column: dict[str, Any] = {}
    if previous is None and row["column_name"] in descriptions:
        column["description"] = descriptions[row["column_name"]]
    column |= {key: value for key, value in (previous or {}).items() if key not in ("constraints", "array_element")}
    column["constraints"] = _generate_constraints(row, spec_version) | _own_keys(previous, "constraints")
    if row["data_type"] == "ARRAY":
        column["array_element"] = _generate_element(row, spec_version) | _own_keys(previous, "array_element")
    return column


def _own_keys(previous: dict[str, Any] | None, part: str) -> dict[str, Any]:
    return {key: value for key, value in (previous or {}).get(part, {}).items() if key.startswith("x-")}


def _generate_constraints(row: dict[Any, Any], spec_version: str) -> dict[str, Any]:
    found = row | {"primaryKey": row["constraint_type"] == "PRIMARY KEY"}
    constraints = {key: found[key] for key in KEYS_OF_1_0 if found[key] is not None}
    if spec_version == SPEC_VERSIONS[0]:
        return constraints
    constraints |= _type_values(row["data_type"], row, prefix="")
    constraints |= {key: found[key] for key in KEYS_OF_EVERY_TYPE}
    constraints["references"] = found["references"][0] if found["references"] else None
    return constraints | ({"enum": found["enum"]} if found["enum"] else {})


def _generate_element(row: dict[Any, Any], spec_version: str) -> dict[str, Any]:
    prefix = "array_element_"
    element = {"data_type": row[f"{prefix}data_type"]}
    values = _type_values(element["data_type"], row, prefix)
    if spec_version == SPEC_VERSIONS[0]:
        return element | {key: value for key, value in values.items() if key in KEYS_OF_1_0 and value is not None}
    udt_name, dimensions = row[f"{prefix}udt_name"], row[f"{prefix}dimensions"]
    return element | values | {"udt_name": udt_name} | ({"dimensions": dimensions} if dimensions else {})


def _type_values(data_type: str, row: dict[Any, Any], prefix: str) -> dict[str, Any]:
    """The values of those keys that speak of this type, null included."""
    kind = data_type.removesuffix(" with time zone").removesuffix(" without time zone")
    return {key: row[prefix + key] for key, types in TYPE_KEYS.items() if kind in types and prefix + key in row}


def find_changes(before: Any, after: Any, path: str = "") -> list[str]:
    """What differs between two contracts, a line each, in the order of the first and then the second."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return [] if before == after else [f"{path}: {_dumps(before)} -> {_dumps(after)}"]
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


def _dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


@command("no contract written")
def main(arguments: list[str] | None = None) -> int:
    """0: the contract is written, or was right already; 2: it could not be."""
    parser = argparse.ArgumentParser(description="Write the contract that describes a table as it stands.")
    parser.add_argument("table")
    parser.add_argument("--schema", default="public")
    parser.add_argument("--spec-version", choices=SPEC_VERSIONS, help="default: the file's own, or the newest")
    parser.add_argument("--owner-name", help="needed for a new contract, as is --owner-email")
    parser.add_argument("--owner-email")
    parser.add_argument("--output", type=Path, help=f"default: TABLE{NAME_ENDING}.json beside the other contracts")
    options = parser.parse_args(arguments)
    output = options.output or CONTRACT_DIRECTORY / f"{options.table}{NAME_ENDING}.json"
    try:
        previous = json.loads(output.read_text(encoding="utf-8-sig")) if output.exists() else {}
        if output.exists() and find_spec_problems(previous):
            raise NoContractError(
                f"{output} is no right contract; mend it first, the contract tests tell what is wrong"
            )
        spec = _generate(options, output, previous)
        changes = find_changes(previous, spec) if previous else [f"new: {len(spec['schema']['properties'])} columns"]
        if changes:
            output.write_text(json.dumps(spec, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except (DataContractError, OSError, ValueError) as error:
        print(f"no contract written: {error}", file=sys.stderr)
        return 2
    print("\n".join([str(output), *(f"  {change}" for change in changes or ["nothing changed"])]))
    return 0


def _generate(options: argparse.Namespace, output: Path, previous: dict[str, Any]) -> dict[str, Any]:
    database = PostgresDB()
    rows = to_rows(get_data_catalog(database, tables={(options.schema, options.table)}))
    if not rows:
        names = sorted(set(get_data_catalog(database)["table_name"]))
        nearest = get_close_matches(options.table, names, n=1)
        raise NoContractError(
            f'the database has no table "{options.table}" in schema "{options.schema}"'
            + (f'; did you mean "{nearest[0]}"?' if nearest else "")
        )
    comments_df = database.query(COMMENTS_SQL, [options.schema, options.table]).dropna()
    descriptions = dict(comments_df.itertuples(index=False, name=None))
    owner = previous.get("owner", {}).copy()
    owner |= {key: value for key in ("name", "email") if (value := getattr(options, f"owner_{key}")) is not None}
    if not {"name", "email"} <= owner.keys():
        raise NoContractError("a contract has an owner: give --owner-name and --owner-email")
    url = urlsplit(database_url())
    first_words = {
        "spec-version": "",
        "name": f"{options.table.replace('_', '-')}-contract-spec",
        "namespace": _find_namespace(output, rows[0]["table_catalog"]),
        "dataAssetResourceName": f"postgresql://{url.hostname or 'localhost'}:{url.port or 5432}/"
        + quote(f"{rows[0]['table_catalog']}.{options.table}"),
        "doc": f"Data contract for the {options.table} table.",
    }
    version = options.spec_version or previous.get("spec-version", SPEC_VERSIONS[-1])
    return generate_contract_spec(rows, descriptions, version, first_words | previous | {"owner": owner})


def _find_namespace(output: Path, default: str) -> str:
    """The namespace of the contracts beside the new one, where they share one."""
    namespaces = {
        json.loads(path.read_text(encoding="utf-8-sig"))["namespace"]
        for path in output.parent.glob(f"*{NAME_ENDING}.json")
        if path != output
    }
    return str(namespaces.pop()) if len(namespaces) == 1 else default


if __name__ == "__main__":
    sys.exit(main())
