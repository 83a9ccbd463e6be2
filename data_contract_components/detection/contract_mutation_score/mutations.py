"""For each key of a contract, the statements that break it; score.py runs the first that PostgreSQL accepts."""

import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from data_contract_components.contract_definition.contract_spec import ELEMENT_PREFIX
from data_contract_components.contract_definition.table_lists import TABLE_LISTS, identify_entry, strip_index
from data_contract_components.detection._get_data_catalog import CatalogColumn

# Of whatever a statement makes: a column, a type, a table that is referred to, the scratch database.
NEW_NAME = "contract_mutation"
_COPY_NAME = f"{NEW_NAME}_copy"
# Only a table can have these, so that they are broken by a table in a view's place.
_KEYS_OF_TABLES = (
    *("primaryKey", "is_nullable", "column_default", "is_identity", "is_generated", "generation_expression", "unique"),
    *("references", "foreignKeys", "checks", "additionalConstraints"),
)


@dataclass(frozen=True, slots=True)
class Target(CatalogColumn):
    """A column, or a table where `column_name` is "", with what targets.sql adds to the catalog.

    `primary_key_columns` are those of the table. `brackets` are those of the array whose element is meant.
    """

    type: str
    base_type: str
    array_element_base_type: str | None
    primary_keys: list[str]
    foreign_keys: list[str]
    unique_indexes: list[str]
    primary_key_columns: list[str]
    brackets: str

    @property
    def table(self) -> str:
        return f"{_quote(self.table_schema)}.{_quote(self.table_name)}"

    @property
    def new(self) -> str:
        return f"{_quote(self.table_schema)}.{NEW_NAME}"

    @property
    def column(self) -> str:
        return _quote(self.column_name)


def get_mutations(target: Target, key: str, expected: Any) -> list[str]:
    """Statements that break `key: expected`, the smallest change first; none for a key that is not known."""
    if not target.column_name and (name := strip_index(key)) in _TABLE_STATEMENTS:
        return _TABLE_STATEMENTS[name](target, name, expected)
    if key.startswith(ELEMENT_PREFIX):
        key, target = key.removeprefix(ELEMENT_PREFIX), _get_element(target)
    if key in _TYPES:
        return [_retype(target, _TYPES[key](target, expected))]
    if expected and key in _CONSTRAINTS:
        return _drop_constraints(target, getattr(target, _CONSTRAINTS[key]))
    if key in _STATEMENTS:
        return _STATEMENTS[key](target, expected)
    templates = _TEMPLATES.get(key, {}).get("null" if expected in (None, False) else "given", [])
    names = {"table": target.table, "column": target.column, "alter": _alter(target, ""), "new": target.new}
    names |= {"new_name": NEW_NAME, "type": target.type, "base_type": target.base_type}
    return [template.format(**names) for template in templates]


def get_mutations_of_copy(target: Target, key: str, expected: Any) -> list[str]:
    """The same on an empty copy in the table's place, without the keys, defaults and dependents that may forbid it."""
    is_table = strip_index(key) in _KEYS_OF_TABLES or target.table_type == "FOREIGN"
    copy = replace(target, table_name=_COPY_NAME, not_enforced=None)
    statements = get_mutations(copy, key, expected)
    return [_replace_table(target, "BASE TABLE" if is_table else target.table_type, sql) for sql in statements]


def _get_element(target: Target) -> Target:
    """With what is read below of an element; where the column is no array, an array of its type is made."""
    return replace(
        target,
        data_type=target.array_element_data_type or target.data_type,
        base_type=target.array_element_base_type or target.base_type,
        numeric_precision=target.array_element_numeric_precision,
        numeric_scale=target.array_element_numeric_scale,
        brackets="[]" * (target.array_element_dimensions or 1),
    )


def _replace_table(target: Target, table_type: str, statement: str = "select", clause: str = "") -> str:
    """A copy of the table, changed by `statement`, takes its place, or is what the view in its place shows."""
    copy = replace(target, table_name=_COPY_NAME).table
    put = f"create {table_type} {target.table} as table {copy}{clause}"
    if table_type == "BASE TABLE":
        put = f"alter table {copy} rename to {_quote(target.table_name)}"
    kind = {"BASE TABLE": "table", "FOREIGN": "foreign table"}.get(target.table_type, target.table_type)
    # The statement comes after the drop, which takes the indexes with it that the statement may name.
    return f"create table {copy} (like {target.table}); drop {kind} {target.table} cascade; {statement}; {put}"


def _alter_table(target: Target, action: str) -> str:
    return f"alter table {target.table} {action}"


def _alter(target: Target, action: str) -> str:
    return _alter_table(target, f"alter {target.column} {action}")


def _retype(target: Target, new_type: str) -> str:
    return _alter(target, f"type {new_type}{target.brackets} using null")


def _drop_constraints(target: Target, names: list[str]) -> list[str]:
    # A UNIQUE constraint has an index of its name, and an index may be there without a constraint.
    statements = [
        f"{_alter_table(target, f'drop constraint if exists {_quote(name)} cascade')}; "
        f"drop index if exists {_quote(target.table_schema)}.{_quote(name)}"
        for name in names
    ]
    return ["; ".join(statements)] if names else []


def _add_primary_key(target: Target) -> list[str]:
    drop = _drop_constraints(target, target.primary_keys)
    columns = ", ".join([*map(_quote, target.primary_key_columns), target.column])
    statement = "; ".join([*drop, _alter_table(target, f"add primary key ({columns})")])
    return [statement, f"{_retype(target, 'text')}; {statement}"]


def _break_primary_key(target: Target, _: str, expected: list[str] | None) -> list[str]:
    if expected is None:
        return [_alter_table(target, f"add {NEW_NAME} integer generated always as identity primary key")]
    return _drop_constraints(target, target.primary_keys)


def _break_entry(target: Target, key: str, expected: Any) -> list[str]:
    identity = identify_entry(key, expected)
    names = [constraint.name for constraint in target.constraints if constraint.identity == identity]
    return _drop_constraints(target, names)


def _add_constraint(target: Target, _: str, __: bool) -> list[str]:
    return [] if _is_unenforced(target) else [_alter_table(target, "add check (true)")]


def _is_unenforced(target: Target) -> bool:
    """Whether PostgreSQL accepts constraints and enforces nothing, as on a foreign table; then they break nothing."""
    return "is_nullable" in (target.not_enforced or {})


def _break_is_nullable(target: Target, expected: bool) -> list[str]:
    if expected:
        return [] if _is_unenforced(target) else [_alter(target, "set not null")]
    drop = _alter(target, "drop not null")
    # The domain may be what is NOT NULL.
    return [f"{_retype(target, target.base_type)}; {drop}" if target.domain_name else drop]


def _break_udt_name(target: Target, expected: str | None) -> list[str]:
    if target.data_type != "USER-DEFINED":
        return [_retype(target, "integer" if expected in ("text", "_text") else "text")]
    labels = ", ".join(_quote(label, "'") for label in target.enum or [])
    return [f"create type {target.new} as enum ({labels}); {_retype(target, target.new)}"]


def _break_collation_name(target: Target, expected: str | None) -> list[str]:
    collation = f'collate pg_catalog."{"POSIX" if expected == "C" else "C"}"'
    return [_retype(target, f"{new_type} {collation}") for new_type in (target.type, "text")]


def _break_enum(target: Target, _: list[str]) -> list[str]:
    enum_type = target.array_element_base_type or target.base_type
    return [] if target.enum is None else [f"alter type {enum_type} add value '{NEW_NAME}'"]


def _break_fields(target: Target, _: dict[str, str]) -> list[str]:
    composite_type = target.array_element_base_type or target.base_type
    return [f"alter type {composite_type} add attribute {NEW_NAME} integer", _retype(target, "text")]


def _other_length(target: Target, expected: float | None) -> str:
    data_type = target.data_type if re.match("character|bit", target.data_type) else "varchar"
    return f"{data_type}({_other_number(expected, 1)})"


def _other_precision(target: Target, expected: float | None) -> str:
    other_types = {"smallint": "integer", "integer": "bigint", "bigint": "integer"}
    other_types |= {"real": "double precision", "double precision": "real"}
    scale = target.numeric_scale or 0
    return other_types.get(target.data_type, f"numeric({_other_number(expected, 1)}, {scale})")


def _other_datetime_precision(target: Target, expected: float | None) -> str:
    bare_type = re.sub(r"\(\d\)", "", target.base_type)
    match = re.match(r"timestamp|time|interval(.* second)?", bare_type)
    # Other fields of an interval can have no precision.
    kind, rest = (match[0], bare_type[match.end() :]) if match else ("timestamp", "")
    return f"{kind}({_other_number(expected, 0)}){'' if kind.startswith('interval') else rest}"


def _other_number(number: float | None, least: int) -> int:
    if number is None:
        return 5
    return int(number) + (-1 if number > least else 1)


def _quote(name: str, mark: str = '"') -> str:
    return mark + name.replace(mark, 2 * mark) + mark


# Another type for the column, or for the elements of its arrays.
_TYPES: dict[str, Callable[[Target, Any], str]] = {
    **dict.fromkeys(("data_type", "physicalType"), lambda _, expected: "integer" if expected == "text" else "text"),
    "character_maximum_length": _other_length,
    "numeric_precision": _other_precision,
    "numeric_scale": lambda target, expected: f"numeric({target.numeric_precision or 9}, {_other_number(expected, 0)})",
    "datetime_precision": _other_datetime_precision,
    "interval_type": lambda _, expected: "interval day" if expected == "YEAR" else "interval year",
    "dimensions": lambda target, _: f"{target.base_type}[]",
}
# What is dropped where they are promised.
_CONSTRAINTS = {"primaryKey": "primary_keys", "unique": "unique_indexes", "references": "foreign_keys"}
_TEMPLATES = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
_STATEMENTS: dict[str, Callable[[Target, Any], list[str]]] = {
    "table_type": lambda target, expected: [
        _replace_table(target, "VIEW" if expected == "BASE TABLE" else "BASE TABLE")
    ],
    "primaryKey": lambda target, _: _add_primary_key(target),
    "is_nullable": _break_is_nullable,
    # PostgreSQL updates no view with a LIMIT.
    "is_updatable": lambda target, expected: [_replace_table(target, "VIEW", clause=" limit 1" if expected else "")],
    "udt_name": _break_udt_name,
    "collation_name": _break_collation_name,
    "enum": _break_enum,
    "fields": _break_fields,
}
# The same for the keys of the whole table that also a column has, or that are in a list.
_TABLE_STATEMENTS: dict[str, Callable[[Target, str, Any], list[str]]] = {
    "primaryKey": _break_primary_key,
    **dict.fromkeys(TABLE_LISTS, _break_entry),
    "additionalConstraints": _add_constraint,
}
