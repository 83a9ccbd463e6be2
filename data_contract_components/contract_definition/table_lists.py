"""The lists of a contract whose entries are promises of the whole table, each a clause of its own."""

from collections.abc import Hashable
from typing import Any

TABLE_LISTS = ("unique", "foreignKeys", "checks")


def get_entries(schema: Any, key: str) -> list[Any]:
    entries: list[Any] = schema.get(key, [])
    return entries


def make_entry_key(key: str, index: int) -> str:
    """The `key` of an entry's clause, as its JSON path ends."""
    return f"{key}[{index}]"


def strip_index(key: str) -> str:
    """The list's key in that of an entry's clause; any other key as it is."""
    return key.partition("[")[0]


def identify_entry(key: str, entry: Any) -> Hashable:
    """Equal for two entries under `key` that promise the same: the order of the columns does not matter."""
    match key:
        case "unique":
            return key, frozenset(entry)
        case "foreignKeys":
            target = entry["references"]
            pairs = zip(entry["columns"], target["columns"], strict=False)
            return key, target["table_schema"], target["table_name"], frozenset(pairs)
    return key, entry


def find_listed(schema: Any) -> set[Hashable]:
    """The entries of the lists, with what the contract promises of single columns."""
    listed = {identify_entry(key, entry) for key in TABLE_LISTS for entry in get_entries(schema, key)}
    for name, column in schema["properties"].items():
        if column["constraints"].get("unique"):
            listed.add(identify_entry("unique", [name]))
        if target := column["constraints"].get("references"):
            references = target | {"columns": [target["column_name"]]}
            listed.add(identify_entry("foreignKeys", {"columns": [name], "references": references}))
    return listed
