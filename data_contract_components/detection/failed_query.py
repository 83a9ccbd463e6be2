"""The types of queries that fail or cannot be tried, also for the report. Needs only Python's standard library."""

from dataclasses import dataclass

from data_contract_components.detection.migration_changes.changes import Line


@dataclass(frozen=True)
class FailedQuery:
    """A consumer's query that fails or gives something else, and the place in its file that PostgreSQL names.

    `path` is relative as the contract's is, `column` counts from 1, and `source_line` is the text of the line.
    `sql_state` and `hint` are PostgreSQL's, None where it gives none.
    """

    consumer: str
    path: str
    line: Line
    column: Line
    source_line: str
    sql_state: str | None = None
    hint: str | None = None


@dataclass(frozen=True)
class UntriedQuery:
    """A writer's query of which it is not known whether it still works, and why not; `name` is its path."""

    contract_name: str
    consumer: str
    name: str
    reason: str
