"""What a contract spec is, and what is wrong with one."""

import datetime
import functools
import json
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

import jsonschema_rs

SCHEMA_DIRECTORY = Path(__file__).parent / "schema"
SPEC_VERSIONS = ("1.0.0", "1.1.0")

JsonPath = tuple[str | int, ...]
# In front of the keys of an array's elements, where they stand beside those of the column.
ELEMENT_PREFIX = "array_element_"
# What stands for a column's name where the whole table is meant.
WHOLE_TABLE = "(table)"
TABLE_KEYS = ("table_catalog", "table_schema", "table_name", "table_type", "additionalColumns")
Effect = Literal["binding", "reported", "unchecked"]


class Owner(TypedDict):
    name: str
    email: str
    channel: NotRequired[str]


class Consumer(TypedDict):
    name: str
    email: NotRequired[str]
    channel: NotRequired[str]
    role: Literal["reader", "writer"]
    reason: str
    columns: NotRequired[list[str]]


class Column(TypedDict):
    description: NotRequired[str]
    constraints: dict[str, Any]
    array_element: NotRequired[dict[str, Any]]


class TableSchema(TypedDict):
    table_catalog: str
    table_schema: str
    table_name: str
    table_type: NotRequired[str]
    additionalColumns: NotRequired[bool]
    properties: dict[str, Column]


# The functional form, because of the key that is no Python name.
ContractSpec = TypedDict(
    "ContractSpec",
    {
        "spec-version": str,
        "name": str,
        "namespace": str,
        "dataAssetResourceName": str,
        "doc": str,
        "owner": Owner,
        "consumers": NotRequired[list[Consumer]],
        "status": NotRequired[Literal["draft", "active", "deprecated", "retired"]],
        "sunset": NotRequired[str],
        "replacedBy": NotRequired[str],
        "schema": TableSchema,
    },
)


def get_effect(spec: ContractSpec, today: datetime.date) -> Effect:
    """Whether a violation of the contract fails the check, is only reported, or is not looked for."""
    match spec.get("status", "active"):
        case "retired":
            return "unchecked"
        case "draft":
            return "reported"
        case "deprecated" if today > datetime.date.fromisoformat(spec["sunset"]):
            return "reported"
    return "binding"


@dataclass(frozen=True)
class Clause:
    """What a contract says of one of its columns, or of the WHOLE_TABLE."""

    column_name: str
    key: str
    expected: Any
    json_path: JsonPath


def find_clauses(spec: ContractSpec) -> list[Clause]:
    """All that a contract says of the database, in its order; a column's first clause is its `column_name`."""
    schema = spec["schema"]
    clauses = [Clause(WHOLE_TABLE, key, value, ("schema", key)) for key, value in schema.items() if key in TABLE_KEYS]
    for name, column in schema["properties"].items():
        place = ("schema", "properties", name)
        clauses.append(Clause(name, "column_name", name, place))
        parts = {"constraints": column["constraints"], "array_element": column.get("array_element", {})}
        for part, constraints in parts.items():
            prefix = ELEMENT_PREFIX if part == "array_element" else ""
            for key, value in constraints.items():
                if not key.startswith("x-"):
                    clauses.append(Clause(name, prefix + key, value, (*place, part, key)))
    return clauses


@dataclass(frozen=True)
class SpecProblem:
    """One thing that is wrong with one contract file."""

    path: Path
    line: int
    json_path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.json_path}: {self.message}"


def find_spec_problems(spec: object) -> list[tuple[JsonPath, str]]:
    """Where `spec`, the content of a contract file, breaks the schema of its spec-version, and how."""
    version = spec.get("spec-version") if isinstance(spec, dict) else SPEC_VERSIONS[0]
    if version not in SPEC_VERSIONS:
        known = " or ".join(f'"{known}"' for known in SPEC_VERSIONS)
        found = "it is missing" if version is None else f"found {json.dumps(version)}"
        return [(("spec-version",), f"expected {known}; {found}")]
    schema, validator = _load_schema(version)
    problems: list[tuple[JsonPath, str]] = []
    for error in validator.iter_errors(spec):
        if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.AdditionalProperties):
            for key in error.kind.unexpected:
                problems.append(((*error.instance_path, key), _render_unknown_key(key, schema, error, version)))
        else:
            problems.append((tuple(error.instance_path), error.message))
    return problems


@functools.cache
def _load_schema(version: str) -> tuple[dict[str, Any], jsonschema_rs.Validator]:
    schema = json.loads((SCHEMA_DIRECTORY / f"contract_spec_{version}.schema.json").read_text(encoding="utf-8"))
    return schema, jsonschema_rs.validator_for(schema, validate_formats=True)


def _render_unknown_key(key: str, schema: dict[str, Any], error: jsonschema_rs.ValidationError, version: str) -> str:
    if version != SPEC_VERSIONS[-1] and key in _known_keys(_load_schema(SPEC_VERSIONS[-1])[0], error):
        return f'"{key}" is a key of spec-version {SPEC_VERSIONS[-1]}'
    known_keys = _known_keys(schema, error)
    nearest = get_close_matches(key, known_keys, n=1)
    if nearest:
        return f'unknown key "{key}"; did you mean "{nearest[0]}"?'
    return f'unknown key "{key}"; known are {", ".join(known_keys)}, and any that begins with x-'


def _known_keys(schema: dict[str, Any], error: jsonschema_rs.ValidationError) -> list[str]:
    """The keys of the part of `schema` that the error speaks of."""
    part: Any = schema
    for step in error.schema_path[:-1]:
        part = part[step]
    return list(part["properties"])
