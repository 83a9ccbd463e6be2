"""What is wrong with a contract file, and where."""

import functools
import json
from collections.abc import Collection
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import jsonschema_rs

from data_contract_components.contract_definition._column_types import explain_type_name
from data_contract_components.contract_definition._contradictions import find_contradictions
from data_contract_components.contract_definition._json_text import render_json, render_json_path
from data_contract_components.contract_definition.contract_spec import Contract, JsonPath
from data_contract_components.errors import DataContractError

SCHEMA_DIRECTORY = Path(__file__).parent / "schema"
SPEC_VERSIONS = ("1.0.0", "1.1.0", "1.2.0")
# How a contract is moved up: each version has every key of those before it.
NEWEST_VERSION = f'"spec-version": "{SPEC_VERSIONS[-1]}"'
# The way out where a contract names another database than the checked one.
ANY_DATABASE = f'if any database will do, leave "table_catalog" out, with {NEWEST_VERSION}'


@dataclass(frozen=True)
class SpecProblem:
    """One thing that is wrong with one contract file; line and JSON path are None where it is the whole file."""

    path: Path
    line: int | None
    json_path: str | None
    message: str

    @property
    def text(self) -> str:
        """The message, and the JSON path before it where there is one."""
        return f"{self.json_path}: {self.message}" if self.json_path else self.message

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}" if self.line else f"{self.path}: {self.text}"


class InvalidContractSpecError(DataContractError):
    """Contract files cannot be read as contracts, so nothing was compared with the catalog."""

    def __init__(self, problems: list[SpecProblem]) -> None:
        super().__init__("invalid contract files, nothing was checked:\n" + "\n".join(map(str, problems)))
        self.problems = problems


def locate_problem(directory: Path, contract: Contract, json_path: JsonPath, message: str) -> SpecProblem:
    """What is wrong at `json_path` of a contract, whose path is relative to `directory`."""
    line = contract.find_line(json_path)
    return SpecProblem(directory / contract.path, line, render_json_path(json_path), message)


def find_spec_problems(spec: object) -> list[tuple[JsonPath, str]]:
    """Where `spec`, the content of a contract file, breaks the schema of its spec-version, and how."""
    version = spec.get("spec-version") if isinstance(spec, dict) else SPEC_VERSIONS[0]
    if version not in SPEC_VERSIONS:
        *others, newest = (f'"{known}"' for known in SPEC_VERSIONS)
        found = "it is missing" if version is None else f"found {render_json(version)}"
        return [(("spec-version",), f"expected {', '.join(others)} or {newest}; {found}")]
    problems: list[tuple[JsonPath, str]] = []
    rules: list[tuple[JsonPath, str]] = []
    for error in _load_validator(version).iter_errors(spec):
        path = tuple(error.instance_path)
        if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.FalseSchema):
            problems.append((path, _render_later_key(str(path[-1]))))
            continue
        part = _find_part(error)
        rule = part.get("errorMessage")
        if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.AdditionalProperties):
            for key in error.kind.unexpected:
                problems.append(((*path, key), _render_unknown_key(key, error, _find_later_keys(version, path))))
        elif isinstance(error.kind, jsonschema_rs.ValidationErrorKind.Required):
            problems.append((path, _render_missing_key(error.kind.property, error)))
        elif isinstance(error.kind, jsonschema_rs.ValidationErrorKind.AnyOf) and path[-1] == "data_type":
            known_names = part["anyOf"][0]["enum"]
            is_element = path[-2] == "array_element"
            problems.append((path, explain_type_name(str(error.instance), known_names, is_element=is_element)))
        elif rule and not isinstance(error.kind, jsonschema_rs.ValidationErrorKind.Type):
            rules.append((path, f"{rule}; found {render_json(error.instance)}"))
        else:
            problems.append((path, error.message))
    # Whether a value suits its type is checked only where both are right by themselves.
    wrong_paths = {path for path, _ in problems}
    problems += [
        (path, rule) for path, rule in rules if wrong_paths.isdisjoint((path, path[:-1], (*path[:-1], "data_type")))
    ]
    # Whether clauses contradict each other, only where each is right by itself.
    if isinstance(spec, dict) and not any(path == () or path[0] == "schema" for path, _ in problems):
        problems += find_contradictions(spec["schema"], get_type_names())
    return problems


def get_type_names() -> list[str]:
    """The names of PostgreSQL's own types, as a contract has them."""
    names: list[str] = _load_schema(SPEC_VERSIONS[-1])["$defs"]["data_type"]["anyOf"][0]["enum"]
    return names


@functools.cache
def _load_validator(version: str) -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(
        _load_schema(version),
        validate_formats=True,
        base_uri=_get_path(version).as_uri(),
        retriever=lambda uri: _load_schema(_get_version(uri)),
    )


@functools.cache
def _load_schema(version: str) -> Any:
    return json.loads(_get_path(version).read_text(encoding="utf-8"))


def _get_path(version: str) -> Path:
    return SCHEMA_DIRECTORY / f"contract_spec_{version}.schema.json"


def _get_version(uri: str | None) -> str:
    """The version in the name of the schema's file."""
    return (uri or "").rpartition("/contract_spec_")[2].partition(".schema.json")[0]


def _find_part(error: jsonschema_rs.ValidationError, version: str | None = None) -> Any:
    """The part of a schema with the keyword that the error is about, or what `version` has in the same place."""
    schema = _load_schema(version or _get_version(error.absolute_keyword_location))
    return functools.reduce(lambda part, step: part[step], error.schema_path[:-1], schema)


def _find_later_keys(version: str, json_path: JsonPath) -> set[str]:
    """The keys at `json_path` that `version` refuses, though it takes over the schema that has them."""
    part = _load_schema(version)
    for step in json_path:
        part = part.get("properties", {}).get(step) or part.get("items") or part.get("additionalProperties") or {}
    return {key for key, rule in part.get("properties", {}).items() if rule is False}


def _render_later_key(key: str) -> str:
    return f'"{key}" is a key of a later spec-version: write {NEWEST_VERSION}'


def _render_unknown_key(key: str, error: jsonschema_rs.ValidationError, later_keys: Collection[str]) -> str:
    if key in _find_part(error, SPEC_VERSIONS[-1])["properties"]:
        return _render_later_key(key)
    known_keys = [known for known in _find_part(error)["properties"] if known not in later_keys]
    if nearest := get_close_matches(key, known_keys, n=1):
        return f'unknown key "{key}"; did you mean "{nearest[0]}"?'
    return f'unknown key "{key}"; known are {", ".join(known_keys)}, and any that begins with x-'


def _render_missing_key(key: str, error: jsonschema_rs.ValidationError) -> str:
    if key in _find_part(error, SPEC_VERSIONS[-1])["required"]:
        return error.message
    return f"{error.message}: write it, or {NEWEST_VERSION}, where it may be left out"
