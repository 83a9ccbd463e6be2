"""Databases beside the checked one, on its server, for a look at what migrations do; gone when the look is over."""

from __future__ import annotations

import secrets
import signal
import sys
import threading
from contextlib import closing
from dataclasses import dataclass
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


# What `alter database` and `alter role in database` gave the checked database; a setting is "name=value".
SETTINGS_SQL = """
select
    split_part(setting, '=', 1) as name,
    substr(setting, strpos(setting, '=') + 1) as value,
    setrole <> 0 as is_of_role
from pg_catalog.pg_db_role_setting
cross join lateral unnest(setconfig) as setting
where setdatabase = (select oid from pg_catalog.pg_database where datname = current_database())
    and setrole in (0, (select oid from pg_catalog.pg_roles where rolname = current_user))
order by is_of_role, name
"""
SCHEMAS_SQL = """
select nspname::text
from pg_catalog.pg_namespace
where nspname !~ '^pg_' and nspname <> 'information_schema'
    and not exists (select from pg_catalog.pg_depend where objid = pg_namespace.oid and deptype = 'e')
order by nspname
"""
EXTENSIONS_SQL = """
select extname::text, nspname::text
from pg_catalog.pg_extension
join pg_catalog.pg_namespace on pg_namespace.oid = extnamespace
order by pg_extension.oid
"""


@dataclass(frozen=True)
class ScratchDatabase:
    """A database beside the checked one; `oid` is that of pg_database."""

    name: str
    oid: int
    url: str


class ScratchDatabases:
    """Inside `with`, makes databases on the server of database_url(); afterwards they are dropped.

    So they are after SIGINT and SIGTERM. What a killed process left is dropped by the next one: the connection that
    made the databases carries their name, and lives as long as the process does.
    """

    def __enter__(self) -> ScratchDatabases:
        self._url = database_url()
        self._name = PREFIX + secrets.token_hex(6)
        self._names: list[str] = []
        self._surroundings: set[str] = set()
        self._left_out: set[str] = set()
        self.missing: dict[str, str] = {}
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

    def create(self, template: ScratchDatabase | None = None) -> ScratchDatabase:
        """A new database: a copy of `template`, to which nobody may be connected, or one without any table.

        It has the settings of the checked database, and without `template` also its schemas and extensions, which may
        be older than the migrations; those that cannot be made are in `missing`.
        """
        name = f"{self._name}_{len(self._names)}"
        self._names.append(name)
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(f"create database {name} template {template.name if template else 'template1'}")
                cursor.execute("select oid::bigint from pg_catalog.pg_database where datname = %s", (name,))
                ((oid,),) = cursor.fetchall()
                cursor.execute(SETTINGS_SQL)
                for setting, value, is_of_role in cursor.fetchall():
                    self._copy_setting(name, setting, value, is_of_role=is_of_role)
        except psycopg2.Error as error:
            way_out = "Fix that, and try again."
            if error.pgcode == INSUFFICIENT_PRIVILEGE:
                way_out = "The role of DATABASE_URL needs the right to make databases: alter role … createdb."
            raise ComparisonError(f"the server makes no scratch database: {str(error).strip()}", way_out) from error
        database = ScratchDatabase(name, oid, self._url_of(name))
        if not template:
            self._copy_surroundings(database)
        return database

    def _copy_setting(self, name: str, setting: str, value: str, *, is_of_role: bool) -> None:
        # By way of the session, as the value of a list, such as search_path, cannot be quoted as a whole.
        target = "role current_user in database" if is_of_role else "database"
        with self._connection.cursor() as cursor:
            cursor.execute("select pg_catalog.set_config(%s, %s, false)", (setting, value))
            cursor.execute(f"alter {target} {name} set {_quote(setting)} from current")
            cursor.execute(f"reset {_quote(setting)}")

    def _copy_surroundings(self, database: ScratchDatabase) -> None:
        with self._connection.cursor() as cursor, closing(connect(database.url)) as target:
            target.autocommit = True
            cursor.execute(SCHEMAS_SQL)
            statements = [(schema, f"create schema if not exists {_quote(schema)}") for (schema,) in cursor.fetchall()]
            cursor.execute(EXTENSIONS_SQL)
            statements += [
                (extension, f"create extension if not exists {_quote(extension)} schema {_quote(schema)}")
                for extension, schema in cursor.fetchall()
            ]
            for name, statement in statements:
                if name not in self._left_out:
                    self._surroundings.add(name)
                    try:
                        with target.cursor() as target_cursor:
                            target_cursor.execute(statement)
                    except psycopg2.Error as error:
                        self.missing[name] = str(error).strip()

    def leave_out(self, reason: str) -> bool:
        """Whether there is a schema or an extension that `reason` names, which create() copies no more."""
        named = {name for name in self._surroundings - self._left_out if name in reason}
        self._left_out |= named
        return bool(named)

    def render_missing(self) -> str:
        """What create() could not copy from the checked database, a line each."""
        return "".join(
            f'\nthe checked database has "{name}", which could not be made there: {reason}'
            for name, reason in self.missing.items()
        )

    def _url_of(self, name: str) -> str:
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


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
