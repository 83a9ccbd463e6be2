"""What PostgreSQL says of the consumers' queries: whether it accepts each, without running any."""

import re
import secrets
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass

import psycopg2
from psycopg2.extensions import cursor

from data_contract_components.contract_definition.consumer_queries import find_line_and_column
from data_contract_components.contract_definition.contract_spec import ConsumerQuery, Contract
from data_contract_components.data_assets._query_postgres_helper import connect, database_url
from data_contract_components.detection.failed_query import FailedQuery
from data_contract_components.errors import DataContractError, QueryError

STATEMENT_TIMEOUT_SECONDS = 10
LOCK_TIMEOUT_SECONDS = 5
BEGIN_SQL = f"""
begin transaction {{mode}};
set local statement_timeout = '{STATEMENT_TIMEOUT_SECONDS}s';
set local lock_timeout = '{LOCK_TIMEOUT_SECONDS}s';
set local standard_conforming_strings = on
"""
INDETERMINATE_DATATYPE = "42P18"
# Of these SQL states, or classes of them, nothing follows for the query: rights, locks, time, memory, disk.
UNDECIDED = ("42501", "55P03", "40", "53", "54", "57", "58", "XX")
# Text and rows, which together decide what PostgreSQL says.
QueryKey = tuple[str, str | None]


@dataclass(frozen=True)
class Refusal:
    """Why PostgreSQL refuses a query, in its own words; `offset` is where in the query's file."""

    sql_state: str
    message: str
    hint: str | None
    offset: int


@dataclass(frozen=True)
class Verdict:
    """What PostgreSQL says of a query in one database; without a refusal, it accepts it."""

    refusal: Refusal | None = None


class UndecidedQueryError(DataContractError):
    """PostgreSQL could not say whether it accepts a query, so nothing was checked."""

    def __init__(self, query: ConsumerQuery, sql_state: str, reason: str) -> None:
        way_out = "Try again when nobody holds a lock on its tables."
        if sql_state == "42501":
            way_out = "Grant the role of the check USAGE on that schema; it needs no right to any table."
        super().__init__(f"{query.path}: cannot be judged: {reason} (SQL state {sql_state})\n{way_out}")
        self.query = query
        self.sql_state = sql_state


def get_key(query: ConsumerQuery) -> QueryKey:
    return query.text, query.rows


def find_queries(contracts: Mapping[str, Contract]) -> list[ConsumerQuery]:
    """The queries of the contracts that are checked; of those that are the same, one."""
    queries = (query for contract in contracts.values() for query in contract.queries)
    return list({get_key(query): query for query in queries}.values())


def judge_queries(queries: Iterable[ConsumerQuery], url: str | None = None) -> dict[QueryKey, Verdict]:
    """What the database of `url` (None: database_url()) says of each query. None is run, and no right to a row needed.

    Raises: UndecidedQueryError; DatabaseUnavailableError.
    """
    wanted = list(queries)
    if not wanted:
        return {}
    with closing(connect(url or database_url())) as open_connection, open_connection.cursor() as open_cursor:
        open_connection.autocommit = True
        open_cursor.execute(BEGIN_SQL.format(mode="read only"))
        return {get_key(query): _judge(open_cursor, query) for query in wanted}


def _judge(open_cursor: cursor, query: ConsumerQuery) -> Verdict:
    name = _make_name()
    refusal = _prepare(open_cursor, query, name)
    if refusal is None:
        open_cursor.execute(f"deallocate {name}")
    return Verdict(refusal)


def _make_name() -> str:
    # Unique also in the session that a pooler gives to somebody else afterwards.
    return f"contracts_{secrets.token_hex(6)}"


def _prepare(open_cursor: cursor, query: ConsumerQuery, name: str) -> Refusal | None:
    """Why PostgreSQL does not prepare the query under this name, if so."""
    texts: set[int] = set()
    while True:
        # A client puts in a literal where PostgreSQL does not know the parameter's type, and that is text.
        types = ["text" if number in texts else "unknown" for number in range(1, max(texts, default=0) + 1)]
        head = f"prepare {name}{'(' + ', '.join(types) + ')' if types else ''} as "
        open_cursor.execute("savepoint consumer_query")
        try:
            open_cursor.execute(head + query.statement.render())
            open_cursor.execute("release savepoint consumer_query")
            return None
        except psycopg2.Error as error:
            refusal = _make_refusal(query, error, len(head))
        open_cursor.execute("rollback to savepoint consumer_query")
        parameter = re.search(r"\$(\d+)", refusal.message) if refusal.sql_state == INDETERMINATE_DATATYPE else None
        if parameter is None or int(parameter[1]) in texts:
            return refusal
        texts.add(int(parameter[1]))


def _make_refusal(query: ConsumerQuery, error: psycopg2.Error, head: int) -> Refusal:
    """The refusal in an error of a statement that has `head` characters before the query.

    Raises: QueryError, UndecidedQueryError.
    """
    diagnostics = error.diag
    if error.pgcode is None:
        raise QueryError(None, str(error).strip()) from error
    message = diagnostics.message_primary or str(error).strip()
    if error.pgcode.startswith(UNDECIDED):
        raise UndecidedQueryError(query, error.pgcode, message) from error
    position = int(diagnostics.statement_position or 0) - 1 - head
    return Refusal(error.pgcode, message, diagnostics.message_hint, query.statement.find_offset(max(position, 0)))


def find_failed_query(query: ConsumerQuery, refusal: Refusal) -> FailedQuery:
    line, column = find_line_and_column(query.text, refusal.offset)
    source_line = query.text.split("\n")[line - 1]
    place = (query.path.as_posix(), line, column, source_line)
    return FailedQuery(query.consumer, *place, refusal.sql_state, refusal.hint)
