"""What a pull request does to the consumers' queries: two states of consumers become violations; pure."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping

from data_contract_components.contract_definition.contract_spec import ConsumerQuery, Contract, TableName
from data_contract_components.detection._consumer_queries import (
    QueryKey,
    Refusal,
    Verdict,
    find_failed_query,
    get_key,
)
from data_contract_components.detection.contract_violation_detector import Violation, make_query_violation
from data_contract_components.detection.failed_query import UntriedQuery
from data_contract_components.detection.migration_changes.changes import Place, SchemaChange

WORD = re.compile(r"\w+")
DOWNGRADE = re.compile(r"^def downgrade\b", re.MULTILINE)
# No query depends on these.
UNNOTICED_KEYS = ("comment", "ordinal_position")
CONSTRAINT_KEYS = ("constraint", "references", "unique", "primaryKey")
Verdicts = Mapping[QueryKey, Verdict]


def find_query_changes(
    contracts: Mapping[str, Contract], known: Collection[QueryKey], base: Verdicts, head: Verdicts
) -> Iterator[Violation]:
    """The queries that both sides accept, and that then do something else.

    A reader's gives other columns than before, if it is one of `known`, the queries of the base; a writer's fails when
    it is run, and did not in the base.
    """
    for contract_name, contract in contracts.items():
        for query in contract.queries:
            key = get_key(query)
            before, after = base.get(key, Verdict()), head.get(key, Verdict())
            if before.refusal or after.refusal:
                continue
            if after.failure and not (before.failure or before.not_tried):
                yield make_query_violation(contract_name, contract, query, after.failure)
            elif key in known and None not in (before.columns, after.columns) and before.columns != after.columns:
                failed = find_failed_query(query, None)
                values = (list(before.columns or ()), list(after.columns or ()))
                names = (contract_name, *contract.table, query.name)
                yield Violation(*names, "resultColumns", *values, None, query.json_path, failed)


def find_untried_queries(contracts: Mapping[str, Contract], base: Verdicts, head: Verdicts) -> Iterator[UntriedQuery]:
    """The writers' queries of which nothing is known: this checkout accepts none of them when they are run."""
    for contract_name, contract in contracts.items():
        for query in contract.queries:
            before, after = base.get(get_key(query), Verdict()), head.get(get_key(query), Verdict())
            refusal = before.refusal or before.failure
            reason = after.not_tried
            if after.failure and (refusal or before.not_tried):
                reason = _render_refusal(refusal) if refusal else before.not_tried
            if reason and not after.refusal:
                yield UntriedQuery(contract_name, query.consumer, query.name, reason)


def _render_refusal(refusal: Refusal) -> str:
    return f"the base refuses it: {refusal.message} (SQL state {refusal.sql_state})"


def find_read_columns(
    contracts: Mapping[str, Contract], before: Verdicts, after: Verdicts
) -> dict[str, tuple[str, ...]]:
    """The columns of each contract's table that queries read, also those of other contracts; without unread tables.

    A query that is refused now counts with what it read `before`.
    """
    verdicts = merge_verdicts(before, after)
    columns: dict[TableName, set[str]] = {}
    for contract in contracts.values():
        for query in contract.queries:
            for table_schema, table_name, column_name in verdicts.get(get_key(query), Verdict()).reads:
                columns.setdefault((table_schema, table_name), set()).update([column_name] if column_name else [])
    return {name: tuple(sorted(columns[c.table])) for name, c in contracts.items() if c.table in columns}


def merge_verdicts(before: Verdicts, after: Verdicts) -> Verdicts:
    """The verdict on each query `after`, or the one `before` where it is refused now."""
    return {**before, **{key: verdict for key, verdict in after.items() if not verdict.refusal}}


def find_query_cause(
    changes: Iterable[SchemaChange],
    new_texts: Mapping[str, tuple[str, str]],
    query: ConsumerQuery,
    table: TableName,
    before: Verdict,
    refusal: Refusal | None,
) -> SchemaChange | Place | None:
    """What changed the query: the change that fits best what it reads and what PostgreSQL names, if there is one.

    What is no part of a table, as a function, is looked for by its name in `new_texts`, path and text by revision.
    """
    names = _find_names(refusal.message) if refusal else []
    words = set(WORD.findall(query.text))
    tables = {table, *(read[:2] for read in before.reads)}
    candidates = [
        change
        for change in changes
        if change.place
        and change.key not in UNNOTICED_KEYS
        and ((change.table_schema, change.table_name) in tables or change.table_name in words)
    ]

    def is_read(change: SchemaChange) -> bool:
        column = (change.table_schema, change.table_name, change.column_name)
        return column in before.reads if before.reads else change.column_name in words

    of_tables = [c for c in candidates if c.column_name is None]
    of_constraint = (c for c in candidates if refusal and refusal.constraint_name and c.key in CONSTRAINT_KEYS)
    of_named_column = (c for c in candidates if c.column_name in names)
    of_named_table = (c for c in of_tables if c.change != "changed" and c.table_name in names)
    of_column = (c for c in candidates if c.column_name and is_read(c) and c.change != "added")
    of_new_column = (c for c in candidates if c.column_name and c.change == "added" and refusal is None)
    of_table = (c for c in of_tables if c.change != "added")
    ranked = (of_constraint, of_named_column, of_named_table, of_column, of_new_column, of_table)
    return next((change for found in ranked for change in found), None) or _find_in_texts(new_texts, names)


def _find_names(message: str) -> list[str]:
    """What the message names: in quotes, with a dot, or in front of a parenthesis; the last part of it first."""
    dotted = re.findall(r"(\w+)\.(\w+)", message)
    parts = [part for pair in dotted for part in reversed(pair)]
    return [*re.findall(r'"([^"]+)"', message), *parts, *re.findall(r"(\w+)\(", message)]


def _find_in_texts(new_texts: Mapping[str, tuple[str, str]], names: Iterable[str]) -> Place | None:
    """The last line of a new upgrade that has one of the names; if only one revision is new, its file at least."""
    for name in names:
        pattern = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)")
        for revision, (path, text) in reversed(list(new_texts.items())):
            upgrade = DOWNGRADE.split(text)[0]
            if found := [line for line, words in enumerate(upgrade.split("\n"), start=1) if pattern.search(words)]:
                return Place(path, found[-1], revision)
    if len(new_texts) == 1:
        ((revision, (path, _)),) = new_texts.items()
        return Place(path, None, revision)
    return None
