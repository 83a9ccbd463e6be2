"""The types of what a pull request changes, in tables and in contracts. Needs only Python's standard library."""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from data_contract_components.contract_definition._json_text import render_difference, render_value
from data_contract_components.escaping import cut

VALUE_CHARACTERS = 40
# Of a column of a contract, or of one of its clauses.
COLUMN_PATH = re.compile(r"\$\.schema\.properties\.(?P<column>[^.]+)(\.constraints\.(?P<key>[^.]+))?")
Kind = Literal["tightened", "loosened", "added", "removed", "metadata"]
# Whether a contract that was loosened together with its table fails the check, or is only reported.
Loosened = Literal["fail", "report"]
LOOSENED = get_args(Loosened)
# A line of a file. The second part is a keyword of JSON Schema, to which a report that is read is held.
Line = Annotated[int, ("minimum", 1)]


@dataclass(frozen=True)
class Place:
    """A line of a file, `path` from the repository's root; in a migration, the call that stands there."""

    path: str
    line: Line | None
    revision: str | None = None
    statement: str | None = None


@dataclass(frozen=True)
class SchemaChange:
    """One difference between the tables of the base and those of this checkout.

    Of a table when `column_name` is None. The names are those at the base, but for what was added. `key` names the
    changed attribute, `before` and `after` are its values; for added or removed tables and columns, all attributes by
    key. "replaced" is a table or column in whose place is another one of the same name, because it was dropped and
    created again, rebuilt by a batch, or renamed: the new one holds only what the migration copied.
    `is_certain` is False for a rename that is only likely. `place` is the call that did it, if it was found; its line
    is None where this checkout has no line for it, because the call is gone from an edited revision.

    `key` of a table: "table_type", "table_schema", "table_name", "comment", "ordinal_position" (the order of its
    columns), or one of its parts: "constraint", "trigger", "rule", "view_definition", "function" (that a constraint,
    default, trigger, policy, rule or view calls), "row security" (off, on, forced), "policy", "partition key",
    "partition", "inheritance", "option" (of a view or foreign table), "privilege". Of a column: the keys of a contract,
    "identity_generation", "comment", "column_name", or one of its parts: "physicalType" (a type with a modifier or
    outside of the search path), "field" (of a composite type), "fields" (their order), "subtype" (beneath a range, or
    of a domain in a field), "constraint" (of a domain), "domain_default", "generation_expression", "privilege".
    A part that was added or removed has None as `before` or `after`. Parts are compared by definition: a constraint
    that is only renamed, or dropped and added again, is no change (its name matters to ON CONFLICT ON CONSTRAINT and in
    messages only). A constraint that the keys of its one column describe completely is reported by them.
    """

    change: Literal["added", "removed", "renamed", "replaced", "changed"]
    table_schema: str
    table_name: str
    column_name: str | None
    key: str | None
    before: Any
    after: Any
    is_certain: bool
    contract_names: tuple[str, ...]
    place: Place | None

    def __str__(self) -> str:
        """The change in words."""
        name = f"{self.table_schema}.{self.table_name}"
        name += f".{self.column_name}" if self.column_name is not None else ""
        after = render_value(self.after)
        match self.change, self.key:
            case "added", _:
                return f"{name} is new"
            case "removed", _:
                return f"{name} was removed"
            case "renamed", "table_schema":
                return f"{name} is moved to schema {after}"
            case "renamed", _:
                return f"{name} {'is' if self.is_certain else 'seems'} renamed to {after}"
            case "replaced", _:
                what, content = ("table", "rows") if self.column_name is None else ("column", "values")
                return f"{name} is replaced by another {what}; {content} that the migration does not copy are lost"
        return f"{name}: {self.key} {render_difference(self.before, self.after)}"


@dataclass(frozen=True)
class ContractChange:
    """One clause of a contract that differs from the base's, or the whole contract, whose `json_path` is "$".

    The line is None where the file is gone. `before` and `after` are None where there is none. The owner is the one in
    the base's contract, as the change itself must not decide who has to agree to it. `was_binding` is of that contract
    too: one that is not enforced promises nothing that could be taken back.
    """

    contract_name: str
    place: Place
    json_path: str
    kind: Kind
    before: Any
    after: Any
    owner_name: str
    owner_email: str
    was_binding: bool = True

    def __str__(self) -> str:
        """The contract and the change in words, with the owner."""
        name = f"{self.contract_name}{' ' if self.json_path == '$' else ', '}"
        return f"{name}{self.text} (owner: {self.owner_name}, {self.owner_email})"

    @property
    def adds_contract(self) -> bool:
        return (self.json_path, self.kind) == ("$", "added")

    @property
    def deletes_contract(self) -> bool:
        return (self.json_path, self.kind) == ("$", "removed")

    @property
    def is_of_waiver(self) -> bool:
        return self.json_path.startswith("$.waivers")

    @property
    def waived_clause(self) -> str | None:
        """The clause of a new waiver, by its JSON path."""
        is_whole = self.is_of_waiver and self.json_path.endswith("]") and isinstance(self.after, dict)
        return str(self.after.get("clause")) if is_whole else None

    @property
    def text(self) -> str:
        """The change in words."""
        before, after = f"was {_cut_value(self.before)}", f"is {_cut_value(self.after)}"
        is_whole = self.json_path == "$"
        if self.kind != "metadata" and (match := COLUMN_PATH.fullmatch(self.json_path)):
            column, key = f"column {match['column']}", match["key"]
            if self.kind == "removed":
                return f"{column}: {key} is no longer promised, {before}" if key else f"{column} is no longer promised"
            if not key:
                return f"{column} is now {'promised' if self.kind == 'added' else 'allowed'}"
            if self.kind == "added":
                return f"{column}: {key} is now promised: {_cut_value(self.after)}"
            return f"{column}: {key} {self.kind}, {before}, {after}"
        if self.waived_clause:
            until, agreed_by, reason = (_cut_value(self.after.get(key)) for key in ("until", "agreedBy", "reason"))
            return f"waives {self.waived_clause} until {until}, agreed by {agreed_by}: {reason}"
        if self.json_path == "$.waivers" and isinstance(self.before, dict):
            return f"no longer waives {_cut_value(self.before.get('clause'))}"
        match self.kind:
            case "added":
                words = "is new" if is_whole else f"added, {after}"
            case "removed":
                words = "was removed" if is_whole else f"removed, {before}"
            case "metadata":
                words = f"file renamed, {before}" if is_whole else f"metadata, {before}, {after}"
            case kind:
                words = f"{kind}, {before}, {after}"
        return words if is_whole else f"{self.json_path}: {words}"


@dataclass(frozen=True)
class UnmovedConsumers:
    """The consumers with a query that reads the table of a deprecated contract, and those that may read it.

    Not known is a consumer of this contract without queries, or with one whose columns PostgreSQL does not name, as a
    writer's.
    """

    reading: tuple[str, ...]
    not_known: tuple[str, ...]


def _cut_value(value: Any) -> str:
    return cut(render_value(value), VALUE_CHARACTERS)
