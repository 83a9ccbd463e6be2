"""How the tables of this checkout differ from those of the base: two traces become a list of changes; pure."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from functools import partial
from operator import attrgetter
from typing import Any, Literal, TypeVar

from data_contract_components.contract_definition.contract_spec import TableName
from data_contract_components.detection._get_data_catalog import CONSTRAINT_COLUMNS
from data_contract_components.detection.migration_changes.changes import Place, SchemaChange
from data_contract_components.detection.migration_changes.migration_trace import Reader, Trace, TracedColumn

SIMILAR_NAMES = 0.5
# What the parts of a column say in more detail.
_KEYS_OF_PARTS = ("physicalType", "fields", "generation_expression")
# The attributes by which two states are compared.
COLUMN_ATTRIBUTES: dict[str, Reader] = {
    key: attrgetter(key)
    for key in ("data_type", *CONSTRAINT_COLUMNS, "identity_generation", "comment")
    if key not in _KEYS_OF_PARTS
}
TABLE_ATTRIBUTES: dict[str, Reader] = {"table_type": attrgetter("table_type"), "comment": attrgetter("table_comment")}
_column_parts, _table_parts = attrgetter("column_parts"), attrgetter("table_parts")
# With the table's oid, as a column's name says nothing without its table.
_column_name, _table_name = attrgetter("table_oid", "column_name"), attrgetter("table")
_type = attrgetter("data_type", "udt_name", "domain_name")
Name = TypeVar("Name", str, TableName)
# Pairs of an old and a new name, and whether that is certain; the names that are gone; the new names.
_Match = tuple[list[tuple[Name, Name, bool]], list[Name], list[Name]]


@dataclass(frozen=True)
class _Table:
    """The columns of a table by name, in their order; each of them describes the table, so the first does."""

    oid: int
    first: TracedColumn
    columns: dict[str, TracedColumn]


def find_schema_changes(
    base: Trace, head: Trace, head_paths: Mapping[str, str], contract_names: Mapping[TableName, Iterable[str]]
) -> list[SchemaChange]:
    """The differences between the last tables of `base` and those of `head`, ordered by table and column.

    `head_paths` are the files of the head's revisions, `contract_names` the contracts of either side by table.
    """
    return sorted(_Comparison(base, head, head_paths, contract_names).find_changes(), key=_order)


def _order(change: SchemaChange) -> tuple[str, ...]:
    names = (change.table_schema, change.table_name, change.column_name or "")
    # Lost rows and new names are more than a changed attribute, so they come before it.
    kind = ("1" if change.change == "changed" else "0") + change.change
    return (*names, kind, change.key or "", str(change.before), str(change.after))


class _Names:
    """All names that each table, by oid, and each column had in a trace, first to last."""

    def __init__(self, trace: Trace) -> None:
        self.of_tables: dict[int, set[TableName]] = {}
        self.of_columns: dict[tuple[int, int], set[str]] = {}
        states = (after for step in trace.steps for _, after in step.columns.values())
        for column in filter(None, (*trace.first.values(), *states)):
            self.of_tables.setdefault(column.table_oid, set()).add(column.table)
            self.of_columns.setdefault(column.key, set()).add(column.column_name)


class _Comparison:
    def __init__(
        self, base: Trace, head: Trace, head_paths: Mapping[str, str], contract_names: Mapping[TableName, Iterable[str]]
    ) -> None:
        self.base, self.head, self.head_paths, self.contract_names = base, head, head_paths, contract_names
        self.base_tables, self.head_tables = _get_tables(base), _get_tables(head)
        self.losses = _find_losses(base, head)
        self.base_names, self.head_names = _Names(base), _Names(head)

    def find_changes(self) -> Iterator[SchemaChange]:
        pairs, removed, added = self._match_tables()
        for name, new_name, is_certain in pairs:
            yield from self._compare_tables(self.base_tables[name], self.head_tables[new_name], is_certain)
        for name in removed:
            table = self.base_tables[name]
            # The base may have renamed what this checkout drops.
            head_place = self.head.find_removal(_table_name, self.base_names.of_tables[table.oid])
            place = self._choose_place(head_place, self.base.find_change_of_table(table.oid, _table_name))
            yield self._change("removed", name, name, place, before=_table_attributes(table))
        for name in added:
            table = self.head_tables[name]
            head_place = self.head.find_change_of_table(table.oid, _table_name)
            place = self._choose_place(head_place, self.base.find_removal(_table_name, {name}))
            yield self._change("added", name, name, place, after=_table_attributes(table))

    def _match_tables(self) -> _Match[TableName]:
        head_names = set().union(*self.head_names.of_tables.values())

        def is_same(name: TableName, new_name: TableName) -> bool:
            oid, new_oid = self.base_tables[name].oid, self.head_tables[new_name].oid
            # They are one database, or clones of one, and a server gives out no oid twice.
            return oid == new_oid or not self.base_names.of_tables[oid].isdisjoint(self.head_names.of_tables[new_oid])

        def rate(name: TableName, new_name: TableName) -> float | None:
            if name in head_names or _shape(self.base_tables[name]) != _shape(self.head_tables[new_name]):
                return None
            return _similarity(name[1], new_name[1])

        return _match(self.base_tables, self.head_tables, is_same, rate)

    def _compare_tables(self, table: _Table, new_table: _Table, is_certain: bool) -> Iterator[SchemaChange]:
        name, new_name = table.first.table, new_table.first.table
        oid, place = self.losses.get(name, (new_table.oid, None))
        if name == new_name and oid != new_table.oid and table.first.table_type == "BASE TABLE":
            yield self._change("replaced", name, name, place)
        for key, old, new in zip(("table_schema", "table_name"), name, new_name, strict=True):
            if old != new:
                place = self._find_change_of_table(table, new_table, attrgetter(key))
                yield self._change("renamed", name, new_name, place, key=key, before=old, after=new, certain=is_certain)
        for key, old, new, read in _find_differences(table.first, new_table.first, TABLE_ATTRIBUTES, _table_parts):
            place = self._find_change_of_table(table, new_table, read)
            yield self._change("changed", name, new_name, place, key=key, before=old, after=new)
        pairs, removed, added = self._match_columns(table, new_table)
        new_names = {pair[0]: pair[1] for pair in pairs}
        order = [new_names[column] for column in table.columns if column in new_names]
        new_order = [column for column in new_table.columns if column in order]
        # In a table that is the same, only a column that was replaced has another place.
        if order != new_order and table.oid != new_table.oid:
            place = self._find_change_of_table(table, new_table, attrgetter("table_oid"))
            yield self._change("changed", name, new_name, place, key="ordinal_position", before=order, after=new_order)
        for column, other, is_certain_column in pairs:
            before, after = table.columns[column], new_table.columns[other]
            number, place = self.losses.get((new_table.oid, column), (after.column_number, None))
            # The values of one that is generated need no copy.
            if column == other and number != after.column_number and not after.is_generated:
                yield self._change("replaced", name, new_name, place, column)
            if column != other:
                place = self._find_change_of_column(before, after, _column_name)
                yield self._change(
                    "renamed", name, new_name, place, column, "column_name", column, other, is_certain_column
                )
            for key, old, new, read in _find_differences(before, after, COLUMN_ATTRIBUTES, _column_parts):
                place = self._find_change_of_column(before, after, read)
                yield self._change("changed", name, new_name, place, column, key, old, new)
        for column in removed:
            old_column = table.columns[column]
            place = self._find_removal(old_column, new_table)
            yield self._change("removed", name, new_name, place, column, before=_column_attributes(old_column))
        for column in added:
            place = self.base.find_removal(_column_name, {(table.oid, column)})
            place = place or self.base.find_removal(_table_name, {name})
            new_column = new_table.columns[column]
            place = self._choose_place(self.head.find_change_of_column(new_column, _column_name), place)
            yield self._change("added", new_name, name, place, column, after=_column_attributes(new_column))

    def _match_columns(self, table: _Table, new_table: _Table) -> _Match[str]:
        names, new_names = self.base_names.of_columns, self.head_names.of_columns
        head_names = {name for key, known in new_names.items() if key[0] == new_table.oid for name in known}
        gaps, new_gaps = _find_gaps(table, new_table), _find_gaps(new_table, table)

        def is_same(column: str, new_column: str) -> bool:
            key, new_key = table.columns[column].key, new_table.columns[new_column].key
            return not names[key].isdisjoint(new_names[new_key]) or (key == new_key and key in self.head.first)

        def rate(column: str, new_column: str) -> float | None:
            before, after = table.columns[column], new_table.columns[new_column]
            # What a later revision dropped was not renamed, and the position of what it adds says nothing.
            if column in head_names or gaps[column] != new_gaps[new_column] or _type(before) != _type(after):
                return None
            similarity = _similarity(column, new_column)
            if similarity < SIMILAR_NAMES and (before.comment or "") != after.comment:
                return None
            return similarity + int(before.comment == after.comment)

        return _match(table.columns, new_table.columns, is_same, rate)

    def _find_change_of_table(self, table: _Table, new_table: _Table, read: Reader) -> Place | None:
        return self._choose_place(
            self.head.find_change_of_table(new_table.oid, read), self.base.find_change_of_table(table.oid, read)
        )

    def _find_change_of_column(self, before: TracedColumn, after: TracedColumn, read: Reader) -> Place | None:
        # The base may have made it already, under a name that this checkout takes away.
        place = self.head.find_change_of_column(after, read) or self.head.find_change_of_column(after, _column_name)
        return self._choose_place(place, self.base.find_change_of_column(before, read))

    def _find_removal(self, column: TracedColumn, new_table: _Table) -> Place | None:
        """The call that removed it; where the head never had it, the call that makes the table without it."""
        names = {(new_table.oid, name) for name in self.base_names.of_columns[column.key]}
        place = self.head.find_removal(_column_name, names)
        origin = self.base.find_change_of_column(column, _column_name)
        creation = self.head.find_creation_of_table(new_table.oid)
        if creation and (origin is None or creation.revision == origin.revision):
            place = place or creation
        return self._choose_place(place, origin)

    def _choose_place(self, head_place: Place | None, base_place: Place | None) -> Place | None:
        """The call of the head, or else that of the base, which is gone: the file with its revision, without a line."""
        if head_place or not base_place:
            return head_place
        return replace(base_place, path=self.head_paths.get(str(base_place.revision), base_place.path), line=None)

    def _change(
        self,
        change: Literal["added", "removed", "renamed", "replaced", "changed"],
        name: TableName,
        other_name: TableName,
        place: Place | None,
        column: str | None = None,
        key: str | None = None,
        before: Any = None,
        after: Any = None,
        certain: bool = True,
    ) -> SchemaChange:
        names = sorted({*self.contract_names.get(name, ()), *self.contract_names.get(other_name, ())})
        return SchemaChange(change, *name, column, key, before, after, certain, tuple(names), place)


def _match(
    before: Collection[Name],
    after: Collection[Name],
    is_same: Callable[[Name, Name], bool],
    rate: Callable[[Name, Name], float | None],
) -> _Match[Name]:
    """Which names of `before` are which of `after`, and whether that is certain; what is gone; what is new.

    Each name is in at most one pair: first the equal ones, then those that are the same, then the best rated.
    """
    pairs = [(name, name, True) for name in before if name in after]
    gone, new = [name for name in before if name not in after], [name for name in after if name not in before]
    candidates = [(name, new_name) for name in sorted(gone) for new_name in sorted(new)]
    ranked = [(name, new_name, True) for name, new_name in candidates if is_same(name, new_name)]
    ratings = [(rate(name, new_name), name, new_name) for name, new_name in candidates]
    likely = [(-rating, name, new_name) for rating, name, new_name in ratings if rating is not None]
    ranked += [(name, new_name, False) for _, name, new_name in sorted(likely)]
    for name, new_name, is_certain in ranked:
        if name in gone and new_name in new:
            pairs.append((name, new_name, is_certain))
            gone.remove(name)
            new.remove(new_name)
    return pairs, gone, new


def _similarity(name: str, other_name: str) -> float:
    return SequenceMatcher(None, name, other_name, autojunk=False).ratio()


def _get_tables(trace: Trace) -> dict[TableName, _Table]:
    tables: dict[TableName, _Table] = {}
    for (oid, _), column in sorted(trace.last.items()):
        tables.setdefault(column.table, _Table(oid, column, {})).columns[column.column_name] = column
    return tables


def _shape(table: _Table) -> dict[str, object]:
    return {name: _type(column) for name, column in table.columns.items()}


def _find_losses(base: Trace, head: Trace) -> dict[tuple[Any, str], tuple[int, Place]]:
    """The tables and columns of the base that lost their name in a revision that only the head has, with the call.

    Shape: the oid by name of a table, the number by oid and name of a column. An edited revision loses nothing, as it
    is not run again on the database of the base.
    """
    base_revisions = {step.place.revision for step in base.steps}
    kept = set(head.first)
    losses: dict[tuple[Any, str], tuple[int, Place]] = {}
    for step in head.steps:
        if step.place.revision in base_revisions:
            kept |= step.columns.keys()
            continue
        for (oid, number), (before, after) in step.columns.items():
            if before and (oid, number) in kept:
                if not after or after.table != before.table:
                    losses[before.table] = (oid, step.place)
                if before.table_type == "BASE TABLE" and not (after and after.column_name == before.column_name):
                    losses[oid, before.column_name] = (number, step.place)
    return losses


def _column_attributes(column: TracedColumn) -> dict[str, Any]:
    attributes = {key: value for key, read in COLUMN_ATTRIBUTES.items() if (value := read(column)) is not None}
    return attributes | _group_parts(column.column_parts)


def _table_attributes(table: _Table) -> dict[str, Any]:
    attributes = {key: read(table.first) for key, read in TABLE_ATTRIBUTES.items()}
    attributes |= _group_parts(table.first.table_parts)
    return attributes | {"columns": {name: _column_attributes(column) for name, column in table.columns.items()}}


def _group_parts(parts: list[list[Any]]) -> dict[str, list[Any]]:
    """The definitions by key."""
    return {key: [definition for other, _, definition, _ in parts if other == key] for key, *_ in parts}


def _find_differences(
    before: TracedColumn, after: TracedColumn, attributes: Mapping[str, Reader], parts: Reader
) -> Iterator[tuple[str, Any, Any, Reader]]:
    """Key, both values and how to read them from a column, for each attribute and part that differs."""
    for key, read in attributes.items():
        if read(before) != read(after):
            yield key, read(before), read(after), read
    gone, new = _find_unknown(parts(before), parts(after)), _find_unknown(parts(after), parts(before))
    for key, name in sorted(gone.keys() | new.keys()):
        if key == "function" and (key, name) not in new:
            continue  # what called it is gone, or calls another
        yield key, gone.get((key, name)), new.get((key, name)), partial(_read_part, parts, key, name)
    fields, new_fields = _read_fields(parts, before), _read_fields(parts, after)
    order = [name for name in fields if name in new_fields]
    new_order = [name for name in new_fields if name in fields]
    if order != new_order:
        yield "fields", order, new_order, partial(_read_fields, parts)


def _find_unknown(parts: list[list[Any]], others: list[list[Any]]) -> dict[tuple[str, str], Any]:
    """The definitions of those of `parts`, by key and name, that are not in `others` under any name."""
    known = {(key, str(value)) for key, _, *values in others for value in values if value is not None}
    return {
        (key, name): definition
        for key, name, definition, version in parts
        if known.isdisjoint({(key, str(definition)), (key, str(version))})
    }


def _read_part(parts: Reader, key: str, name: str, column: TracedColumn) -> list[Any]:
    return [version or definition for *names, definition, version in parts(column) if names == [key, name]]


def _read_fields(parts: Reader, column: TracedColumn) -> list[str]:
    return [name.lstrip(".[]") for key, name, *_ in parts(column) if key == "field"]


def _find_gaps(table: _Table, other: _Table) -> dict[str, str | None]:
    """For each column that `other` lacks, the nearest common column before it; None: there is none."""
    gaps: dict[str, str | None] = {}
    previous = None
    for name in table.columns:
        if name in other.columns:
            previous = name
        else:
            gaps[name] = previous
    return gaps
