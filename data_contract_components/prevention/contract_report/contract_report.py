"""Step 7 of the flow: the types of contract_report.json, which is written and read here only. Needs Python only."""

import dataclasses
import functools
import json
import re
import types
import typing
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from data_contract_components.contract_definition.contract_spec import Enforcement
from data_contract_components.contract_definition.waivers import Waiver
from data_contract_components.detection.failed_query import FailedQuery, UntriedQuery
from data_contract_components.detection.migration_changes.changes import (
    ContractChange,
    Line,
    Place,
    SchemaChange,
    UnmovedConsumers,
)
from data_contract_components.errors import DataContractError

COULD_NOT_CHECK: Final = "could not check"
Outcome = Literal["passed", "violations", "could not check"]
Conclusion = Literal["passed", "asks", "violations", "could not check", "could not compare"]
ClauseState = Literal["kept", "broken", "missing", "unchecked", "waived"]
Commit = Annotated[str, ("pattern", "^[0-9a-f]{7,64}$")]
Date = Annotated[str, ("pattern", "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$")]
Day = Annotated[str, ("pattern", "^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
Number = Annotated[int, ("minimum", 1)]
# Of the lists and objects in an expected or found value. The renderings call themselves once per level.
VALUE_LEVELS = 50
TYPE_WORDS = {str: "a string", int: "an integer", bool: "true or false"}


@dataclass(frozen=True)
class Owner:
    """The team that is responsible for a contract."""

    name: str
    email: str
    channel: str | None = None


@dataclass(frozen=True)
class Consumer:
    """A user of the table; `columns` is None when it uses all of them."""

    name: str
    role: Literal["reader", "writer"]
    reason: str
    email: str | None = None
    channel: str | None = None
    columns: tuple[str, ...] | None = None


@dataclass(frozen=True)
class ReportedClause:
    """One clause of a contract, with its line in the file and whether the database keeps it."""

    column_name: str
    key: str
    expected: Any
    line: Line | None
    state: ClauseState


@dataclass(frozen=True)
class ReportedViolation:
    """One broken clause.

    `line` is None where the contract's file has no such line: it was deleted, or the base added it. `cause` is the call
    of a migration that broke it, `renamed_to` the new name of the column or table. `is_earlier`: the base breaks the
    clause too. A consumer's `query` that fails has its name in place of a column's. `json_path` is that of the clause.
    Its `waiver` may have ended.
    """

    column_name: str
    key: str
    expected: Any
    found: Any
    message: str
    line: Line | None
    cause: Place | None = None
    renamed_to: str | None = None
    is_rename_certain: bool = False
    is_earlier: bool = False
    query: FailedQuery | None = None
    json_path: str | None = None
    waiver: Waiver | None = None


@dataclass(frozen=True)
class ReportedContract:
    """What a contract of this checkout and a broken promise of the base have in common.

    `contract_name` is the name of the file without its ending.
    """

    contract_name: str
    path: str
    line: Line | None
    owner: Owner
    table_schema: str
    table_name: str
    is_table_missing: bool
    violations: tuple[ReportedViolation, ...]

    @property
    def table(self) -> str:
        return f"{self.table_schema}.{self.table_name}"


@dataclass(frozen=True)
class Transition:
    """The contract that takes over from a deprecated one, and how its clauses differ, in words.

    Only a comparison with the base knows which consumers have not moved, unless both contracts are for the same table.
    """

    contract_name: str
    path: str
    table_schema: str
    table_name: str
    differences: tuple[str, ...]
    unmoved: UnmovedConsumers | None = None


@dataclass(frozen=True)
class CheckedContract(ReportedContract):
    """A contract of this checkout: its content, the state of its clauses, and its violations.

    `table_catalog` is None where it is for whichever database is checked.
    `enforcement`: whether a violation fails the check, is only reported, or is not looked for. Violations that a valid
    waiver excuses are in `waived_violations` and not in `violations`.
    Only a comparison with the base knows `read_columns`, those of the table that some consumer's query reads (None: no
    query reads the table), and the writers' queries that could not be tried.
    `days_past_sunset` is None unless a deprecated contract is past its sunset. Then `drop_call` is the call of a
    migration that drops the table; None where the table is gone, or is under another contract that is still checked.
    """

    name: str
    namespace: str
    doc: str
    status: Literal["draft", "active", "deprecated", "retired"]
    sunset: str | None
    enforcement: Enforcement
    consumers: tuple[Consumer, ...]
    table_catalog: str | None
    clauses: tuple[ReportedClause, ...]
    read_columns: tuple[str, ...] | None = None
    untried_queries: tuple[UntriedQuery, ...] = ()
    waived_violations: tuple[ReportedViolation, ...] = ()
    transition: Transition | None = None
    days_past_sunset: int | None = None
    drop_call: str | None = None

    @property
    def promised_columns(self) -> list[str]:
        return [clause.column_name for clause in self.clauses if clause.key == "column_name"]

    @property
    def relied_on_columns(self) -> list[str]:
        """The columns that queries read, and that the contract does not promise."""
        return [name for name in self.read_columns or () if name not in self.promised_columns]

    @property
    def unread_columns(self) -> list[str]:
        """The columns that the contract promises, and that no query reads."""
        read = self.read_columns
        return [] if read is None else [name for name in self.promised_columns if name not in read]


@dataclass(frozen=True)
class BrokenPromise(ReportedContract):
    """A contract of the base that was loosened or deleted, with the clauses that it lost and the database breaks.

    A violation with the key "sunset" means that the contract ends without enough notice.
    `path` and `line` are those of the change of the contract; the line is None if the file was deleted.
    """

    is_deleted: bool

    @property
    def is_only_too_soon(self) -> bool:
        return all(violation.key == "sunset" for violation in self.violations)


@dataclass(frozen=True)
class Comparison:
    """What changed since the git ref `base`; `base_commit` is None if it could not be compared, for `error`."""

    base: str
    base_commit: Commit | None = None
    error: str | None = None
    changes: tuple[SchemaChange, ...] = ()
    contract_changes: tuple[ContractChange, ...] = ()
    broken_promises: tuple[BrokenPromise, ...] = ()

    @property
    def short_commit(self) -> str:
        return (self.base_commit or "unknown")[:12]


@dataclass(frozen=True)
class FileProblem:
    """One thing that is wrong in a contract file."""

    path: str
    line: Line | None
    message: str


@dataclass(frozen=True)
class LineRange:
    """Lines of a file, `first` and `last` included."""

    first: Line
    last: Line


@dataclass(frozen=True)
class ChangedFile:
    """The lines of a file that the pull request changed; where it only deleted some, the line before them."""

    path: str
    lines: tuple[LineRange, ...]


@dataclass(frozen=True)
class Table:
    """A table without a contract."""

    table_schema: str
    table_name: str


@dataclass(frozen=True)
class ReportSource:
    """What was checked and when: `date` in UTC, the database without user and password; None where it is not known.

    `commit` is the one in which the lines of the report are those lines.
    """

    date: Date
    commit: Commit | None
    branch: str | None
    database: str | None
    pull_request: Number | None


@dataclass(frozen=True)
class ContractReport:
    """The result of one check; `error` is why the contracts could not be checked, and `place` where that is.

    `diff` are the first file that the pull request changed, and those of its files that this report names; None if
    there was no base to compare with. All lines are those of the pull request's last commit. `today` decided which
    contracts and waivers count.
    """

    outcome: Outcome
    error: str | None = None
    place: Place | None = None
    problems: tuple[FileProblem, ...] = ()
    contracts: tuple[CheckedContract, ...] = ()
    tables_without_contract: tuple[Table, ...] = ()
    comparison: Comparison | None = None
    diff: tuple[ChangedFile, ...] | None = None
    source: ReportSource | None = None
    today: Day | None = None

    @property
    def is_checked(self) -> bool:
        """Whether the contracts were compared with the database, even if the comparison with the base then failed."""
        is_only_not_compared = self.error is None and self.comparison is not None and self.comparison.error is not None
        return self.outcome != COULD_NOT_CHECK or is_only_not_compared

    @property
    def broken_promises(self) -> tuple[BrokenPromise, ...]:
        return self.comparison.broken_promises if self.comparison else ()

    @property
    def waived_violations(self) -> tuple[ReportedViolation, ...]:
        return tuple(violation for contract in self.contracts for violation in contract.waived_violations)

    @property
    def weaker_promises(self) -> tuple[ContractChange, ...]:
        """The changes by which a contract that the base enforces promises less."""
        changes = self.comparison.contract_changes if self.comparison else ()
        return tuple(change for change in changes if change.kind in ("loosened", "removed") and change.was_binding)

    @property
    def asks(self) -> bool:
        """Whether it passed, but the owner of a contract must agree to what changed, or a waiver is used."""
        is_waiver_used = self.comparison and any(not violation.is_earlier for violation in self.waived_violations)
        return self.outcome == "passed" and bool(self.weaker_promises or self.broken_promises or is_waiver_used)

    @property
    def conclusion(self) -> Conclusion:
        """The outcome as all renderings show it."""
        if self.outcome == COULD_NOT_CHECK and self.is_checked:
            return "could not compare"
        return "asks" if self.asks else self.outcome


class MalformedReportError(DataContractError):
    """The text is not a contract report. The message names the place and quotes nothing: a fork may write the text."""

    def __init__(self, json_path: str, problem: str) -> None:
        super().__init__(f"{json_path}: {problem}")
        self.json_path = json_path
        self.problem = problem


def to_json(report: ContractReport) -> str:
    """The content of contract_report.json. Shape: contract_report.schema.json, which the tests make of these types."""
    return json.dumps(report, default=vars, indent=2) + "\n"


def from_json(text: str) -> ContractReport:
    """The report that to_json() wrote. Raises: MalformedReportError, also for a missing or an unknown key."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MalformedReportError("$", "is not valid JSON") from error
    report: ContractReport = _decode(ContractReport, content, "$")
    return report


def _decode(hint: Any, value: Any, json_path: str) -> Any:
    """`value` as an instance of the type `hint`."""
    arguments = typing.get_args(hint)
    match typing.get_origin(hint):
        case typing.Union | types.UnionType:  # each is "something or None"
            return None if value is None else _decode(arguments[0], value, json_path)
        case typing.Annotated:
            kind, (keyword, limit) = arguments
            _decode(kind, value, json_path)
            if keyword == "minimum" and value < limit:
                raise MalformedReportError(json_path, f"expected at least {limit}")
            if keyword == "pattern" and not re.fullmatch(limit, value):
                raise MalformedReportError(json_path, f"does not match {limit}")
            return value
        case typing.Literal:
            if value not in arguments:
                raise MalformedReportError(json_path, f"expected one of {', '.join(map(json.dumps, arguments))}")
            return value
        case container if container is tuple:
            if not isinstance(value, list):
                raise MalformedReportError(json_path, "expected an array")
            return tuple(_decode(arguments[0], item, f"{json_path}[{index}]") for index, item in enumerate(value))
    if hint is Any:
        _ensure_not_deep(value, json_path, VALUE_LEVELS)
    elif dataclasses.is_dataclass(hint):
        return _decode_object(hint, value, json_path)
    elif type(value) is not hint:  # exactly, as True is an int
        raise MalformedReportError(json_path, f"expected {TYPE_WORDS[hint]}")
    return value


def _decode_object(kind: Any, value: Any, json_path: str) -> Any:
    hints = _get_hints(kind)
    if not isinstance(value, dict):
        raise MalformedReportError(json_path, "expected an object")
    if missing_keys := [key for key in hints if key not in value]:
        raise MalformedReportError(json_path, f'the key "{missing_keys[0]}" is missing')
    if len(value) > len(hints):
        raise MalformedReportError(json_path, "has an unknown key")
    return kind(**{key: _decode(hint, value[key], f"{json_path}.{key}") for key, hint in hints.items()})


_get_hints = functools.cache(functools.partial(typing.get_type_hints, include_extras=True))


def _ensure_not_deep(value: Any, json_path: str, levels: int) -> None:
    if isinstance(value, list | dict):
        if levels == 0:
            raise MalformedReportError(json_path, f"is nested more than {VALUE_LEVELS} levels deep")
        for item in value.values() if isinstance(value, dict) else value:
            _ensure_not_deep(item, json_path, levels - 1)
