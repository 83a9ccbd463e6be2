"""Databases beside the checked one, on its server, for a look at what migrations do; gone when the look is over."""

from __future__ import annotations

import secrets
import signal
import sys
import threading
from types import TracebackType
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import psycopg2

from data_contract_components.data_assets._query_postgres_helper import INSUFFICIENT_PRIVILEGE, connect, database_url
from data_contract_components.errors import ComparisonError

PREFIX = "contracts_scratch_"
# Of the same role only: what others do is hidden from it, and their databases are not its to drop.
LEFTOVERS_SQL = """
select databases.datname
from pg_catalog.pg_database as databases
where databases.datname ~ ('^' || %s || '[0-9a-f]+_[0-9]+$')
    and databases.datdba = (select roles.oid from pg_catalog.pg_roles as roles where roles.rolname = current_user)
    and not exists (
        select from pg_catalog.pg_stat_activity as sessions
        where sessions.application_name = pg_catalog.regexp_replace(databases.datname, '_[0-9]+$', '')
    )
order by databases.datname
"""


class ScratchDatabases:
    """Inside `with`, makes databases on the server of database_url(); afterwards they are dropped.

    So they are after SIGINT and SIGTERM. What a killed process left is dropped by the next one: the connection that
    made the databases carries their name, and lives as long as the process does.
    """

    def __enter__(self) -> ScratchDatabases:
        self._url = database_url()
        self._name = PREFIX + secrets.token_hex(6)
        self._names: list[str] = []
        self._connection = connect(self._url)
        self._connection.autocommit = True
        self._handler = None
        if threading.current_thread() is threading.main_thread():
            self._handler = signal.signal(signal.SIGTERM, signal.default_int_handler)
        with self._connection.cursor() as cursor:
            cursor.execute("select pg_catalog.set_config('application_name', %s, false)", (self._name,))
            cursor.execute(LEFTOVERS_SQL, (PREFIX,))
            for (leftover,) in cursor.fetchall():
                self._drop(leftover)
            cursor.execute("select pg_catalog.current_database()")
            self.checked_database = str((cursor.fetchone() or ("",))[0])
        return self

    def create(self, template: str = "template1") -> str:
        """The name of a new database, a copy of `template`, to which nobody may be connected."""
        name = f"{self._name}_{len(self._names)}"
        self._names.append(name)
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(f"create database {name} template {template}")
        except psycopg2.Error as error:
            way_out = "Mend that, and try again."
            if error.pgcode == INSUFFICIENT_PRIVILEGE:
                way_out = "The role of DATABASE_URL needs the right to make databases: alter role … createdb."
            raise ComparisonError(f"the server makes no scratch database: {str(error).strip()}", way_out) from error
        return name

    def url(self, name: str) -> str:
        """The URL of a database of create()."""
        parts = urlsplit(self._url)
        # libpq takes a dbname among the parameters before the one in the path, and it is the checked database's.
        parameters = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] != "dbname"]
        return parts._replace(path=f"/{name}", query=urlencode(parameters, quote_via=quote)).geturl()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            for name in self._names:
                self._drop(name)
        finally:
            self._connection.close()
            if self._handler is not None:
                signal.signal(signal.SIGTERM, self._handler)

    def _drop(self, name: str) -> None:
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(f"drop database if exists {name} with (force)")
        except psycopg2.Error as error:
            # Not raised: the next process tries again, and the comparison may be whole.
            print(f"scratch database {name} is still there: {str(error).strip()}", file=sys.stderr)
