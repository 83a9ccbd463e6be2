"""Random tables and random changes of them, with what a contract has to contain according to their SQL."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir

from data_contract_components.contract_definition._column_types import parse_built_in_type
from data_contract_components.contract_definition.spec_problems import SCHEMA_DIRECTORY
from tests import RUN_DIRECTORY

# Hypothesis keeps what it finds out about the code here, not in the directory that the tests are run in.
set_hypothesis_home_dir(RUN_DIRECTORY / "hypothesis")

MAX_TABLES = 8

ELEMENT_KEYS = (
    *("data_type", "character_maximum_length", "numeric_precision", "numeric_scale", "datetime_precision", "udt_name"),
)
KEYS_OF_1_0 = (
    *("primaryKey", "data_type", "character_maximum_length", "numeric_precision", "datetime_precision"),
    *("is_nullable", "is_updatable", "array_element_data_type", "array_element_character_maximum_length"),
    *("array_element_numeric_precision", "array_element_datetime_precision"),
)
NUMBERS = {"smallint": ("int2", 16), "integer": ("int4", 32), "bigint": ("int8", 64)}
FLOATS = {"real": ("float4", 24), "double precision": ("float8", 53)}
MOMENTS = {
    "time": ("time{} without time zone", "time"),
    "timetz": ("time{} with time zone", "timetz"),
    "timestamp": ("timestamp{} without time zone", "timestamp"),
    "timestamptz": ("timestamp{} with time zone", "timestamptz"),
}
FIELDS = ("year", "month", "day", "hour", "minute", "year to month", "day to hour", "day to minute", "hour to minute")
FIELDS_WITH_SECONDS = ("second", "day to second", "hour to second", "minute to second")
OTHERS = ("boolean", "json", "jsonb", "uuid", "bytea", "inet", "xml", "money", "point", "int4range", "tsvector", "oid")
UDT_NAMES = {"boolean": "bool"}
KEYS_OF_1_2 = ("physicalType", "fields", "generation_expression")
BUILT_IN_NAMES = json.loads((SCHEMA_DIRECTORY / "contract_spec_1.2.0.schema.json").read_text())["$defs"]["data_type"][
    "anyOf"
][0]["enum"]
NOT_INDEXABLE = ("json", "xml", "point")
COLLATIONS = ("", "C", "POSIX", "ucs_basic")


def random_settings(*, max_examples: int) -> settings:
    """The same examples on each run, `max_examples` at most; with RANDOM_EXAMPLES=1000, a thousand new ones."""
    wanted = os.environ.get("RANDOM_EXAMPLES")
    return settings(
        max_examples=int(wanted or max_examples),
        derandomize=not wanted,
        deadline=None,
        database=None,
        print_blob=False,
        suppress_health_check=[HealthCheck.too_slow],
    )


def quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    # E'' and doubled backslashes, as a plain literal depends on a setting of the server.
    return " E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


@dataclass(frozen=True)
class Type:
    """A type: its SQL, its values in information_schema, and which of them a contract of 1.1.0 does not mention."""

    sql: str
    facts: dict[str, Any]
    unsaid: tuple[str, ...] = ("udt_name",)
    collation: str = ""
    setup: tuple[str, ...] = ()
    enum: str = ""
    is_not_null: bool = False

    @property
    def definition(self) -> str:
        return self.sql + (f" collate {quote(self.collation)}" if self.collation else "")

    @property
    def physical_type(self) -> str:
        """As PostgreSQL prints it if it is one of its own types; otherwise equal for equal types only."""
        built_in = parse_built_in_type(self.sql, BUILT_IN_NAMES)
        return built_in.text if built_in else re.sub(r"(\[\])+$", "[]", self.sql)

    @property
    def is_indexable(self) -> bool:
        return not {self.facts["data_type"], self.facts.get("array_element_data_type")} & {*NOT_INDEXABLE}


@dataclass(frozen=True)
class Column:
    type: Type
    is_not_null: bool = False
    is_primary: bool = False
    is_unique: bool = False
    is_reference: bool = False
    is_updatable: bool = True
    default: str = ""
    identity: str = ""
    is_generated: bool = False

    def render(self) -> str:
        parts = [self.type.definition, "not null" if self.is_not_null else ""]
        parts += [f"default {self.default}" if self.default else "", self.identity]
        return " ".join([*parts, f"generated always as ({self.expression()}) stored" if self.is_generated else ""])

    def expression(self) -> str:
        """An expression that has this type, whatever that is, and that PostgreSQL does not simplify to NULL."""
        return f"coalesce(null::{self.type.sql})"


@dataclass(frozen=True)
class Key:
    """UNIQUE over some columns, or CHECK that one is not null, or ("partial") a unique index where it is null."""

    kind: str
    columns: tuple[str, ...]

    @property
    def name(self) -> str:
        return constraint(f"{self.kind} of", self.columns[0])

    def render(self, table: str) -> str:
        columns = ", ".join(map(quote, self.columns))
        if self.kind == "checks":
            return f"alter table {table} add constraint {self.name} check ({columns} is not null)"
        if self.kind == "partial":
            return f"create unique index on {table} ({columns}) where {columns} is null"
        return f"alter table {table} add constraint {self.name} unique ({columns})"


@dataclass(frozen=True)
class Table:
    schema: str
    name: str
    columns: dict[str, Column]
    target: dict[str, str]
    table_type: str = "BASE TABLE"
    keys: tuple[Key, ...] = ()
    is_primary_key_reversed: bool = False
    setup: list[str] = field(default_factory=list)

    @property
    def sql(self) -> str:
        return f"{quote(self.schema)}.{quote(self.name)}"

    @property
    def primary_key(self) -> list[str]:
        names = [name for name, column in self.columns.items() if column.is_primary]
        return names[::-1] if self.is_primary_key_reversed else names

    @property
    def constraints(self) -> set[Key]:
        """What a contract can list or exclude, the order of columns aside."""
        constraints = {Key(key.kind, tuple(sorted(key.columns))) for key in self.keys}
        constraints |= {Key("unique", (name,)) for name, column in self.columns.items() if column.is_unique}
        return constraints | {
            Key("references", (name,)) for name, column in self.columns.items() if column.is_reference
        }

    def render(self) -> str:
        """The SQL that makes the table, and before it whatever it needs."""
        lines = [f"{quote(name)} {column.render()}" for name, column in self.columns.items()]
        for name, column in self.columns.items():
            if column.is_reference:
                lines.append(self.foreign_key(name))
        if self.primary_key:
            lines.append(f"constraint {PRIMARY_KEY} primary key ({', '.join(map(quote, self.primary_key))})")
        # Within CREATE TABLE, PostgreSQL leaves out a UNIQUE over the columns of the primary key.
        unique = [
            f"alter table {self.sql} add constraint {constraint('unique', name)} unique ({quote(name)})"
            for name, column in self.columns.items()
            if column.is_unique
        ]
        keys = [key.render(self.sql) for key in self.keys]
        return "; ".join([*self.setup, f"create table {self.sql} ({', '.join(lines)})", *unique, *keys])

    def foreign_key(self, name: str) -> str:
        target = f"{quote(self.target['table_schema'])}.{quote(self.target['table_name'])}"
        key = f"foreign key ({quote(name)}) references {target} ({quote(self.target['column_name'])})"
        return f"constraint {constraint('reference', name)} {key}"

    def facts(self, name: str) -> dict[str, Any]:
        """Everything that the dialect has a key for."""
        column = self.columns[name]
        is_domain_not_null = column.type.is_not_null and self.table_type == "BASE TABLE"
        is_nullable = not (column.is_not_null or column.is_primary or column.identity or is_domain_not_null)
        return column.type.facts | {
            "primaryKey": column.is_primary,
            "is_nullable": is_nullable,
            "is_updatable": column.is_updatable,
            "column_default": column.default or None,
            "is_identity": bool(column.identity),
            "is_generated": column.is_generated,
            "unique": column.is_unique,
            "references": self.target if column.is_reference else None,
            "domain_name": column.type.facts.get("domain_name"),
            "physicalType": column.type.physical_type,
            "generation_expression": column.expression() if column.is_generated else None,
        }

    def promises(self, name: str, version: str) -> dict[str, Any]:
        """The keys and values that a generated contract has for the column."""
        facts = self.facts(name)
        if version == "1.0.0":
            return {key: facts[key] for key in KEYS_OF_1_0 if facts.get(key) is not None}
        unsaid = (*self.columns[name].type.unsaid, *(KEYS_OF_1_2 if version < "1.2.0" else ()))
        return {key: value for key, value in facts.items() if key not in unsaid}

    def change(self, name: str, **values: Any) -> Table:
        return replace(self, columns=self.columns | {name: replace(self.columns[name], **values)})

    def rename(self, name: str, new_name: str) -> Table:
        columns = {new_name if key == name else key: value for key, value in self.columns.items()}
        keys = [
            Key(key.kind, tuple(new_name if column == name else column for column in key.columns)) for key in self.keys
        ]
        return replace(self, columns=columns, keys=tuple(keys))

    def drop(self, name: str) -> Table:
        table = self.drop_primary_key() if self.columns[name].is_primary else self
        columns = {key: value for key, value in table.columns.items() if key != name}
        return replace(table, columns=columns, keys=tuple(key for key in self.keys if name not in key.columns))

    def with_keys(self, *keys: Key) -> Table:
        return replace(self, keys=(*self.keys, *keys))

    def drop_primary_key(self) -> Table:
        # The columns stay NOT NULL.
        columns = {
            name: replace(column, is_primary=False, is_not_null=True) if column.is_primary else column
            for name, column in self.columns.items()
        }
        return replace(self, columns=columns, is_primary_key_reversed=False)


def constraint(kind: str, column_name: str) -> str:
    # In front, as what is longer than a name may be is cut off at its end.
    return quote(f"{kind} {column_name}")


PRIMARY_KEY = quote('key "%s"; drop')

odd_characters = st.sampled_from(
    """abAB019_ "'%;:.,\\/{}[]()$|&<>*?-\n\t\r\u00e9\u00df\u0130\u00a0\u540d\U0001f600e\u0301"""
)
names = st.one_of(
    st.text(odd_characters, min_size=1, max_size=12),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=15),
    st.sampled_from(
        ["select", "nan", "NULL", "<NA>", "None", "x-y", "_merge", "data_type", "%(table_names)s", "%s", "a" * 55]
    ),
    # Of schemas, PostgreSQL keeps these for itself; hypothesis draws strings that stand in the code as well.
).filter(lambda name: not name.startswith("pg_"))


def _simple(data_type: str, udt_name: str, sql: str = "", **facts: Any) -> Type:
    return Type(sql or data_type, {"data_type": data_type, "udt_name": udt_name} | facts)


def _number(data_type: str) -> Type:
    udt_name, bits = NUMBERS[data_type]
    type_ = _simple(data_type, udt_name, numeric_precision=bits, numeric_scale=0)
    return replace(type_, unsaid=("udt_name", "numeric_scale"))


def _numeric(precision: int, scale: int | None) -> Type:
    sql = f"numeric({precision})" if scale is None else f"numeric({precision}, {scale})"
    # information_schema reads a negative scale without its sign.
    return _simple("numeric", "numeric", sql, numeric_precision=precision, numeric_scale=(scale or 0) & 2047)


def _bounded(sql: str, bound: int | None) -> str:
    return sql.format("" if bound is None else f"({bound})")


def _moment(name: str, precision: int | None) -> Type:
    data_type, udt_name = MOMENTS[name]
    digits = 6 if precision is None else precision
    return _simple(data_type.format(""), udt_name, _bounded(data_type, precision), datetime_precision=digits)


def _interval(fields: str, precision: int | None) -> Type:
    interval_type = _bounded(fields.upper() + "{}", precision) if fields else None
    digits = 6 if precision is None else precision
    sql = _bounded(f"interval {fields}{{}}", precision)
    return _simple("interval", "interval", sql, datetime_precision=digits, interval_type=interval_type)


def _text(data_type: str, udt_name: str, length: int | None, collation: str) -> Type:
    type_ = _simple(data_type, udt_name) if udt_name == "text" else _bits(data_type, udt_name, length)
    return replace(type_, facts=type_.facts | {"collation_name": collation or None}, collation=collation)


def _bits(data_type: str, udt_name: str, length: int | None) -> Type:
    default = 1 if udt_name in ("bit", "bpchar") else None
    return _simple(data_type, udt_name, _bounded(data_type + "{}", length), character_maximum_length=length or default)


lengths = st.none() | st.integers(1, 5)
precisions = st.none() | st.integers(0, 6)
collations = st.sampled_from(COLLATIONS)
# What a type is wrapped into, from the inside.
layers = st.sampled_from(
    [
        *[()] * 9,
        *[("array",), ("domain",), ("array", "domain"), ("domain", "array"), ("domain", "domain")],
        *[("domain", "array", "domain"), ("array", "domain", "array")],
    ]
)
FAMILIES: dict[str, st.SearchStrategy[Type]] = {
    "whole": st.sampled_from([*[_number("integer")] * 3, _number("smallint"), _number("bigint")]),
    "inexact": st.sampled_from([_simple(name, udt, numeric_precision=bits) for name, (udt, bits) in FLOATS.items()]),
    "numeric": st.one_of(
        st.just(_simple("numeric", "numeric", numeric_precision=None, numeric_scale=None)),
        st.builds(_numeric, st.integers(1, 9), st.none() | st.integers(-3, 11)),
    ),
    "text": st.one_of(
        st.builds(_text, st.just("text"), st.just("text"), st.none(), collations),
        st.builds(_text, st.just("character varying"), st.just("varchar"), lengths, collations),
        st.builds(_text, st.just("character"), st.just("bpchar"), lengths, collations),
        st.just(_simple("name", "name", collation_name="C")),
    ),
    "bits": st.one_of(
        st.builds(_bits, st.just("bit"), st.just("bit"), lengths),
        st.builds(_bits, st.just("bit varying"), st.just("varbit"), lengths),
    ),
    "moment": st.one_of(
        st.builds(_moment, st.sampled_from([*MOMENTS]), precisions),
        st.just(_simple("date", "date", datetime_precision=0)),
    ),
    "interval": st.one_of(
        st.builds(_interval, st.sampled_from(["", *FIELDS_WITH_SECONDS]), precisions),
        st.builds(_interval, st.sampled_from(FIELDS), st.none()),
    ),
    "other": st.sampled_from([_simple(name, UDT_NAMES.get(name, name)) for name in OTHERS]),
}
family_names = st.sampled_from([*FAMILIES, "enum", "composite"])


def _array(element: Type, dimensions: int) -> Type:
    name = element.facts.get("domain_name") or element.facts["udt_name"]
    facts = {key: value for key, value in element.facts.items() if key.startswith("array_element_")}
    unsaid = [key for key in element.unsaid if key in facts]
    if not facts:
        facts = {f"array_element_{key}": element.facts[key] for key in ELEMENT_KEYS if key in element.facts}
        unsaid = [f"array_element_{key}" for key in element.unsaid if key != "udt_name"]
    facts |= {"data_type": "ARRAY", "udt_name": f"_{name}", "array_element_udt_name": name}
    facts["array_element_dimensions"] = element.facts.get("array_element_dimensions", 0) + dimensions
    facts |= {key: element.facts[key] for key in ("enum", "fields", "collation_name") if key in element.facts}
    return replace(
        element,
        sql=element.sql + "[]" * dimensions,
        facts=facts,
        unsaid=("udt_name", "collation_name", *unsaid),
        is_not_null=False,
    )


def _draw_type(draw: st.DrawFn, family: str, schema: str, new_name: Callable[[], str]) -> Type:
    """A type; arrays of it and domains over it."""
    if family in FAMILIES:
        type_ = draw(FAMILIES[family])
    else:
        name = new_name()
        sql = f"{quote(schema)}.{quote(name)}"
        type_ = Type(
            sql, {"data_type": "USER-DEFINED", "udt_name": name}, unsaid=(), enum=sql if family == "enum" else ""
        )
        if family == "enum":
            labels = draw(st.lists(names, min_size=1, max_size=4, unique=True))
            type_.facts["enum"] = labels
            type_ = replace(type_, setup=(f"create type {sql} as enum ({', '.join(map(literal, labels))})",))
        else:
            type_.facts["fields"] = {"a": "integer", "b": "text"}
            type_ = replace(type_, setup=(f"create type {sql} as (a integer, b text)",))
    for layer in draw(layers):
        if layer == "array":
            type_ = _array(type_, draw(st.integers(1, 3)))
            continue
        name, is_not_null = new_name(), draw(st.booleans())
        sql = f"{quote(schema)}.{quote(name)}"
        domain = f"create domain {sql} as {type_.definition}{' not null' if is_not_null else ''}"
        type_ = replace(
            type_,
            sql=sql,
            collation="",
            facts=type_.facts | {"domain_name": name},
            setup=(*type_.setup, domain),
            is_not_null=is_not_null or type_.is_not_null,
        )
    return type_


def _draw_column(draw: st.DrawFn, type_: Type) -> Column:
    column = Column(type_, is_not_null=draw(st.booleans()))
    origin = draw(st.sampled_from(["", "", "default", "identity", "generated"]))
    if origin == "identity" and type_.sql in NUMBERS:
        kind = draw(st.sampled_from(["always", "by default"]))
        column = replace(column, identity=f"generated {kind} as identity")
    elif origin == "default":
        column = replace(column, default=column.expression())
    elif origin == "generated":
        column = replace(column, is_generated=True)
    if type_.is_indexable:
        column = replace(column, is_primary=draw(st.booleans()), is_unique=draw(st.booleans()))
    if type_.sql == "integer":
        column = replace(column, is_reference=draw(st.booleans()))
    return column


@dataclass(frozen=True)
class ChangedTable:
    """A table, the SQL of one change, and the table after it: None where none of its name is left."""

    before: Table
    change: str
    after: Table | None


@st.composite
def changed_tables(draw: st.DrawFn) -> list[ChangedTable]:
    """Several at once, as a check takes about the same time for many as for one."""
    taken: set[str] = set()

    def new_name() -> str:
        name: str = draw(names).encode()[:50].decode(errors="ignore")
        while name in taken:
            name += f"'{len(taken)}"  # short, as PostgreSQL cuts off what is longer than a name may be
        taken.add(name)
        return name

    first_kind = draw(st.integers(0, 7))
    return [
        _draw_changed_table(draw, new_name, first_kind + index) for index in range(draw(st.integers(1, MAX_TABLES)))
    ]


def _draw_changed_table(draw: st.DrawFn, new_name: Callable[[], str], kind: int) -> ChangedTable:
    schema, other_schema, target_schema, added_name = (new_name() for _ in range(4))
    target = {"table_schema": target_schema, "table_name": new_name(), "column_name": new_name()}
    families = draw(st.lists(family_names, min_size=1, max_size=5))
    drawn = {new_name(): _draw_type(draw, family, schema, new_name) for family in families}
    place = draw(st.integers(0, len(families) - 1))
    # Often of the same family, so that a single key differs.
    new_type = _draw_type(draw, draw(st.sampled_from([families[place]]) | family_names), schema, new_name)
    table = Table(schema, new_name(), {name: _draw_column(draw, type_) for name, type_ in drawn.items()}, target)
    indexable = [name for name, column in table.columns.items() if column.type.is_indexable]
    if len(indexable) > 1 and draw(st.booleans()):
        table = table.with_keys(Key("unique", (indexable[1], indexable[0])))
    if draw(st.booleans()):
        table = table.with_keys(Key("checks", (next(iter(table.columns)),)))
    table.setup.extend(f"create schema {quote(name)}" for name in (schema, other_schema, target_schema))
    table.setup.append(
        f"create table {quote(target['table_schema'])}.{quote(target['table_name'])} "
        f"({quote(target['column_name'])} integer primary key)"
    )
    table.setup.extend(statement for type_ in (*drawn.values(), new_type) for statement in type_.setup)
    name = [*table.columns][place]
    kinds = [
        [*_changes_of_the_table(table, added_name, other_schema)],
        [*_changes_of_its_keys(table, name)],
        [*_changes_of_its_type(table, name, new_type)],
        [*_changes_of_its_values(table, name)],
        [*_changes_of_references(table)],
        [*_changes_of_its_type(table, name, new_type)],
        [*_changes_of_a_column(table, name, added_name)],
        [*_changes_of_no_concern(table, name, added_name, other_schema)],
    ]
    # In turn, as hypothesis draws the same thing several times rather than everything once.
    changes = kinds[kind % len(kinds)] or kinds[-1]
    return ChangedTable(table, *draw(st.sampled_from(changes)))


Changes = Iterator[tuple[str, Table | None]]


def _changes_of_the_table(table: Table, new_name: str, other_schema: str) -> Changes:
    yield f"drop table {table.sql}", None
    yield f"alter table {table.sql} rename to {quote(new_name)}", None
    yield f"alter table {table.sql} set schema {quote(other_schema)}", None
    for table_type in ("VIEW", "MATERIALIZED VIEW"):
        source = f"{quote(table.schema)}.{quote(new_name)}"
        sql = f"alter table {table.sql} rename to {quote(new_name)}; create {table_type} {table.sql} as table {source}"
        columns = {
            name: Column(column.type, is_updatable=table_type == "VIEW") for name, column in table.columns.items()
        }
        yield sql, replace(table, columns=columns, keys=(), table_type=table_type)


def _changes_of_its_keys(table: Table, name: str) -> Changes:
    column, quoted, alter = table.columns[name], quote(name), f"alter table {table.sql}"
    drop = f"{alter} drop constraint {PRIMARY_KEY}"
    if table.primary_key:
        yield drop, table.drop_primary_key()
        key = ", ".join(map(quote, table.primary_key))
        unique = table.drop_primary_key()
        if len(table.primary_key) == 1:
            unique = unique.change(table.primary_key[0], is_unique=True)
        else:
            unique = unique.with_keys(Key("unique", tuple(table.primary_key)))
            turned = ", ".join(map(quote, reversed(table.primary_key)))
            yield f"{drop}, add primary key ({turned})", replace(table, is_primary_key_reversed=True)
        yield f"{drop}, add unique ({key})", unique
    for table_key in table.keys:
        left = replace(table, keys=tuple(other for other in table.keys if other != table_key))
        yield f"{alter} drop constraint {table_key.name}", left
    if not column.type.is_indexable:
        return
    if not table.primary_key:
        yield f"{alter} add primary key ({quoted})", table.change(name, is_primary=True)
    elif not column.is_primary:
        longer = table.change(name, is_primary=True)
        yield f"{drop}, add primary key ({', '.join(map(quote, longer.primary_key))})", longer
        yield f"{drop}, add primary key ({quoted})", table.drop_primary_key().change(name, is_primary=True)
    elif len(table.primary_key) > 1:
        yield f"{drop}, add primary key ({quoted})", table.drop_primary_key().change(name, is_primary=True)
    if column.is_unique:
        yield f"{alter} drop constraint {constraint('unique', name)}", table.change(name, is_unique=False)
    else:
        yield f"{alter} add unique ({quoted})", table.change(name, is_unique=True)
        yield f"create unique index on {table.sql} ({quoted})", table.change(name, is_unique=True)


def _changes_of_a_column(table: Table, name: str, new_name: str) -> Changes:
    column, alter = table.columns[name], f"alter table {table.sql}"
    alter_column = f"{alter} alter column {quote(name)}"
    yield f"{alter} drop column {quote(name)}", table.drop(name)
    yield f"{alter} rename column {quote(name)} to {quote(new_name)}", table.rename(name, new_name)
    if table.facts(name)["is_nullable"]:
        yield f"{alter_column} set not null", table.change(name, is_not_null=True)
    elif column.is_not_null and not (column.is_primary or column.identity or column.type.is_not_null):
        yield f"{alter_column} drop not null", table.change(name, is_not_null=False)


def _changes_of_references(table: Table) -> Changes:
    for name, column in table.columns.items():
        if column.is_reference:
            sql = f"alter table {table.sql} drop constraint {constraint('reference', name)}"
            yield sql, table.change(name, is_reference=False)
        elif column.type.sql == "integer":
            yield f"alter table {table.sql} add {table.foreign_key(name)}", table.change(name, is_reference=True)


def _changes_of_its_values(table: Table, name: str) -> Changes:
    column, alter_column = table.columns[name], f"alter table {table.sql} alter column {quote(name)}"
    if column.identity:
        yield f"{alter_column} drop identity", table.change(name, identity="", is_not_null=True)
    elif column.is_generated:
        yield f"{alter_column} drop expression", table.change(name, is_generated=False)
    elif column.default:
        yield f"{alter_column} drop default", table.change(name, default="")
        other = f"coalesce({column.default}, {column.default})"
        yield f"{alter_column} set default {other}", table.change(name, default=other)
    else:
        yield f"{alter_column} set default {column.expression()}", table.change(name, default=column.expression())
        if column.type.sql in NUMBERS:
            identity = "generated by default as identity"
            sql = f"{alter_column} set not null; {alter_column} add {identity}"
            yield sql, table.change(name, identity=identity, is_not_null=True)


def _changes_of_its_type(table: Table, name: str, new_type: Type) -> Changes:
    column, alter_column = table.columns[name], f"alter table {table.sql} alter column {quote(name)}"
    has_value = column.default or column.identity or column.is_generated
    is_in_key = any(key.kind == "unique" and name in key.columns for key in table.keys)
    is_fit = new_type.is_indexable or not (column.is_primary or column.is_unique or is_in_key)
    if is_fit and not (has_value or column.is_reference):
        sql = f"{alter_column} type {new_type.definition} using null::{new_type.sql}"
        yield sql, table.change(name, type=new_type)
    if column.type.enum:
        yield from _changes_of_an_enum(table, name)


def _changes_of_an_enum(table: Table, name: str) -> Changes:
    type_ = table.columns[name].type
    first, *others = type_.facts["enum"]
    alter, label = f"alter type {type_.enum}", "a new 'label'"
    for sql, labels in (
        (f"add value {literal(label)}", [first, *others, label]),
        (f"add value {literal(label)} before {literal(first)}", [label, first, *others]),
        (f"rename value {literal(first)} to {literal(label)}", [label, *others]),
    ):
        yield f"{alter} {sql}", table.change(name, type=replace(type_, facts=type_.facts | {"enum": labels}))


def _changes_of_no_concern(table: Table, name: str, new_name: str, other_schema: str) -> Changes:
    alter, quoted = f"alter table {table.sql}", quote(name)
    added = replace(table, columns=table.columns | {new_name: Column(table.columns[name].type)})
    yield f"{alter} add {quote(new_name)} {table.columns[name].type.definition}", added
    yield f"comment on column {table.sql}.{quoted} is {literal(new_name)}", table
    yield (
        f"{alter} add constraint {quote(new_name)} check ({quoted} is not null)",
        table.with_keys(Key("checks", (name,))),
    )
    yield f"create table {quote(other_schema)}.{quote(table.name)} ({quoted} integer primary key)", table
    yield f"create view {quote(other_schema)}.{quote(table.name)} as table {table.sql}", table
    yield f"create table {quote(other_schema)}.{quote(table.name)} (like {table.sql} including all)", table
    if table.columns[name].type.is_indexable:
        yield f"create index on {table.sql} ({quoted})", table
        partial = Key("partial", (name,))
        yield partial.render(table.sql), table.with_keys(partial)
        yield (
            f"{alter} add {quote(new_name)} integer; {alter} add unique ({quoted}, {quote(new_name)})",
            added.change(new_name, type=INTEGER).with_keys(Key("unique", (name, new_name))),
        )


INTEGER = Type("integer", {"data_type": "integer", "udt_name": "int4", "numeric_precision": 32, "numeric_scale": 0})
