"""The end of contracts: whether it is announced in time, what takes over, and who still reads the table; pure."""

import datetime
import json
from collections.abc import Iterator, Mapping
from typing import Any

from data_contract_components.contract_definition._json_text import render_json_path
from data_contract_components.contract_definition.contract_spec import (
    WHOLE_TABLE,
    Contract,
    ContractSpec,
    JsonPath,
    TableName,
    find_replacement,
    get_enforcement,
)
from data_contract_components.data_assets._applied_revisions import quote_table
from data_contract_components.detection._consumer_queries import Verdict, get_key
from data_contract_components.detection.contract_violation_detector import Violation
from data_contract_components.detection.migration_changes.changes import ContractChange, Kind, Place, UnmovedConsumers
from data_contract_components.detection.migration_changes.contract_changes import find_clause_changes
from data_contract_components.detection.migration_changes.query_changes import Verdicts, merge_verdicts

_NAMES = ("table_catalog", "table_schema", "table_name")
_RELATIONS = {"VIEW": "VIEW", "MATERIALIZED VIEW": "MATERIALIZED VIEW", "FOREIGN": "FOREIGN TABLE"}


def find_short_notices(
    base: Mapping[str, Contract], head: Mapping[str, Contract], head_names: Mapping[str, str], today: datetime.date
) -> Iterator[Violation]:
    """A violation, with the key "sunset", per contract that binds in the base and ends here without enough notice.

    The greater `noticeDays` of both sides counts. A deprecated contract ends in part where it loses a clause, and its
    sunset is the notice of all clauses.
    """
    for name, contract in base.items():
        if get_enforcement(contract.spec, today) != "binding":
            continue
        spec = head[head_names[name]].spec if name in head_names else None
        days = max(side.get("noticeDays", 0) for side in (contract.spec, spec) if side)
        promised, end = _find_end(contract.spec, today), _find_end(spec, today)
        # As numbers, as there is no day after the year 9999.
        first_day = datetime.date.fromordinal(min(promised.toordinal(), today.toordinal() + days))
        if not days or end >= first_day:
            if spec and contract.spec.get("status") == "deprecated":
                yield from _find_lost_clauses(name, contract, spec)
            continue
        reason = "the sunset until now" if first_day == promised else f"{days} day{'s' * (days > 1)} of notice"
        status = spec.get("status", "active") if spec else "deleted"
        is_deprecated = status == "deprecated"
        yield Violation(
            *(name, *contract.table, WHOLE_TABLE, "sunset", f"{first_day} or later ({reason})"),
            found=end.isoformat() if is_deprecated else status,
            json_path=("sunset",) if is_deprecated else ("status",),
        )


def _find_end(spec: ContractSpec | None, today: datetime.date) -> datetime.date:
    """The last day on which the contract binds; it was yesterday if it is retired, a draft or, as None, deleted."""
    if spec and spec.get("status") == "deprecated":
        return datetime.date.fromisoformat(spec["sunset"])
    is_active = spec and spec.get("status", "active") == "active"
    return datetime.date.max if is_active else today - datetime.timedelta(days=1)


def _find_lost_clauses(name: str, contract: Contract, spec: ContractSpec) -> Iterator[Violation]:
    lost = {
        path: _render_change(contract, path, *change)
        for path, *change in find_clause_changes(contract.spec, spec)
        if path[0] == "schema" and change[-1] in ("loosened", "removed")
    }
    if lost:
        expected = f"{contract.spec['sunset']} or later, for each clause"
        names = (name, *contract.table, WHOLE_TABLE, "sunset")
        yield Violation(*names, expected, "; ".join(lost.values()), json_path=next(iter(lost)))


def _render_change(contract: Contract, path: JsonPath, before: Any, after: Any, kind: Kind) -> str:
    place = Place(contract.path.as_posix(), None)
    return ContractChange("", place, render_json_path(path), kind, before, after, "", "").text


def find_differences(contract: Contract, replacement: Contract) -> Iterator[str]:
    """The clauses that differ in the contract that takes over, in words, as if the old contract were changed to it."""
    for path, before, after, kind in find_clause_changes(contract.spec, replacement.spec):
        is_nothing = kind == "added" and after in (None, False)
        if path[0] == "schema" and path[1] not in _NAMES and kind != "metadata" and not is_nothing:
            yield _render_change(replacement, path, before, after, kind)


def find_unmoved_consumers(
    contracts: Mapping[str, Contract], before: Verdicts, after: Verdicts
) -> Iterator[tuple[str, UnmovedConsumers]]:
    """By deprecated contract whose replacement is another table; consumers of other contracts may read it, too."""
    verdicts = merge_verdicts(before, after)
    readers: dict[TableName, dict[str, None]] = {}
    for contract in contracts.values():
        for query in contract.queries:
            for table_schema, table_name, _ in verdicts.get(get_key(query), Verdict()).reads:
                readers.setdefault((table_schema, table_name), {})[query.consumer] = None
    for name, contract in contracts.items():
        replacement = find_replacement(contract, contracts.values())
        if replacement and replacement.table != contract.table:
            reading = readers.get(contract.table, {})
            unclear = {q.consumer for q in contract.queries if verdicts.get(get_key(q), Verdict()).columns is None}
            known = {*reading, *({query.consumer for query in contract.queries} - unclear)}
            consumers = [consumer["name"] for consumer in contract.spec.get("consumers", [])]
            yield name, UnmovedConsumers(tuple(reading), tuple(who for who in consumers if who not in known))


def render_drop_call(table: TableName, table_type: str) -> str:
    """The call of a migration that drops the table or view."""
    if relation := _RELATIONS.get(table_type):
        return f"op.execute({f'DROP {relation} {quote_table(*table)}'!r})"
    schema, name = (json.dumps(part, ensure_ascii=False) for part in table)
    return f"op.drop_table({name})" if table[0] == "public" else f"op.drop_table({name}, schema={schema})"
