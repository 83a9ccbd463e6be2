"""The way to the database: which one it is, one connection to it, and PostgresDB to ask it something."""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg2
from psycopg2.extensions import TRANSACTION_STATUS_INTRANS, connection, parse_dsn

from data_contract_components.errors import DatabaseUnavailableError, QueryError

if TYPE_CHECKING:
    import pandas as pd

REPOSITORY_DIRECTORY = Path(__file__).resolve().parents[2]
CONNECT_TIMEOUT_SECONDS = 9
INSUFFICIENT_PRIVILEGE = "42501"

# By type and not by value, so that a column's dtype is the same with and without rows and NULLs. Object columns
# keep what psycopg2 gives: Decimal, datetime (to the microsecond), list.
_DTYPES = dict.fromkeys((20, 21, 23, 26), "Int64") | dict.fromkeys((18, 19, 25, 1042, 1043), "string")
_DTYPES |= {16: "boolean", 700: "Float64", 701: "Float64"}

_URL_FORM = "Write postgresql://user:password@host:port/database, special characters in the password as %XX"
_USE_EMBEDDED = "or unset DATABASE_URL to use the embedded PostgreSQL"


def database_url() -> str:
    """The URL of the database, as libpq reads it: DATABASE_URL, or else the embedded server's, which then runs.

    Raises: DatabaseUnavailableError when DATABASE_URL is no PostgreSQL URL or the embedded server does not start.
    """
    url = os.environ.get("DATABASE_URL", "").strip()
    if url:
        scheme, separator, rest = url.partition("://")
        if separator and re.fullmatch(r"postgres(ql)?(\+psycopg2)?", scheme):
            return f"postgresql://{rest}"
        raise DatabaseUnavailableError(
            "the database of DATABASE_URL", "it is no PostgreSQL URL", f"{_URL_FORM}, {_USE_EMBEDDED}."
        )
    if sys.platform == "win32":
        raise DatabaseUnavailableError(
            "the embedded PostgreSQL",
            "it does not run on Windows itself",
            "Set DATABASE_URL, or work in WSL.",
        )
    from data_contract_components.data_assets._embedded_postgres import start_embedded_postgres

    return start_embedded_postgres(REPOSITORY_DIRECTORY / ".postgres")


def connect(url: str) -> connection:
    """An open connection, after at most CONNECT_TIMEOUT_SECONDS.

    Raises: DatabaseUnavailableError, which names host, port, database and reason.
    """
    place = describe(url)
    way_out = f"Start that server, or correct DATABASE_URL, {_USE_EMBEDDED}."
    outcome: list[connection | psycopg2.Error] = []

    def attempt() -> None:
        try:
            outcome.append(psycopg2.connect(url, client_encoding="utf8"))
        except psycopg2.Error as error:
            outcome.append(error)

    # libpq's connect_timeout holds for each address of each host, and not at all for looking the host up.
    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(CONNECT_TIMEOUT_SECONDS)
    if not outcome:
        raise DatabaseUnavailableError(place, f"no answer within {CONNECT_TIMEOUT_SECONDS} seconds", way_out)
    if isinstance(outcome[0], psycopg2.Error):
        raise DatabaseUnavailableError(place, str(outcome[0]).strip(), way_out) from outcome[0]
    return outcome[0]


def describe(url: str) -> str:
    """Host, port and database of a URL, for messages."""
    # A password with an unescaped "@" or "/" ends up in libpq's other fields, and so in its messages.
    is_readable = not re.search(r"://[^/]*@.*@|://[^/@]*/[^?]*@", url)
    try:
        parts = parse_dsn(url)
    except psycopg2.ProgrammingError:
        is_readable = False
    if not is_readable or not re.fullmatch(r"[\d,]*", parts.get("port", "")):
        raise DatabaseUnavailableError(
            "the database of DATABASE_URL", "the URL cannot be read", f"{_URL_FORM}, {_USE_EMBEDDED}."
        )
    host = parts.get("host") or os.environ.get("PGHOST", "localhost")
    port = parts.get("port") or os.environ.get("PGPORT", "5432")
    database = parts.get("dbname") or parts.get("user", "")
    return f'PostgreSQL at host "{host}", port {port}, database "{database}"'


class PostgresDB:
    """The database of `url` (database_url() where it is None), asked over one short connection a call."""

    def __init__(self, url: str | None = None) -> None:
        self._url = url
        self._transaction: connection | None = None

    @contextmanager
    def transaction(self) -> Iterator[PostgresDB]:
        """The same database over one connection and in one transaction, of which nothing is kept."""
        with closing(connect(self._url or database_url())) as open_connection:
            database = PostgresDB(self._url)
            database._transaction = open_connection
            yield database

    @contextmanager
    def _connect(self) -> Iterator[connection]:
        if self._transaction:
            yield self._transaction
            return
        with closing(connect(self._url or database_url())) as open_connection:
            # Statements sent together without BEGIN are one transaction (PostgreSQL manual, "Multiple Statements in
            # a Simple Query"), and one alone may be what no transaction block takes, as CREATE DATABASE.
            open_connection.autocommit = True
            yield open_connection

    def query(self, sql: str, params: Sequence[Any] | Mapping[str, Any] | None = None) -> pd.DataFrame:
        """The rows of the last statement in `sql`, or its status where it gives no rows; what it did is committed.

        Shape: the statement's columns in their order, nullable dtypes; or one row with the column `status`.
            Values are bound to %s or %(name)s; without params a % is only a %.
        Raises: QueryError with the SQL state, and nothing of `sql` is done (unless it has a COMMIT of its own);
            DatabaseUnavailableError.
        """
        # Here, as seed_db.py and alembic need a connection and no pandas, whose import takes longer than they do.
        import pandas as pd

        with self._connect() as open_connection:
            try:
                with open_connection.cursor() as cursor:
                    cursor.execute(sql, params)
                    status, description = cursor.statusmessage, cursor.description
                    rows = cursor.fetchall() if description else []
                    if not self._transaction and open_connection.info.transaction_status == TRANSACTION_STATUS_INTRANS:
                        cursor.execute("COMMIT")
            except psycopg2.Error as error:
                raise QueryError(error.pgcode, str(error).strip()) from error
        if description is None:
            return pd.DataFrame({"status": pd.array([status], dtype="string")})
        # By position: two columns of a result may share a name.
        columns = [
            pd.Series([row[position] for row in rows], dtype=_DTYPES.get(column.type_code, "object"))
            for position, column in enumerate(description)
        ]
        frame = pd.DataFrame(dict(enumerate(columns)))
        frame.columns = pd.Index([column.name for column in description])
        return frame
