"""Databases beside the checked one, on its server, in which migrations are run; dropped afterwards."""

from __future__ import annotations

import secrets
import signal
import sys
import threading
from contextlib import closing
from dataclasses import dataclass, replace
from types import TracebackType
from urllib.parse import quote, urlsplit

import psycopg2
from psycopg2.extensions import quote_ident

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
# Settings of the checked database, and of this role in it, which win over the role's own.
SETTINGS_SQL = """
select settings.setrole <> 0 as is_of_role, split_part(entry, '=', 1) as name,
    substr(entry, strpos(entry, '=') + 1) as value
from pg_catalog.pg_db_role_setting as settings, unnest(settings.setconfig) as entry
where settings.setdatabase = (
        select databases.oid from pg_catalog.pg_database as databases where databases.datname = current_database()
    )
    and (settings.setrole = 0 or settings.setrole::regrole = quote_ident(session_user)::regrole)
order by settings.setrole, name
"""
SCHEMAS_SQL = """
select namespaces.nspname::text as name, pg_catalog.format('create schema %I', namespaces.nspname) as statement
from pg_catalog.pg_namespace as namespaces
where namespaces.nspname !~ '^pg_' and namespaces.nspname <> 'information_schema'
order by namespaces.oid
"""
EXTENSIONS_SQL = """
select
    extensions.extname::text as name,
    pg_catalog.format('create extension %I schema %I cascade', extensions.extname, namespaces.nspname) as statement
from pg_catalog.pg_extension as extensions
join pg_catalog.pg_namespace as namespaces on namespaces.oid = extensions.extnamespace
order by extensions.oid
"""
DISCONNECT_SQL = "select pg_catalog.pg_terminate_backend(pid) from pg_catalog.pg_stat_activity where datname = %s"


@dataclass(frozen=True)
class ScratchDatabase:
    """A database of ScratchDatabases, its URL, and the libpq variables (None: unset) that lead to it too.

    `copied` are the schemas and extensions that the checked database has and a new one has not, `missing` those of
    them that could not be made, with the reasons. `secrets` must not be printed.
    """

    name: str
    oid: int
    url: str
    environment: dict[str, str | None]
    secrets: tuple[str, ...]
    copied: tuple[tuple[str, str], ...] = ()
    missing: tuple[str, ...] = ()


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

    def create(self, template: ScratchDatabase | None = None) -> ScratchDatabase:
        """A new database with what the checked one has beside its tables, or a copy of `template`."""
        name = f"{self._name}_{len(self._names)}"
        self._names.append(name)
        try:
            with self._connection.cursor() as cursor:
                if template:
                    # A pooler keeps connections that nobody uses any more.
                    cursor.execute(DISCONNECT_SQL, (template.name,))
                cursor.execute(f"create database {name} template {template.name if template else 'template1'}")
                self._copy_settings(cursor, name)
                cursor.execute("select oid from pg_catalog.pg_database where datname = %s", (name,))
                ((oid,),) = cursor.fetchall()
        except psycopg2.Error as error:
            way_out = "Fix that, and try again."
            if error.pgcode == INSUFFICIENT_PRIVILEGE:
                way_out = "The role of DATABASE_URL needs the right to make databases: alter role … createdb."
            raise ComparisonError(f"the server makes no scratch database: {str(error).strip()}", way_out) from error
        info = self._connection.info
        environment = {
            "PGHOST": info.host,
            "PGHOSTADDR": info.dsn_parameters.get("hostaddr"),
            "PGPORT": str(info.port),
            "PGUSER": info.user,
            "PGPASSWORD": info.password,
            "PGDATABASE": name,
            "PGSERVICE": None,
        }
        secrets = (info.password, quote(info.password, safe="")) if info.password else ()
        database = ScratchDatabase(name, oid, self._url_of(name), environment, secrets)
        if template:
            return replace(database, copied=template.copied, missing=template.missing)
        return self._copy_surroundings(database)

    def _copy_settings(self, cursor: psycopg2.extensions.cursor, name: str) -> None:
        cursor.execute(SETTINGS_SQL)
        for is_of_role, setting, value in cursor.fetchall():
            owner = f"role session_user in database {name}" if is_of_role else f"database {name}"
            quoted = ".".join(quote_ident(part, cursor) for part in setting.split("."))
            try:
                # From the session, as the value is stored in the form that it is shown in, also where it is a list.
                set_sql = f"select pg_catalog.set_config(%s, %s, true); alter {owner} set {quoted} from current"
                cursor.execute(f"begin; {set_sql}; commit", (setting, value))
            except psycopg2.Error as error:
                cursor.execute("rollback")
                if error.pgcode != INSUFFICIENT_PRIVILEGE:  # what only a superuser may set concerns logs and the like
                    raise

    def _copy_surroundings(self, database: ScratchDatabase) -> ScratchDatabase:
        """Makes the schemas and extensions; a migration that makes one itself gets it out of the way first."""
        copied: list[tuple[str, str]] = []
        missing: list[str] = []
        with closing(connect(database.url)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor, self._connection.cursor() as checked_cursor:
                for kind, sql in (("schema", SCHEMAS_SQL), ("extension", EXTENSIONS_SQL)):
                    cursor.execute(sql)
                    known = {name for name, _ in cursor.fetchall()}
                    checked_cursor.execute(sql)
                    for name, statement in checked_cursor.fetchall():
                        if name not in known:
                            try:
                                cursor.execute(statement)
                                copied.append((kind, name))
                            except psycopg2.Error as error:
                                missing.append(f'the {kind} "{name}" cannot be made there: {str(error).strip()}')
        return replace(database, copied=tuple(copied), missing=tuple(missing))

    def _url_of(self, name: str) -> str:
        # database_url() has the database's name in the path, and nowhere else.
        return urlsplit(self._url)._replace(path=f"/{name}").geturl()

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
