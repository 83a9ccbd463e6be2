"""What to write in place of a type's name that PostgreSQL accepts in a statement, but never prints in the catalog."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from data_contract_components.contract_definition._json_text import render_json

# PostgreSQL manual, "Data Types", and what other databases call them.
ALIASES = {
    **dict.fromkeys(("int", "int4", "serial", "serial4"), "integer"),
    **dict.fromkeys(("int2", "smallserial", "serial2", "tinyint"), "smallint"),
    **dict.fromkeys(("int8", "bigserial", "serial8", "int64", "long"), "bigint"),
    **dict.fromkeys(("decimal", "dec", "number"), "numeric"),
    **dict.fromkeys(("float", "float8", "double", "float64"), "double precision"),
    **dict.fromkeys(("char", "bpchar", "nchar", "national character"), "character"),
    **dict.fromkeys(("varchar", "char varying", "nvarchar", "varchar2"), "character varying"),
    **dict.fromkeys(("timestamp", "datetime", "datetime2", "timestamp_ntz"), "timestamp without time zone"),
    **dict.fromkeys(("user defined", "user_defined", "enum"), "USER-DEFINED"),
    **dict.fromkeys(("timestamptz", "timestamp_tz", "timestamp_ltz"), "timestamp with time zone"),
    "time": "time without time zone",
    "timetz": "time with time zone",
    "float4": "real",
    "bool": "boolean",
    "varbit": "bit varying",
    "string": "text",
    "blob": "bytea",
}
# What stands in parentheses behind a type's name.
BOUNDS = {
    **dict.fromkeys(("character", "character varying", "bit", "bit varying"), ("character_maximum_length",)),
    **dict.fromkeys(("time without time zone", "time with time zone", "interval"), ("datetime_precision",)),
    **dict.fromkeys(("timestamp without time zone", "timestamp with time zone"), ("datetime_precision",)),
    "numeric": ("numeric_precision", "numeric_scale"),
}
# Keywords and types of PostgreSQL, so that it prints no type of anybody else like this.
_OWN_ALIASES = {
    *("int", "int2", "int4", "int8", "decimal", "dec", "float", "float4", "float8", "bool", "varbit"),
    *("char", "nchar", "national character", "varchar", "char varying"),
    *("timestamp", "timestamptz", "time", "timetz"),
}
_WHOLE_TYPE = re.compile(r"([a-z][a-z0-9_ ]*?) ?(?:\(([-0-9, ]+)\))?( with(?:out)? time zone)?((?: ?\[\d*\])*)")


@dataclass(frozen=True)
class BuiltInType:
    """A whole type of PostgreSQL's own: as format_type() prints it, and the constraints that it has then."""

    text: str
    constraints: dict[str, Any]


def parse_built_in_type(name: str, known_names: Collection[str]) -> BuiltInType | None:
    """What PostgreSQL understands by `name`; None where that is none of its own types, or not known to be one."""
    match = _WHOLE_TYPE.fullmatch(" ".join(name.lower().split()))
    if match is None:
        return None
    text, bounds_text, zone, brackets = match.groups()
    bounds = [int(bound) for bound in re.findall(r"-?\d+", bounds_text or "")]
    text = "real" if text == "float" and bounds and bounds[0] <= 24 else text + (zone or "")
    text = ALIASES[text] if text in _OWN_ALIASES else text
    constraints: dict[str, Any] = {"data_type": "ARRAY" if text in ("int2vector", "oidvector") else text}
    printed = text
    if text.partition(" ")[0] == "interval":
        constraints["data_type"] = "interval"
        printed += f"({bounds[0]})" if bounds else ""
    elif text not in known_names:
        return None
    elif keys := BOUNDS.get(text):
        bounds = bounds or ([1] if text in ("character", "bit") else [])
        bounds = [*bounds, 0] if text == "numeric" and len(bounds) == 1 else bounds
        # A negative scale is reported as another number.
        constraints |= {key: bound for key, bound in zip(keys, bounds, strict=False) if bound >= 0}
        head, space, rest = text.partition(" ") if "time" in text else (text, "", "")
        printed = f"{head}({','.join(map(str, bounds))}){space}{rest}" if bounds else text
    return BuiltInType(f"{printed}[]", {"data_type": "ARRAY"}) if brackets else BuiltInType(printed, constraints)


def explain_type_name(name: str, known_names: Collection[str], *, is_element: bool) -> str:
    """The message that `name` is not one of `known_names`, with what to write instead."""
    text, dimensions = re.subn(r" ?\[\d*\]| array\b", "", " ".join(name.lower().split()).removeprefix("pg_catalog."))
    if text.startswith("_"):
        text, dimensions = text[1:], 1
    bounds = re.findall(r"-?\d+", "".join(re.findall(r"\(.*?\)", text)))
    text = " ".join(re.sub(r"\(.*?\)", " ", text).split())
    constraints: dict[str, Any] = {}
    if fields := re.fullmatch(r"interval (.+)", text):
        text, constraints["interval_type"] = "interval", fields[1].upper()
    names = ALIASES | {known.lower(): known for known in known_names}
    if text == "float" and bounds and int(bounds[0]) <= 24:
        text = "real"
    if text not in names:
        nearest = get_close_matches(text, names, n=1, cutoff=0.75)
        question = f'did you mean "{names[nearest[0]]}"? ' if nearest else ""
        return (
            f"{render_json(name)} is not the name of a built-in type: {question}a type of your own or of an extension "
            'is written "USER-DEFINED", a domain as its base type'
        )
    constraints |= dict(zip(BOUNDS.get(names[text], ()), map(int, bounds), strict=False))
    words = [render_json(names[text]), *(f'"{key}": {render_json(value)}' for key, value in constraints.items())]
    if dimensions and not is_element:
        element = render_json({"data_type": names[text]} | constraints)
        words = ['"ARRAY"', f'beside "constraints" an "array_element": {element}']
    return f"PostgreSQL never prints {render_json(name)} here: write {', '.join(words)}"
