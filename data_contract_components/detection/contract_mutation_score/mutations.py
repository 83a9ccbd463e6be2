"""For each key of a contract, the statements that break it; score.py runs the first that PostgreSQL accepts."""

import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from data_contract_components.contract_definition.contract_spec import ELEMENT_PREFIX

# Of whatever a statement makes: a column, a type, a table that is referred to, the scratch database.
NEW_NAME = "contract_mutation"
_COPY_NAME = f"{NEW_NAME}_copy"
# Only a table can have these, so that they are broken by a table in a view's place.
_KEYS_OF_TABLES = ("primaryKey", "is_nullable", "column_default", "is_identity", "is_generated", "unique", "references")


@dataclass(frozen=True)
class Target:
    """A table or one of its columns, and in `found` how the database describes it.

    `found` has the values of its rows of the catalog and of targets.sql, and `primary_key_columns`. `brackets` are
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
    if expected and key in _CONSTRAINTS:
        return _drop_constraints(target, target.found[_CONSTRAINTS[key]])
    if key in _STATEMENTS:
        return _STATEMENTS[key](target, expected)
    templates = _TEMPLATES.get(key, {}).get("null" if expected in (None, False) else "given", [])
    names = {"table": target.table, "column": target.column, "alter": _alter(target, ""), "new": target.new}
    return [template.format(**target.found, **names, new_name=NEW_NAME) for template in templates]


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


def _add_primary_key(target: Target) -> list[str]:
    drop = _drop_constraints(target, target.found["primary_keys"])
    columns = ", ".join([*map(_quote, target.found["primary_key_columns"]), target.column])
    statement = "; ".join([*drop, _alter_table(target, f"add primary key ({columns})")])
    return [statement, f"{_retype(target, 'text')}; {statement}"]


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


def _break_collation_name(target: Target, expected: str | None) -> list[str]:
    collation = f'collate pg_catalog."{"POSIX" if expected == "C" else "C"}"'
    return [_retype(target, f"{new_type} {collation}") for new_type in (target.found["type"], "text")]


def _break_enum(target: Target, _: list[str]) -> list[str]:
    enum_type = target.found["array_element_base_type"] or target.found["base_type"]
    return [] if target.found["enum"] is None else [f"alter type {enum_type} add value '{NEW_NAME}'"]


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
}
