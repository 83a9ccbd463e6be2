"""What PostgreSQL says of the consumers' queries: whether it accepts each, without running any."""

import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg2
from psycopg2.extensions import cursor

from data_contract_components.contract_definition._sql_text import Statement
from data_contract_components.contract_definition.consumer_queries import find_line_and_column
from data_contract_components.contract_definition.contract_spec import ConsumerQuery, Contract, TableName
from data_contract_components.data_assets._query_postgres_helper import (
    INSUFFICIENT_PRIVILEGE,
    PostgresDB,
    connect,
    database_url,
    read_sql,
)
from data_contract_components.detection.failed_query import FailedQuery
from data_contract_components.errors import DataContractError, QueryError

AUTOMATIC_SQL = read_sql(Path(__file__).parent / "sql/automatic_columns.sql")
STATEMENT_TIMEOUT_SECONDS = 10
LOCK_TIMEOUT_SECONDS = 5
BEGIN_SQL = f"""
begin transaction {{mode}};
set local statement_timeout = '{STATEMENT_TIMEOUT_SECONDS}s';
set local lock_timeout = '{LOCK_TIMEOUT_SECONDS}s';
set local standard_conforming_strings = on
"""
ROLLBACK_SQL = "rollback to savepoint consumer_query"
INDETERMINATE_DATATYPE = "42P18"
UNKNOWN_TYPE = (INDETERMINATE_DATATYPE, "42P08")
# Of these SQL states, or classes of them, nothing follows for the query: rights, locks, time, memory, disk.
UNDECIDED = (INSUFFICIENT_PRIVILEGE, "55P03", "40", "53", "54", "57", "58", "XX")
# Text and rows, which together decide what PostgreSQL says.
QueryKey = tuple[str, str | None]


# Schema, table and column; None: the table, whatever its columns.
ReadColumn = tuple[str, str, str | None]


@dataclass(frozen=True)
class Refusal:
    """Why PostgreSQL refuses a query, in its own words; `offset` is where in the query's file.

    Schema, table, column and constraint are those that it names beside its message.
    """

    sql_state: str
    message: str
    hint: str | None
    offset: int
    schema_name: str | None = None
    table_name: str | None = None
    column_name: str | None = None
    constraint_name: str | None = None


@dataclass(frozen=True)
class Verdict:
    """What PostgreSQL says of a query in one database; without a refusal, it accepts it.

    Only of a scratch database is more known: the `columns` of the result, each with its type (None: not known), what
    the query `reads`, and of a writer's query the `failure` that it ended with when it was tried, or why it was
    `not_tried`.
    """

    refusal: Refusal | None = None
    columns: tuple[str, ...] | None = None
    reads: frozenset[ReadColumn] = frozenset()
    failure: Refusal | None = None
    not_tried: str | None = None


@dataclass(frozen=True)
class ConsumerState:
    """What a database says of the consumers of contracts: of each query, and of the columns that writers write.

    `automatic_columns` are those with a value where an INSERT gives none, by table, and whether they refuse one.
    """

    verdicts: Mapping[QueryKey, Verdict] = field(default_factory=dict)
    automatic_columns: Mapping[TableName, Mapping[str, bool]] = field(default_factory=dict)


class UndecidedQueryError(DataContractError):
    """PostgreSQL could not say whether it accepts a query, so nothing was checked."""

    def __init__(self, query: ConsumerQuery, sql_state: str, reason: str) -> None:
        way_out = "Try again when nobody holds a lock on its tables."
        if sql_state == INSUFFICIENT_PRIVILEGE:
            way_out = "Grant the role of the check USAGE on that schema; it needs no right to any table."
        super().__init__(f"{query.path}: cannot be judged: {reason} (SQL state {sql_state})\n{way_out}")
        self.query = query
        self.sql_state = sql_state


def is_undecided(sql_state: str) -> bool:
    return sql_state.startswith(UNDECIDED)


def get_key(query: ConsumerQuery) -> QueryKey:
    return query.text, query.rows


def find_queries(*contracts: Mapping[str, Contract]) -> list[ConsumerQuery]:
    """The queries of the contracts that are checked; of those that are the same, one."""
    checked = (c for names in contracts for c in names.values() if c.spec.get("status") != "retired")
    return list({get_key(query): query for contract in checked for query in contract.queries}.values())


def get_consumer_state(*contracts: Mapping[str, Contract], url: str | None = None) -> ConsumerState:
    """What the database of `url` (None: database_url()) says. No query is run, and no right to a row needed.

    Raises: UndecidedQueryError; QueryError; DatabaseUnavailableError.
    """
    return ConsumerState(
        judge_queries(find_queries(*contracts), url, _judge), get_automatic_columns(*contracts, url=url)
    )


def judge_queries(
    queries: Sequence[ConsumerQuery],
    url: str | None,
    judge: Callable[[cursor, ConsumerQuery], Verdict],
    *,
    may_write: bool = False,
) -> dict[QueryKey, Verdict]:
    """What `judge` says of each query, in one transaction, which is rolled back.

    Raises: UndecidedQueryError; QueryError, as where the connection is lost; DatabaseUnavailableError.
    """
    if not queries:
        return {}
    with closing(connect(url or database_url())) as open_connection, open_connection.cursor() as open_cursor:
        open_connection.autocommit = True
        try:
            open_cursor.execute(BEGIN_SQL.format(mode="read write" if may_write else "read only"))
            return {get_key(query): judge(open_cursor, query) for query in queries}
        except psycopg2.Error as error:
            raise QueryError(error.pgcode, str(error).strip()) from error


def get_automatic_columns(
    *contracts: Mapping[str, Contract], url: str | None = None
) -> dict[TableName, dict[str, bool]]:
    """By table, which columns have a value without an INSERT's, and whether they refuse one; of tables with writers."""
    tables = {
        contract.table
        for names in contracts
        for contract in names.values()
        if any(consumer["role"] == "writer" for consumer in contract.spec.get("consumers", []))
    }
    if not tables:
        return {}
    parameters = {
        "table_schemas": sorted({schema for schema, _ in tables}),
        "table_names": sorted({name for _, name in tables}),
    }
    columns: dict[TableName, dict[str, bool]] = {table: {} for table in tables}
    for table_schema, table_name, column_name, is_always in PostgresDB(url).get_rows(AUTOMATIC_SQL, parameters):
        if (table_schema, table_name) in tables:
            columns[table_schema, table_name][column_name] = is_always
    return columns


def _judge(open_cursor: cursor, query: ConsumerQuery) -> Verdict:
    with prepared(open_cursor, query) as (_, _, refusal):
        return Verdict(refusal)


def make_name() -> str:
    # Unique also in the session that a pooler gives to somebody else afterwards.
    return f"contracts_{secrets.token_hex(6)}"


@contextmanager
def prepared(open_cursor: cursor, query: ConsumerQuery) -> Iterator[tuple[str, Statement, Refusal | None]]:
    """A savepoint with the query as a prepared statement: its name and text, or why PostgreSQL refuses it.

    Afterwards, the transaction is as before. Raises: QueryError, UndecidedQueryError.
    """
    name, statement = make_name(), query.statement
    # Not sent together with the query: of a text with a syntax error, PostgreSQL runs no part.
    open_cursor.execute("savepoint consumer_query")
    refusal = _prepare(open_cursor, query, statement, name)
    # One parameter in two places needs one type, and a literal that a client puts in there does not.
    if refusal and refusal.sql_state in UNKNOWN_TYPE and (separate := statement.separate()) != statement:
        statement, refusal = separate, _prepare(open_cursor, query, separate, name)
    try:
        yield name, statement, refusal
    finally:
        deallocate = f"; deallocate {name}" if refusal is None else ""
        open_cursor.execute(f"{ROLLBACK_SQL}; release savepoint consumer_query{deallocate}")


def _prepare(open_cursor: cursor, query: ConsumerQuery, statement: Statement, name: str) -> Refusal | None:
    texts: set[int] = set()
    while True:
        # Where nothing gives a parameter a type, a literal would be text.
        types = ["text" if number in texts else "unknown" for number in range(1, max(texts, default=0) + 1)]
        head = f"prepare {name}{'(' + ', '.join(types) + ')' if types else ''} as "
        try:
            open_cursor.execute(head + statement.render())
            return None
        except psycopg2.Error as error:
            refusal = make_refusal(error, statement, len(head))
            if is_undecided(refusal.sql_state):
                raise UndecidedQueryError(query, refusal.sql_state, refusal.message) from error
        open_cursor.execute(ROLLBACK_SQL)
        parameter = re.search(r"\$(\d+)", refusal.message) if refusal.sql_state == INDETERMINATE_DATATYPE else None
        if parameter is None or int(parameter[1]) in texts:
            return refusal
        texts.add(int(parameter[1]))


def make_refusal(error: psycopg2.Error, statement: Statement, head: int = 0) -> Refusal:
    """The refusal in an error of a statement that has `head` characters before the query's.

    Raises: QueryError where it is none of PostgreSQL's.
    """
    diagnostics = error.diag
    if error.pgcode is None:
        raise QueryError(None, str(error).strip()) from error
    message = diagnostics.message_primary or str(error).strip()
    position = int(diagnostics.statement_position or 0) - 1 - head
    return Refusal(
        error.pgcode,
        message,
        diagnostics.message_hint,
        statement.find_offset(max(position, 0)),
        diagnostics.schema_name,
        diagnostics.table_name,
        diagnostics.column_name,
        diagnostics.constraint_name,
    )


def find_failed_query(query: ConsumerQuery, refusal: Refusal | None) -> FailedQuery:
    """The place that the refusal names, or else the query's beginning."""
    line, column = find_line_and_column(query.text, refusal.offset if refusal else query.statement.start)
    place = (query.path.as_posix(), line, column, query.text.split("\n")[line - 1].rstrip("\r"))
    return FailedQuery(query.consumer, *place, *((refusal.sql_state, refusal.hint) if refusal else ()))
