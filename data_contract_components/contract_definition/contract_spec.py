"""What a contract is: its content, its file and its clauses."""

import datetime
import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

from data_contract_components.contract_definition._json_text import find_json_lines
from data_contract_components.contract_definition._sql_text import Statement
from data_contract_components.contract_definition.table_lists import TABLE_LISTS, get_entries, make_entry_key
from data_contract_components.errors import DataContractError

JsonPath = tuple[str | int, ...]
# Schema and name.
TableName = tuple[str, str]
# In front of the keys of an array's elements, where they stand beside the keys of the column.
ELEMENT_PREFIX = "array_element_"
# In place of a column's name where the whole table is meant.
WHOLE_TABLE = "(table)"
# The problem of a directory without contracts.
NO_CONTRACT = "holds no contract"
TABLE_CLAUSES = (
    *("table_catalog", "table_schema", "table_name", "table_type", "additionalColumns"),
    *("primaryKey", *TABLE_LISTS, "additionalConstraints"),
)
Enforcement = Literal["binding", "reported", "unchecked"]


class Owner(TypedDict):
    name: str
    email: str
    channel: NotRequired[str]
    github: NotRequired[str]


class WaiverSpec(TypedDict):
    clause: str
    reason: str
    agreedBy: str
    until: str


class Consumer(TypedDict):
    name: str
    email: NotRequired[str]
    channel: NotRequired[str]
    role: Literal["reader", "writer"]
    reason: str
    columns: NotRequired[list[str]]
    queries: NotRequired[list[str]]
    rows: NotRequired[str]


class Column(TypedDict):
    description: NotRequired[str]
    constraints: dict[str, Any]
    array_element: NotRequired[dict[str, Any]]


class TargetColumns(TypedDict):
    table_schema: str
    table_name: str
    columns: list[str]


class ForeignKey(TypedDict):
    columns: list[str]
    references: TargetColumns


class TableSchema(TypedDict):
    table_catalog: NotRequired[str]
    table_schema: str
    table_name: str
    table_type: NotRequired[str]
    additionalColumns: NotRequired[bool]
    primaryKey: NotRequired[list[str] | None]
    unique: NotRequired[list[list[str]]]
    foreignKeys: NotRequired[list[ForeignKey]]
    checks: NotRequired[list[str]]
    additionalConstraints: NotRequired[bool]
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
        "noticeDays": NotRequired[int],
        "replacedBy": NotRequired[str],
        "waivers": NotRequired[list[WaiverSpec]],
        "schema": TableSchema,
    },
)


def get_today() -> datetime.date:
    """The day in UTC."""
    return datetime.datetime.now(datetime.UTC).date()


def get_enforcement(spec: ContractSpec, today: datetime.date) -> Enforcement:
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
class ConsumerQuery:
    """A statement that a consumer runs: the one in the file at `path`, which is relative as its contract's is.

    `name` is the path in the contract. `rows` are what it needs in other tables, as SQL.
    """

    consumer: str
    role: Literal["reader", "writer"]
    json_path: JsonPath
    name: str
    path: Path
    text: str
    statement: Statement
    rows: str | None = None


@dataclass(frozen=True)
class Contract:
    """A contract and its file as it was read; `path` is relative, in the project's contracts as git names it."""

    spec: ContractSpec
    path: Path
    text: str
    queries: tuple[ConsumerQuery, ...] = ()

    @property
    def table(self) -> TableName:
        """Schema and name of the table under contract."""
        return self.spec["schema"]["table_schema"], self.spec["schema"]["table_name"]

    @functools.cached_property
    def lines(self) -> dict[JsonPath, int]:
        """The line of each value, by its JSON path."""
        return dict(find_json_lines(self.text))

    def find_line(self, json_path: JsonPath) -> int:
        """The line of the value at `json_path`; where there is none, the line of the innermost object that lacks it."""
        places = (json_path[:end] for end in range(len(json_path), -1, -1))
        return next(self.lines[place] for place in places if place in self.lines)


@dataclass(frozen=True)
class Clause:
    """One promise of a contract, about one of its columns or the WHOLE_TABLE.

    Of an entry of a list, the key has its index, as in "unique[0]".
    """

    column_name: str
    key: str
    expected: Any
    json_path: JsonPath


def find_replacement(contract: Contract, contracts: Iterable[Contract]) -> Contract | None:
    """The one of `contracts` that takes over from a deprecated contract."""
    spec = contract.spec
    name = (spec["namespace"], spec.get("replacedBy")) if spec.get("status") == "deprecated" else None
    return next((other for other in contracts if (other.spec["namespace"], other.spec["name"]) == name), None)


class NoBindingContractError(DataContractError):
    """No contract can fail the check, for `reasons` by contract, so that it would pass whatever the database is."""

    def __init__(self, reasons: dict[str, str]) -> None:
        lines = ["no contract is enforced, so nothing can fail the check:"]
        lines += [f"  {name}: {reason}" for name, reason in reasons.items()]
        lines += ['To check one, set its "status" to "active", or its "sunset" to a later day.']
        super().__init__("\n".join(lines))
        self.reasons = reasons


def ensure_a_contract_binds(contracts: Mapping[str, Contract], today: datetime.date) -> None:
    """Raises: NoBindingContractError where no contract can fail the check."""
    if all(get_enforcement(contract.spec, today) != "binding" for contract in contracts.values()):
        reasons = {
            name: "past its sunset, " + contract.spec["sunset"]
            if contract.spec["status"] == "deprecated"
            else contract.spec["status"]
            for name, contract in contracts.items()
        }
        raise NoBindingContractError(reasons)


def find_clauses(spec: ContractSpec) -> list[Clause]:
    """All clauses of a contract, in its order; a column's first clause is its `column_name`."""
    schema = spec["schema"]
    clauses: list[Clause] = []
    for key, value in schema.items():
        if key in TABLE_LISTS:
            clauses += [
                Clause(WHOLE_TABLE, make_entry_key(key, index), entry, ("schema", key, index))
                for index, entry in enumerate(get_entries(schema, key))
            ]
        elif key in TABLE_CLAUSES:
            clauses.append(Clause(WHOLE_TABLE, key, value, ("schema", key)))
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
