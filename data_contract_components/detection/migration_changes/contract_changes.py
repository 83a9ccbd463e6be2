"""How the contracts differ from those of the base, clause by clause, and whether they promise less."""

import copy
import datetime
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from data_contract_components.contract_definition._json_text import render_json_path
from data_contract_components.contract_definition.contract_spec import (
    TABLE_CLAUSES,
    Contract,
    ContractSpec,
    JsonPath,
    get_enforcement,
)
from data_contract_components.contract_definition.table_lists import TABLE_LISTS, identify_entry
from data_contract_components.detection.migration_changes.changes import ContractChange, Kind, Place

# From the least to the most binding.
STATUSES = ("retired", "draft", "deprecated", "active")
# The keys whose values are objects, and one clause.
_WHOLE_OBJECTS = (("references",), ("fields",))
_ABSENT = object()


class ClauseChange(NamedTuple):
    """One difference between two states of a contract; `before` or `after` is None where there is none."""

    json_path: JsonPath
    before: Any
    after: Any
    kind: Kind


def find_contract_changes(
    base: Mapping[str, Contract], head: Mapping[str, Contract], today: datetime.date
) -> list[ContractChange]:
    """The changes in the order of the contracts' names; `today` decides which contracts bind."""
    changes: list[ContractChange] = []
    head_names = match_contracts(base, head)
    for name, before in base.items():
        make = partial(_make_change, before, today)
        if name not in head_names:
            change = ClauseChange((), before.spec["schema"]["table_name"], None, "removed")
            changes.append(make(name, before.path, None, change))
            continue
        head_name = head_names[name]
        after = head[head_name]
        if after.path != before.path:
            change = ClauseChange((), before.path.as_posix(), after.path.as_posix(), "metadata")
            changes.append(make(head_name, after.path, 1, change))
        for change in [*find_clause_changes(before.spec, after.spec), *_find_query_changes(before, after)]:
            changes.append(make(head_name, after.path, after.find_line(change.json_path), change))
    for name in set(head) - set(head_names.values()):
        change = ClauseChange((), None, head[name].spec["schema"]["table_name"], "added")
        changes.append(_make_change(head[name], today, name, head[name].path, 1, change))
    return sorted(changes, key=lambda change: change.contract_name)


def _find_query_changes(before: Contract, after: Contract) -> Iterator[ClauseChange]:
    """The consumers' queries that are new or gone, or have another text or other rows."""
    queries = {(query.consumer, query.name): query for query in after.queries}
    known = {(query.consumer, query.name) for query in before.queries}
    for query in before.queries:
        new = queries.get((query.consumer, query.name))
        if new is None:
            yield ClauseChange(query.json_path, query.text, None, "removed")
        elif new.text != query.text:
            # Whether the new one asks for less, nobody can say.
            yield ClauseChange(new.json_path, query.text, new.text, "loosened")
        elif new.rows != query.rows:
            yield ClauseChange((*new.json_path[:2], "rows"), query.rows, new.rows, "loosened")
    for name, query in queries.items():
        if name not in known:
            yield ClauseChange(query.json_path, None, query.text, "added")


def _make_change(
    owned: Contract, today: datetime.date, name: str, path: Path, line: int | None, change: ClauseChange
) -> ContractChange:
    """The change of a contract whose owner is that of `owned`, and which was binding if that is."""
    json_path, before, after, kind = change
    place, owner = Place(path.as_posix(), line), owned.spec["owner"]
    return ContractChange(
        name,
        place,
        render_json_path(json_path),
        kind,
        before,
        after,
        owner["name"],
        owner["email"],
        get_enforcement(owned.spec, today) == "binding",
    )


def match_contracts(base: Mapping[str, Contract], head: Mapping[str, Contract]) -> dict[str, str]:
    """The head's name of each contract of the base that the head has: in the same file, or with the same identity."""
    identities = {
        (contract.spec["namespace"], contract.spec["name"]): name for name, contract in head.items() if name not in base
    }
    matches: dict[str, str] = {}
    for name, contract in base.items():
        identity = (contract.spec["namespace"], contract.spec["name"])
        head_name = name if name in head else identities.get(identity)
        if head_name is not None:
            matches[name] = head_name
    return matches


def with_stronger_clauses(base: Contract, head: Contract) -> Contract:
    """The contract of the base, with those clauses of the head that promise at least as much."""
    spec: Any = copy.deepcopy(base.spec)
    for json_path, _, after, kind in find_clause_changes(base.spec, head.spec):
        if kind == "tightened" and _is_column_clause(json_path):
            part = spec
            for key in json_path[:-1]:
                part = part[key]
            part[json_path[-1]] = after
    return replace(base, spec=spec)


def find_clause_changes(base_spec: ContractSpec, head_spec: ContractSpec) -> list[ClauseChange]:
    """Each difference, in the order of the base."""
    before, after = _with_defaults(base_spec), _with_defaults(head_spec)
    return [
        ClauseChange(
            path,
            None if old is _ABSENT else old,
            None if new is _ABSENT else new,
            _find_kind(path, old, new, before, after),
        )
        for path, old, new in _find_differences((), before, after)
    ]


def _with_defaults(spec: ContractSpec) -> dict[str, Any]:
    defaults = {"additionalColumns": True, "additionalConstraints": True}
    return {"status": "active", **spec, "schema": defaults | spec["schema"]}


def _find_differences(path: JsonPath, before: Any, after: Any) -> Iterator[tuple[JsonPath, Any, Any]]:
    is_whole = _is_column_clause(path) and path[4:] in _WHOLE_OBJECTS
    if isinstance(before, dict) and isinstance(after, dict) and not is_whole:
        for key in before | after:
            yield from _find_differences((*path, key), before.get(key, _ABSENT), after.get(key, _ABSENT))
    elif path == ("waivers",) or (len(path) == 2 and path[0] == "schema" and path[1] in TABLE_LISTS):
        yield from _find_different_entries(path, before, after)
    # Two objects with the same keys are equal in any order, and the order of fields is promised.
    elif before != after or (is_whole and path[-1] == "fields" and list(before) != list(after)):
        yield path, before, after


def _find_different_entries(path: JsonPath, before: Any, after: Any) -> Iterator[tuple[JsonPath, Any, Any]]:
    """The entries of a list that are gone, at the path of the list, the new ones, and what changed in a waiver."""
    key = str(path[-1])
    entries, new_entries = ([] if value is _ABSENT else value for value in (before, after))

    def identify(entry: Any) -> Hashable:
        return str(entry["clause"]) if key == "waivers" else identify_entry(key, entry)

    known, new_known = ({identify(entry): entry for entry in of} for of in (entries, new_entries))
    for entry in entries:
        if identify(entry) not in new_known:
            yield path, entry, _ABSENT
    for index, entry in enumerate(new_entries):
        if identify(entry) not in known:
            yield (*path, index), _ABSENT, entry
        elif key == "waivers":
            yield from _find_differences((*path, index), known[identify(entry)], entry)


def _is_column_clause(path: JsonPath) -> bool:
    is_constraint = path[:2] == ("schema", "properties") and path[3:4] in (("constraints",), ("array_element",))
    return is_constraint and not str(path[-1]).startswith("x-")


def _find_kind(path: JsonPath, before: Any, after: Any, base_spec: dict[str, Any], head_spec: dict[str, Any]) -> Kind:
    """The kind of the difference; "loosened" means that something that was promised need not hold any more."""
    if path == ("status",):
        return "loosened" if STATUSES.index(after) < STATUSES.index(before) else "tightened"
    if path == ("sunset",) and "deprecated" in (base_spec["status"], head_spec["status"]):
        # Without one, a contract binds for ever.
        return "loosened" if before is _ABSENT or (after is not _ABSENT and after < before) else "tightened"
    is_waiver = path[0] == "waivers" and (len(path) < 3 or path[2] == "until")
    if is_waiver or path == ("noticeDays",):
        is_less = after is _ABSENT or (before is not _ABSENT and after < before)
        return "tightened" if is_less == is_waiver else "loosened"
    is_column = len(path) == 3 and path[:2] == ("schema", "properties")
    is_clause = is_column or _is_column_clause(path) or (path[:1] == ("schema",) and path[1] in TABLE_CLAUSES)
    if not is_clause:
        return "metadata"
    if after is _ABSENT:
        return "removed"
    if before is _ABSENT:
        # Where no column may be there but the listed ones, each further one breaks that promise; so with constraints.
        key = "additionalColumns" if is_column else "additionalConstraints" if path[1] in TABLE_LISTS else ""
        is_closed = not (base_spec["schema"].get(key, True) or head_spec["schema"].get(key, True))
        return "loosened" if is_closed else "added"
    writers = any(consumer["role"] == "writer" for consumer in base_spec.get("consumers", ()))
    return "tightened" if _is_stronger(str(path[-1]), before, after, is_for_writers=writers) else "loosened"


def _is_stronger(key: str, before: Any, after: Any, *, is_for_writers: bool) -> bool:
    """Whether everything that consumers could rely on by the clause still holds.

    For a reader, a clause limits the values that may come, so that fewer are no loss; a writer loses each of them.
    Where it is not known, as with another type, the answer is no.
    """
    match key:
        case "is_updatable":
            return bool(after)
        case "additionalColumns" | "additionalConstraints":
            return not after
        case _ if is_for_writers:
            return False
        case "is_nullable":
            return not after
        case "unique":
            return bool(after)
        case "character_maximum_length" | "numeric_precision":
            return before is None or (after is not None and bool(after < before))
        case "references":
            return before is None
        case "enum":
            return bool([label for label in before if label in after] == after)
    return False
