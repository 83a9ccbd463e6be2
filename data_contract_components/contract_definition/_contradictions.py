"""Clauses of a contract that no table can keep together, though each may be kept alone."""

import re
from collections.abc import Collection, Iterator
from difflib import get_close_matches
from typing import Any

from data_contract_components.contract_definition._column_types import parse_built_in_type
from data_contract_components.contract_definition._json_text import render_json
from data_contract_components.contract_definition.table_lists import get_entries, identify_entry

JsonPath = tuple[str | int, ...]
Problem = tuple[JsonPath, str]
# A quoted name, and what an extension prints in parentheses: geometry(Point,4326).
_ANY_CASE = re.compile(r'"(?:[^"]|"")*"|\([^()]*\)')


def find_contradictions(schema: dict[str, Any], type_names: Collection[str]) -> list[Problem]:
    """Where and why, in a `schema` that its JSON Schema allows; `type_names` are those of PostgreSQL's own types."""
    constraints = {name: column["constraints"] for name, column in schema["properties"].items()}
    problems = [*_find_in_names(schema), *_find_in_lists(schema)]
    problems += [*_find_in_primary_key(schema, constraints), *_find_in_unique(schema, constraints)]
    problems += _find_in_foreign_keys(schema, constraints)
    for name, values in constraints.items():
        place = ("properties", name, "constraints")
        problems += [((*place, *path), message) for path, message in _find_in_column(values, type_names)]
    return [(("schema", *path), message) for path, message in problems]


def _find_in_names(schema: dict[str, Any]) -> Iterator[Problem]:
    """Columns that the contract's own list does not have, where no other column may be there."""
    if schema.get("additionalColumns", True):
        return
    lists: dict[JsonPath, list[str]] = {("primaryKey",): schema.get("primaryKey") or []}
    lists |= {("unique", index): names for index, names in enumerate(get_entries(schema, "unique"))}
    foreign_keys = enumerate(get_entries(schema, "foreignKeys"))
    lists |= {("foreignKeys", index, "columns"): key["columns"] for index, key in foreign_keys}
    for path, names in lists.items():
        for index, name in enumerate(names):
            if name not in schema["properties"]:
                nearest = get_close_matches(name, schema["properties"], n=1)
                question = f'; did you mean "{nearest[0]}"?' if nearest else ""
                message = f'{render_json(name)} is not in "properties", and "additionalColumns" is false{question}'
                yield (*path, index), message


def _find_in_lists(schema: dict[str, Any]) -> Iterator[Problem]:
    for key in ("unique", "foreignKeys"):
        seen: dict[Any, int] = {}
        for index, entry in enumerate(get_entries(schema, key)):
            if key == "foreignKeys" and len(entry["columns"]) != len(entry["references"]["columns"]):
                yield (key, index), "a foreign key has as many columns as those that it references"
            elif (first := seen.setdefault(identify_entry(key, entry), index)) != index:
                yield (key, index), f"promises the same as {key}[{first}]"


def _find_in_primary_key(schema: dict[str, Any], constraints: dict[str, Any]) -> Iterator[Problem]:
    if "primaryKey" not in schema:
        return
    names = schema["primaryKey"] or []
    for name, values in constraints.items():
        if "primaryKey" in values and values["primaryKey"] != (name in names):
            yield ("primaryKey",), _contradict(name, "primaryKey", values["primaryKey"])


def _find_in_unique(schema: dict[str, Any], constraints: dict[str, Any]) -> Iterator[Problem]:
    for index, names in enumerate(get_entries(schema, "unique")):
        if len(names) == 1 and constraints.get(names[0], {}).get("unique") is False:
            yield ("unique", index), _contradict(names[0], "unique", False)


def _find_in_foreign_keys(schema: dict[str, Any], constraints: dict[str, Any]) -> Iterator[Problem]:
    for index, key in enumerate(get_entries(schema, "foreignKeys")):
        for name in key["columns"]:
            if constraints.get(name, {}).get("references", ...) is None:
                yield ("foreignKeys", index), _contradict(name, "references", None)


def _contradict(column_name: str, key: str, value: Any) -> str:
    return f'contradicts "{key}": {render_json(value)} of the column "{column_name}"'


def _find_in_column(values: dict[str, Any], type_names: Collection[str]) -> Iterator[Problem]:
    if "generation_expression" in values:
        is_generated = values["generation_expression"] is not None
        others: dict[str, Any] = {"is_generated": is_generated}
        others |= {"is_identity": False, "column_default": None} if is_generated else {}
        for key, value in others.items():
            if values.get(key, value) != value:
                yield ("generation_expression",), f'contradicts "{key}": {render_json(values[key])}'
    if "fields" in values:
        if values["data_type"] not in ("USER-DEFINED", "ARRAY"):
            rule = '"fields" are those of a composite type, whose "data_type" is "USER-DEFINED"'
            yield ("fields",), f"{rule}; found {render_json(values['data_type'])}"
        elif "enum" in values:
            yield ("fields",), 'contradicts "enum": no type has both labels and fields'
        for name, field_type in values["fields"].items():
            if message := _explain_physical_type(field_type, type_names):
                yield ("fields", name), message
    if "physicalType" in values:
        name = values["physicalType"]
        if message := _explain_physical_type(name, type_names):
            yield ("physicalType",), message
        elif built_in := parse_built_in_type(name, type_names):
            for key, value in (built_in.constraints | {"domain_name": None}).items():
                if values.get(key, value) != value:
                    yield ("physicalType",), f'contradicts "{key}": {render_json(values[key])}'


def _explain_physical_type(name: str, type_names: Collection[str]) -> str | None:
    """Why PostgreSQL never prints `name` for a type, with what it prints; None where it may."""
    built_in = parse_built_in_type(name, type_names)
    if built_in and built_in.text != name:
        return f"PostgreSQL never prints {render_json(name)} here: write {render_json(built_in.text)}"
    outside = _ANY_CASE.sub("", name)
    if outside != outside.lower():
        return f"PostgreSQL prints {render_json(name)} in lower case, or the name in double quotes"
    return None
