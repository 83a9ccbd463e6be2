"""Which change of a table broke a clause of a contract; pure."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from data_contract_components.contract_definition.contract_spec import ELEMENT_PREFIX, WHOLE_TABLE
from data_contract_components.contract_definition.table_lists import strip_index
from data_contract_components.detection._table_constraints import KEYS
from data_contract_components.detection.migration_changes.changes import SchemaChange

# The keys of a column whose changes break a key that has no change of its own.
_TYPE_KEYS = (
    *("data_type", "character_maximum_length", "numeric_precision", "numeric_scale", "datetime_precision"),
    *("interval_type", "udt_name", "domain_name", "physicalType"),
)
_CAUSES = {
    "physicalType": (*_TYPE_KEYS, *(f"{ELEMENT_PREFIX}{key}" for key in _TYPE_KEYS)),
    # What a writer may stumble over.
    "consumers": (
        "is_nullable",
        "column_default",
        "is_generated",
        "is_identity",
        "identity_generation",
        "is_updatable",
    ),
    "fields": ("fields", "field", "data_type", "udt_name", f"{ELEMENT_PREFIX}udt_name"),
}
_COLUMN_KEYS = {"primaryKey": "primaryKey", "unique": "unique", "foreignKeys": "references"}
_KINDS = {key: kind for kind, key in KEYS.items()}
_GONE = ("removed", "renamed")
_NAMES = re.compile(r'"((?:[^"]|"")*)"|([^\s,"]+)')


def find_cause(
    changes: Iterable[SchemaChange],
    table_schema: str,
    table_name: str,
    column_name: str,
    key: str,
    expected: Any = None,
    found: Any = None,
) -> SchemaChange | None:
    """The change that broke a contract's `key` of a column: of the key, else of the column, else of the table.

    Of the WHOLE_TABLE: that of the constraint, else of one of its columns, else of the table that it refers to.
    """
    changes = list(changes)
    of_table = [c for c in changes if (c.table_schema, c.table_name) == (table_schema, table_name)]
    if column_name == WHOLE_TABLE and (constraint := _get_constraint(strip_index(key), expected, found)):
        return next(_find_causes_of_constraint(changes, of_table, *constraint), None)
    keys = _CAUSES.get(key, (key,))
    of_key = (c for c in of_table if c.change == "changed" and c.column_name == column_name and c.key in keys)
    of_column = (c for c in of_table if c.column_name == column_name and c.change != "changed")
    whole_table = (c for c in of_table if c.column_name is None and (c.change in _GONE or c.key == key))
    return next((change for of in (of_key, of_column, whole_table) for change in of), None)


def _get_constraint(key: str, expected: Any, found: Any) -> tuple[str | None, Any, bool] | None:
    """Key and value of the constraint that is gone (False) or new (True); None where `key` is about none."""
    if key == "additionalConstraints":
        [(listed_key, value)] = found.items() if isinstance(found, dict) else [(None, found)]
        return listed_key, value, True
    if key not in _KINDS:
        return None
    return (key, found, True) if expected is None else (key, expected, False)


def _find_causes_of_constraint(
    changes: list[SchemaChange], of_table: list[SchemaChange], key: str | None, value: Any, is_new: bool
) -> Iterator[SchemaChange]:
    """The likeliest first."""
    kind = _KINDS[key] if key else ""
    parts = [
        (text, change)
        for change in of_table
        if change.key == "constraint" and change.column_name is None
        for text in [str((change.after if is_new else change.before) or "")]
        if text.startswith(kind) and _is_about(text, value)
    ]
    # The one that says the least besides.
    yield from (change for _, change in sorted(parts, key=lambda part: len(part[0])))
    of_columns = [c for c in of_table if c.column_name is not None and _mentions(value, c.column_name)]
    yield from (c for c in of_columns if key in _COLUMN_KEYS and c.change == "changed" and c.key == _COLUMN_KEYS[key])
    yield from (c for c in of_columns if c.change != "changed")
    if isinstance(value, dict):
        target = (value["references"]["table_schema"], value["references"]["table_name"])
        yield from (c for c in changes if (c.table_schema, c.table_name) == target and c.change in _GONE)


def _is_about(definition: str, value: Any) -> bool:
    if isinstance(value, str):
        return value in definition
    return _find_names(definition).issuperset(value["columns"] if isinstance(value, dict) else value)


def _find_names(definition: str) -> set[str]:
    """The columns of the constraint; of a unique index, with the words beside them."""
    columns = re.search(r'\(((?:"(?:[^"]|"")*"|[^()"])*)\)', definition)
    found = _NAMES.findall(columns[1]) if columns else []
    return {quoted.replace('""', '"') or plain for quoted, plain in found}


def _mentions(value: Any, column_name: str) -> bool:
    if isinstance(value, str):
        return re.search(rf"(?<!\w){re.escape(column_name)}(?!\w)", value) is not None
    return column_name in (value["columns"] if isinstance(value, dict) else value)
