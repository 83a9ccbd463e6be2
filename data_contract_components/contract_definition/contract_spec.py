"""What a contract spec is, and what is wrong with one."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import jsonschema_rs

SCHEMA_DIRECTORY = Path(__file__).parent / "schema"


class Owner(TypedDict):
    name: str
    email: str


class Column(TypedDict):
    description: NotRequired[str]
    constraints: dict[str, Any]
    array_element: NotRequired[dict[str, Any]]


class TableSchema(TypedDict):
    table_catalog: str
    table_schema: str
    table_name: str
    properties: dict[str, Column]


# The functional form, because of the keys that are no Python names.
ContractSpec = TypedDict(
    "ContractSpec",
    {
        "spec-version": str,
        "name": str,
        "namespace": str,
        "dataAssetResourceName": str,
        "doc": str,
        "owner": Owner,
        "schema": TableSchema,
    },
)


@dataclass(frozen=True)
class SpecProblem:
    """One thing that is wrong with one contract file."""

    path: Path
    json_path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.json_path}: {self.message}"


def find_spec_problems(path: Path, spec: object) -> list[SpecProblem]:
    """Where `spec`, the content of `path`, breaks the contract spec schema; in the document's order."""
    schema = json.loads((SCHEMA_DIRECTORY / "contract_spec_1.0.0.schema.json").read_text(encoding="utf-8"))
    return [
        SpecProblem(path, _json_path(error.instance_path), error.message)
        for error in jsonschema_rs.validator_for(schema).iter_errors(spec)
    ]


def _json_path(keys: list[str | int]) -> str:
    return "$" + "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys)
