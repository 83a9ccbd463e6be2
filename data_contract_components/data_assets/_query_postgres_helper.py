"""The way to the database: its URL, a connection to it, and PostgresDB, which returns query results as DataFrames."""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import psycopg2
from psycopg2.extensions import TRANSACTION_STATUS_INTRANS, Column, connection, parse_dsn

from data_contract_components.errors import DatabaseUnavailableError, QueryError
from data_contract_components.settings import get_settings

if TYPE_CHECKING:
    import pandas as pd

SQL_DIRECTORY = Path(__file__).resolve().parent / "sql"
CONNECT_TIMEOUT_SECONDS = 9
INSUFFICIENT_PRIVILEGE = "42501"

# By type and not by value, so that a column's dtype is the same with and without rows and NULLs. In object columns
# psycopg2's values stay: Decimal, datetime (to the microsecond), list.
_DTYPES = dict.fromkeys((20, 21, 23, 26), "Int64") | dict.fromkeys((18, 19, 25, 1042, 1043), "string")
_DTYPES |= {16: "boolean", 700: "Float64", 701: "Float64"}

_URL_FORM = (
    "Write postgresql://user:password@host:port/database, special characters as %XX (@ is %40, / is %2F, % is %25)"
)
# SQLAlchemy and the drivers have these in a URL, and libpq does not.
_DRIVER_PARAMETERS = ("async_fallback", "prepare_threshold", "prepared_statement_cache_size", "statement_cache_size")
# The second is what older versions than 15 print.
_MISSING_FEATURE = re.compile(
    r'extension ".+" is not available|open extension control file|collation ".+" .*does not exist|\bICU\b'
    "|server to be built with"
)
# Their values may contain what looks like the name of another parameter.
_SECRET_PARAMETERS = re.compile(r"\b(password|sslpassword|oauth_client_secret|scram_client_key|scram_server_key)=")


def read_sql(path: Path) -> str:
    """The text of an .sql file, in which a line `-- include FILE` stands for the text of FILE, relative to `path`.

    Values are bound, as %s or %(name)s, so no file may have another per cent sign, not even in a comment.
    """
    text = path.read_text(encoding="utf-8")
    return re.sub(r"(?m)^ *-- include (\S+)\n", lambda match: read_sql(path.parent / match[1]), text)


def get_url_variable() -> str:
    """The environment variable that has the database's URL: DATABASE_URL, unless the settings name others.

    Of several, the first that is set, or else the first.
    """
    names = get_settings().url_variables
    return next((name for name in names if os.environ.get(name, "").strip()), names[0])


def is_embedded() -> bool:
    """Whether the database is the embedded server's, as the variable has no URL."""
    return not os.environ.get(get_url_variable(), "").strip()


def database_url() -> str:
    """The URL of the database: that in get_url_variable(), or else the embedded server's, which then runs.

    A URL that libpq accepts is rewritten so that urllib finds the same parts in it as libpq does.
    Raises: SettingsError; DatabaseUnavailableError where this is no PostgreSQL URL or the server does not start.
    """
    if not is_embedded():
        return _write_url(_read_url(os.environ[get_url_variable()].strip()))
    if sys.platform == "win32":
        reason = "it does not run on Windows itself"
        raise DatabaseUnavailableError("the embedded PostgreSQL", reason, f"Set {get_url_variable()}, or work in WSL.")
    from data_contract_components.data_assets._embedded_postgres import start_embedded_postgres

    return start_embedded_postgres(get_settings().root_directory / ".postgres", get_settings().server)


def connect(url: str) -> connection:
    """An open connection, after at most CONNECT_TIMEOUT_SECONDS.

    Raises: DatabaseUnavailableError, which names host, port, database and reason.
    """
    place = describe(url)
    way_out = f"Start that server, or correct {get_url_variable()}, {_use_embedded()}."
    outcome: list[connection | psycopg2.Error] = []

    def attempt() -> None:
        try:
            outcome.append(psycopg2.connect(url, client_encoding="utf8"))
        except psycopg2.Error as error:
            outcome.append(error)

    # libpq's connect_timeout applies to each address of each host, and not to the look-up of the host.
    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(CONNECT_TIMEOUT_SECONDS)
    if not outcome:
        raise DatabaseUnavailableError(place, f"no answer within {CONNECT_TIMEOUT_SECONDS} seconds", way_out)
    if isinstance(outcome[0], psycopg2.Error):
        raise DatabaseUnavailableError(place, str(outcome[0]).strip(), way_out) from outcome[0]
    return outcome[0]


def _use_embedded() -> str:
    return f"or unset {get_url_variable()} to use the embedded PostgreSQL"


def _unusable(reason: str, way_out: str) -> DatabaseUnavailableError:
    return DatabaseUnavailableError(f"the database of {get_url_variable()}", reason, way_out)


def _read_url(url: str) -> dict[str, str]:
    """The values in a URL, by libpq's names for them.

    Raises: DatabaseUnavailableError, without any part of the password.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or not re.fullmatch(r"postgres(ql)?(\+\w+)?", scheme):
        raise _unusable("it is not a PostgreSQL URL", f"{_URL_FORM}, {_use_embedded()}.")
    if "+" in scheme:
        rest = _write_parameters_for_libpq(rest)
    # libpq takes parts of a password with an unescaped "@" or "/" for other fields, and prints those in its messages.
    is_readable = rest.count("@") == 0 or (rest.count("@") == 1 and "/" not in rest.partition("@")[0])
    parts = _parse_url(rest) if is_readable else None
    if parts is not None:
        return parts
    query = rest.rpartition("@")[2].partition("?")[2]
    if is_readable and query and _parse_url(rest.removesuffix(f"?{query}")) is not None:
        _ensure_parameters_are_known(query)
    raise _unusable("the URL cannot be read", f"{_URL_FORM}, {_use_embedded()}.")


def _write_parameters_for_libpq(rest: str) -> str:
    """A URL without its scheme, in which the driver's parameters are libpq's; asyncpg's `ssl` has the same values."""
    place, mark, query = rest.partition("?")
    pairs = [pair for pair in query.split("&") if pair.partition("=")[0] not in _DRIVER_PARAMETERS]
    query = "&".join(re.sub("^ssl=", "sslmode=", pair) for pair in pairs)
    return f"{place}{mark if query else ''}{query}"


def _parse_url(rest: str) -> dict[str, str] | None:
    """The values in a URL without its scheme; None where libpq cannot read it, or would refuse the port."""
    try:
        parts = dict(parse_dsn(f"postgresql://{rest}"))
    except (psycopg2.ProgrammingError, UnicodeError):  # the latter for a byte of the environment that is not UTF-8
        return None
    ports = parts.get("port", "").split(",")
    return parts if all(re.fullmatch("[0-9]{0,5}", port) and int(port or 0) < 65536 for port in ports) else None


def _ensure_parameters_are_known(query: str) -> None:
    """Raises: DatabaseUnavailableError, which names a parameter that other tools accept and libpq does not."""
    pairs = [] if _SECRET_PARAMETERS.search(query) else re.findall("(?:^|&)([A-Za-z_]{1,40})=([^&]*)", query)
    for name, value in pairs:
        if _parse_url(f"/?{name}=true") is None:
            schema = f", or write options=-csearch_path%3D{quote(value)} in its place" if name == "schema" else ""
            reason = f'PostgreSQL has no connection parameter "{name}", which is in the URL'
            raise _unusable(reason, f"Remove it from {get_url_variable()}{schema}.")


def _write_url(parts: dict[str, str]) -> str:
    parameters = dict(parts)
    user, password, database = (parameters.pop(name, None) for name in ("user", "password", "dbname"))
    authority = "" if user is None and password is None else quote(user or "", safe="")
    authority += "" if password is None else f":{quote(password, safe='')}"
    authority += "@" if authority else ""
    # A list of hosts, a directory or an IPv6 address is written as a parameter, where every reader of URLs finds it.
    if re.fullmatch(r"[\w.-]*", parts.get("host", ""), re.ASCII) and "," not in parts.get("port", ""):
        authority += parameters.pop("host", "")
        authority += f":{port}" if (port := parameters.pop("port", "")) else ""
    path = "" if database is None else f"/{quote(database, safe='')}"
    query = f"?{urlencode(parameters, quote_via=quote)}" if parameters else ""
    # urllib writes a URL without authority without its slashes.
    return f"postgresql://{authority or '@'}{path}{query}"


def describe(url: str) -> str:
    """Host, port and database of a URL, for messages."""
    parts = _read_url(url)
    host = parts.get("host") or os.environ.get("PGHOST", "localhost")
    port = parts.get("port") or os.environ.get("PGPORT", "5432")
    database = parts.get("dbname") or parts.get("user", "")
    return f'PostgreSQL at host "{host}", port {port}, database "{database}"'


def way_out_of_missing_feature(message: str) -> str | None:
    """The way out where PostgreSQL's message says that the server was built without what is needed; else None."""
    if not _MISSING_FEATURE.search(message):
        return None
    return f"Set {get_url_variable()} to a PostgreSQL server that has it."


class PostgresDB:
    """The database of `url` (database_url() where it is None); each call opens a connection of its own."""

    def __init__(self, url: str | None = None) -> None:
        self._url = url
        self._transaction: connection | None = None

    @contextmanager
    def transaction(self) -> Iterator[PostgresDB]:
        """The same database over one connection and in one transaction, which is rolled back."""
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
            # a Simple Query"), and CREATE DATABASE, sent alone, is allowed.
            open_connection.autocommit = True
            yield open_connection

    def query(self, sql: str, params: Sequence[Any] | Mapping[str, Any] | None = None) -> pd.DataFrame:
        """The rows of the last statement in `sql`, or its status where it returns no rows; its changes are committed.

        Values are bound to %s or %(name)s; without params a % is only a %.
        Shape: the statement's columns in their order, nullable dtypes; or one row with the column `status`.
        Raises: QueryError with the SQL state, and nothing is changed (unless `sql` has a COMMIT of its own);
            DatabaseUnavailableError.
        """
        # Imported here, as seed_db.py and alembic need a connection and no pandas, which takes longer than they do.
        import pandas as pd

        status, description, rows = self._execute(sql, params)
        if not description:
            return pd.DataFrame({"status": pd.array([status], dtype="string")})
        # By position: two columns of a result may share a name.
        columns = [
            pd.Series([row[position] for row in rows], dtype=_DTYPES.get(column.type_code, "object"))
            for position, column in enumerate(description)
        ]
        frame = pd.DataFrame(dict(enumerate(columns)))
        frame.columns = pd.Index([column.name for column in description])
        return frame

    def get_rows(self, sql: str, params: Sequence[Any] | Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """The same rows as tuples, with None for NULL, in a tenth of the time; none where a statement returns none."""
        return self._execute(sql, params)[2]

    def _execute(
        self, sql: str, params: Sequence[Any] | Mapping[str, Any] | None
    ) -> tuple[str | None, tuple[Column, ...], list[tuple[Any, ...]]]:
        """The status, the columns and the rows of the last statement."""
        with self._connect() as open_connection:
            try:
                with open_connection.cursor() as cursor:
                    cursor.execute(sql, params)
                    status, description = cursor.statusmessage, cursor.description or ()
                    rows = cursor.fetchall() if description else []
                    if not self._transaction and open_connection.info.transaction_status == TRANSACTION_STATUS_INTRANS:
                        cursor.execute("COMMIT")
            except psycopg2.Error as error:
                raise QueryError(error.pgcode, str(error).strip()) from error
        return status, description, rows
