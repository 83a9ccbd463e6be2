"""What a contract spec is, and what is wrong with one."""

import datetime
import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

import jsonschema_rs

from data_contract_components.contract_definition._column_types import explain_type_name
from data_contract_components.contract_definition._json_text import find_json_lines
from data_contract_components.errors import NoBindingContractError

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
class Contract:
    """A contract as its file, `path` below the contract directory, was when it was read."""

    spec: ContractSpec
    path: Path
    text: str

    @functools.cached_property
    def lines(self) -> dict[JsonPath, int]:
        """The line of each value, by its JSON path."""
        return dict(find_json_lines(self.text))

    def find_line(self, json_path: JsonPath) -> int:
        """The line of what is at `json_path`, or of what lacks it: a key that is missing has no line."""
        places = (json_path[:end] for end in range(len(json_path), -1, -1))
        return next(self.lines[place] for place in places if place in self.lines)


@dataclass(frozen=True)
class Clause:
    """What a contract says of one of its columns, or of the WHOLE_TABLE."""

    column_name: str
    key: str
    expected: Any
    json_path: JsonPath


def ensure_a_contract_binds(specs: Mapping[str, ContractSpec], today: datetime.date | None = None) -> None:
    """Raises NoBindingContractError where no contract can fail the check; None is the day in UTC."""
    today = today or datetime.datetime.now(datetime.UTC).date()
    if all(get_effect(spec, today) != "binding" for spec in specs.values()):
        reasons = {
            name: "past its sunset, " + spec["sunset"] if spec["status"] == "deprecated" else spec["status"]
            for name, spec in specs.items()
        }
        raise NoBindingContractError(reasons)


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
    rules: list[tuple[JsonPath, str]] = []
    for error in validator.iter_errors(spec):
        path = tuple(error.instance_path)
        rule = _find_part(schema, error).get("errorMessage")
        if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.AdditionalProperties):
            for key in error.kind.unexpected:
                problems.append(((*path, key), _render_unknown_key(key, schema, error, version)))
        elif isinstance(error.kind, jsonschema_rs.ValidationErrorKind.AnyOf) and path[-1] == "data_type":
            known_names = schema["$defs"]["data_type"]["anyOf"][0]["enum"]
            is_element = path[-2] == "array_element"
            problems.append((path, explain_type_name(str(error.instance), known_names, is_element=is_element)))
        elif rule and not isinstance(error.kind, jsonschema_rs.ValidationErrorKind.Type):
            rules.append((path, f"{rule}; found {json.dumps(error.instance, ensure_ascii=False)}"))
        else:
            problems.append((path, error.message))
    # What a type's values can be is said where the type and the value are right by themselves.
    wrong_paths = {path for path, _ in problems}
    return problems + [
        (path, rule) for path, rule in rules if wrong_paths.isdisjoint((path, path[:-1], (*path[:-1], "data_type")))
    ]


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
    return list(_find_part(schema, error)["properties"])


def _find_part(schema: Any, error: jsonschema_rs.ValidationError) -> Any:
    """The part of `schema` that holds the keyword which the error speaks of."""
    return functools.reduce(lambda part, step: part[step], error.schema_path[:-1], schema)
