"""For each key of a contract the statements that break it, of which score.py runs one; pure."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from data_contract_components.contract_definition.contract_spec import ELEMENT_PREFIX

# Of whatever a statement makes: a column, a type, a table that is referred to, the scratch database.
NEW_NAME = "contract_mutation"
_COPY_NAME = f"{NEW_NAME}_copy"
# Only a table can have these, so that they are broken by a table in a view's place.
_KEYS_OF_TABLES = (
    "primaryKey",
    "is_nullable",
    "column_default",
    "is_identity",
    "is_generated",
    "unique",
    "references",
)


@dataclass(frozen=True)
class Target:
    """A table or one of its columns, and in `found` what the database knows of it.

    `found` has the values of its row of the catalog and of column_facts.sql, and `primary_key_columns`. `brackets` are
    those of the array whose element is meant.
    """

    table_schema: str
    table_name: str
    table_type: str
    column_name: str
    found: dict[str, Any]
    brackets: str = ""

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
    if key.startswith(ELEMENT_PREFIX):
        key, target = key.removeprefix(ELEMENT_PREFIX), _get_element(target)
    if key in _TYPES:
        return [_retype(target, _TYPES[key](target.found, expected))]
    return _STATEMENTS[key](target, expected) if key in _STATEMENTS else []


def get_mutations_of_copy(target: Target, key: str, expected: Any) -> list[str]:
    """The same on an empty copy in the table's place, without the keys, defaults and dependents that may forbid it."""
    is_table = key in _KEYS_OF_TABLES or target.table_type == "FOREIGN"
    copy = replace(target, table_name=_COPY_NAME, found=target.found | {"not_enforced": None})
    statements = get_mutations(copy, key, expected)
    return [_replace_table(target, "BASE TABLE" if is_table else target.table_type, sql) for sql in statements]


def _get_element(target: Target) -> Target:
    found = {key.removeprefix(ELEMENT_PREFIX): value for key, value in target.found.items() if value is not None}
    return replace(target, found=found, brackets="[]" * max(1, found["dimensions"]))


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


def _with_and_without_text(target: Target, statement: str) -> list[str]:
    # json and others have no order, and so can be in no index.
    return [statement, f"{_retype(target, 'text')}; {statement}"]


def _break_primary_key(target: Target, expected: bool) -> list[str]:
    drop = _drop_constraints(target, target.found["primary_keys"])
    if expected:
        return drop
    columns = ", ".join([*map(_quote, target.found["primary_key_columns"]), target.column])
    return _with_and_without_text(target, "; ".join([*drop, _alter_table(target, f"add primary key ({columns})")]))


def _break_is_nullable(target: Target, expected: bool) -> list[str]:
    if expected:
        # Where PostgreSQL accepts it and enforces nothing, as on a foreign table, it breaks nothing.
        is_unenforced = "is_nullable" in (target.found["not_enforced"] or {})
        return [] if is_unenforced else [_alter(target, "set not null")]
    drop = _alter(target, "drop not null")
    # The domain may be what is NOT NULL.
    return [f"{_retype(target, target.found['base_type'])}; {drop}" if target.found["domain_name"] else drop]


def _break_udt_name(target: Target, expected: str | None) -> list[str]:
    if target.found["data_type"] != "USER-DEFINED":
        return [_retype(target, "integer" if expected in ("text", "_text") else "text")]
    labels = ", ".join(_quote(label, "'") for label in target.found.get("enum") or [])
    return [f"create type {target.new} as enum ({labels}); {_retype(target, target.new)}"]


def _break_domain_name(target: Target, expected: str | None) -> list[str]:
    base_type = target.found["base_type"]
    if expected is not None:
        return [_retype(target, base_type)]
    return [f"create domain {target.new} as {base_type}; {_retype(target, target.new)}"]


def _break_collation_name(target: Target, expected: str | None) -> list[str]:
    collation = f'collate pg_catalog."{"POSIX" if expected == "C" else "C"}"'
    return [_retype(target, f"{new_type} {collation}") for new_type in (target.found["type"], "text")]


def _break_column_default(target: Target, expected: str | None) -> list[str]:
    # NULL alone would be no default; so it is one, for a column of any type.
    new_default = f"set default coalesce(null::{target.found['type']}, null)"
    return [_alter(target, new_default if expected is None else "drop default")]


def _break_is_identity(target: Target, expected: bool) -> list[str]:
    if expected:
        return [_alter(target, "drop identity")]
    add = _alter(target, "add generated always as identity")
    prepare = f"{_alter(target, 'drop default')}; {_alter(target, 'set not null')}"
    return [add, f"{prepare}; {add}", f"{_retype(target, 'integer')}; {prepare}; {add}"]


def _break_is_generated(target: Target, expected: bool) -> list[str]:
    if expected:
        return [_alter(target, "drop expression")]
    definition = "{0} generated always as (null::{0}) stored".format(target.found["type"])
    return [_alter_table(target, f"drop {target.column} cascade, add {target.column} {definition}")]


def _break_enum(target: Target, _: list[str]) -> list[str]:
    enum_type = target.found["array_element_base_type"] or target.found["base_type"]
    return [] if target.found["enum"] is None else [f"alter type {enum_type} add value '{NEW_NAME}'"]


def _break_unique(target: Target, expected: bool) -> list[str]:
    if expected:
        return _drop_constraints(target, target.found["unique_indexes"])
    return _with_and_without_text(target, f"create unique index on {target.table} ({target.column})")


def _break_references(target: Target, expected: object) -> list[str]:
    if expected:
        return _drop_constraints(target, target.found["foreign_keys"])
    add = _alter_table(target, f"add foreign key ({target.column}) references {target.new} (id)")
    return [
        f"create table {target.new} (id {target.found['type']} unique); {add}",
        f"create table {target.new} (id text unique); {_retype(target, 'text')}; {add}",
    ]


def _other_length(found: dict[str, Any], expected: float | None) -> str:
    data_type = found["data_type"] if re.match("character|bit", found["data_type"]) else "varchar"
    return f"{data_type}({_other_number(expected, 1)})"


def _other_precision(found: dict[str, Any], expected: float | None) -> str:
    other_types = {"smallint": "integer", "integer": "bigint", "bigint": "integer"}
    other_types |= {"real": "double precision", "double precision": "real"}
    scale = found.get("numeric_scale") or 0
    return other_types.get(found["data_type"], f"numeric({_other_number(expected, 1)}, {scale})")


def _other_scale(found: dict[str, Any], expected: float | None) -> str:
    return f"numeric({found.get('numeric_precision') or 9}, {_other_number(expected, 0)})"


def _other_datetime_precision(found: dict[str, Any], expected: float | None) -> str:
    bare_type = re.sub(r"\(\d\)", "", found["base_type"])
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
_TYPES: dict[str, Callable[[dict[str, Any], Any], str]] = {
    "data_type": lambda _, expected: "integer" if expected == "text" else "text",
    "character_maximum_length": _other_length,
    "numeric_precision": _other_precision,
    "numeric_scale": _other_scale,
    "datetime_precision": _other_datetime_precision,
    "interval_type": lambda _, expected: "interval day" if expected == "YEAR" else "interval year",
    "dimensions": lambda found, _: f"{found['base_type']}[]",
}
_STATEMENTS: dict[str, Callable[[Target, Any], list[str]]] = {
    "table_schema": lambda target, _: [f"create schema {NEW_NAME}; {_alter_table(target, f'set schema {NEW_NAME}')}"],
    "table_name": lambda target, _: [_alter_table(target, f"rename to {NEW_NAME}")],
    "table_type": lambda target, expected: [
        _replace_table(target, "VIEW" if expected == "BASE TABLE" else "BASE TABLE")
    ],
    "additionalColumns": lambda target, _: [_alter_table(target, f"add {NEW_NAME} integer")],
    "column_name": lambda target, _: [_alter_table(target, f"rename {target.column} to {NEW_NAME}")],
    "primaryKey": _break_primary_key,
    "is_nullable": _break_is_nullable,
    # PostgreSQL updates no view with a LIMIT.
    "is_updatable": lambda target, expected: [_replace_table(target, "VIEW", clause=" limit 1" if expected else "")],
    "udt_name": _break_udt_name,
    "domain_name": _break_domain_name,
    "collation_name": _break_collation_name,
    "column_default": _break_column_default,
    "is_identity": _break_is_identity,
    "is_generated": _break_is_generated,
    "enum": _break_enum,
    "unique": _break_unique,
    "references": _break_references,
}
