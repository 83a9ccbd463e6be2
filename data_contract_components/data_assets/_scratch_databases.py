"""Databases on the server of the checked one, in which migrations are run; dropped afterwards."""

from __future__ import annotations

import itertools
import secrets
import signal
import sys
import threading
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from urllib.parse import quote, urlsplit

import psycopg2
from psycopg2.extensions import quote_ident

from data_contract_components.data_assets._query_postgres_helper import (
    INSUFFICIENT_PRIVILEGE,
    SQL_DIRECTORY,
    connect,
    database_url,
    get_url_variable,
    read_sql,
)
from data_contract_components.errors import ComparisonError

PREFIX = "contracts_scratch_"  # leftover_scratch_databases.sql has it too
LEFTOVERS_SQL = read_sql(SQL_DIRECTORY / "leftover_scratch_databases.sql")
SETTINGS_SQL = read_sql(SQL_DIRECTORY / "database_settings.sql")
SURROUNDINGS_SQL = read_sql(SQL_DIRECTORY / "schemas_and_extensions.sql")
IDENTITY_SQL = """
select datname::text, oid::bigint
from pg_catalog.pg_database
where datname operator(pg_catalog.=) coalesce(%s, pg_catalog.current_database())
"""
DISCONNECT_SQL = "select pg_catalog.pg_terminate_backend(pid) from pg_catalog.pg_stat_activity where datname = %s"


@dataclass(frozen=True)
class ScratchDatabase:
    """A database that migrations are run on, its URL, and libpq's variables for it (None: unset).

    `label` names it in messages. `copied` are the schemas and extensions that were created as the checked database has
    them, `missing` the reasons why others could not be created. `secrets` must not be printed.
    """

    name: str
    oid: int
    url: str
    environment: dict[str, str | None]
    secrets: tuple[str, ...]
    label: str = "the scratch database"
    copied: tuple[tuple[str, str], ...] = ()
    missing: tuple[str, ...] = ()


class ScratchDatabases:
    """Inside `with`, creates databases on the server of database_url(); they are dropped afterwards.

    Also after SIGINT and SIGTERM. The next process drops what a killed one left: the connection that created the
    databases has their name for its application_name, and lives as long as its process.
    """

    def __init__(self, *, has_surroundings: bool = True) -> None:
        self._has_surroundings = has_surroundings

    def __enter__(self) -> ScratchDatabases:
        self._url = database_url()
        self._name = PREFIX + secrets.token_hex(6)
        self._numbers = itertools.count()
        with ExitStack() as cleanups:
            self._connection = cleanups.enter_context(closing(connect(self._url)))
            self._connection.autocommit = True
            if threading.current_thread() is threading.main_thread():
                handler = signal.signal(signal.SIGTERM, signal.default_int_handler)
                cleanups.callback(signal.signal, signal.SIGTERM, handler or signal.SIG_DFL)
            with self._connection.cursor() as cursor:
                cursor.execute("select pg_catalog.set_config('application_name', %s, false)", (self._name,))
                cursor.execute(LEFTOVERS_SQL)
                for (leftover,) in cursor.fetchall():
                    self._drop(leftover)
                cursor.execute("select pg_catalog.current_database()")
                ((self.checked_database,),) = cursor.fetchall()
            self._cleanups = cleanups.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._cleanups.close()

    def create(self, template: ScratchDatabase | None = None) -> ScratchDatabase:
        """A new database, or a copy of `template`.

        It has the settings of the checked one, and with `has_surroundings` also its schemas and extensions.
        """
        name = f"{self._name}_{next(self._numbers)}"
        self._cleanups.callback(self._drop, name)
        try:
            with self._connection.cursor() as cursor:
                if template:
                    # A connection pooler keeps connections that are not used any more.
                    cursor.execute(DISCONNECT_SQL, (template.name,))
                cursor.execute(f"create database {name} template {template.name if template else 'template1'}")
                self._copy_settings(cursor, name)
        except psycopg2.Error as error:
            way_out = "Fix that, and try again."
            if error.pgcode == INSUFFICIENT_PRIVILEGE:
                way_out = (
                    f"The role of {get_url_variable()} needs the right to create databases: alter role … createdb."
                )
            raise ComparisonError(f"cannot create a scratch database: {str(error).strip()}", way_out) from error
        # database_url() has the database's name in the path, and nowhere else.
        database = _describe(self._connection, urlsplit(self._url)._replace(path=f"/{name}").geturl(), name)
        if template:
            return replace(database, copied=template.copied, missing=template.missing)
        return self._copy_surroundings(database) if self._has_surroundings else database

    def _copy_settings(self, cursor: psycopg2.extensions.cursor, name: str) -> None:
        cursor.execute(SETTINGS_SQL)
        for is_of_role, setting, value in cursor.fetchall():
            owner = f"role session_user in database {name}" if is_of_role else f"database {name}"
            quoted = ".".join(quote_ident(part, cursor) for part in setting.split("."))
            try:
                # By way of the session: the value is stored as it is shown, also where it is a list.
                set_sql = f"select pg_catalog.set_config(%s, %s, true); alter {owner} set {quoted} from current"
                cursor.execute(f"begin; {set_sql}; commit", (setting, value))
            except psycopg2.Error as error:
                cursor.execute("rollback")
                if error.pgcode != INSUFFICIENT_PRIVILEGE:  # only a superuser may set it: logs and the like
                    raise

    def _copy_surroundings(self, database: ScratchDatabase) -> ScratchDatabase:
        """Creates the schemas and extensions; they are dropped again where a migration creates one itself."""
        copied: list[tuple[str, str]] = []
        missing: list[str] = []
        with closing(connect(database.url)) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            cursor.execute(SURROUNDINGS_SQL)
            known = {(kind, name) for kind, name, *_ in cursor.fetchall()}
            with self._connection.cursor() as checked_cursor:
                checked_cursor.execute(SURROUNDINGS_SQL)
                wanted = [row for row in checked_cursor.fetchall() if row[:2] not in known]
            for kind, name, statement, _ in wanted:
                try:
                    cursor.execute(statement)
                    copied.append((kind, name))
                except psycopg2.Error as error:
                    missing.append(f'the {kind} "{name}" cannot be created there: {str(error).strip()}')
        return replace(database, copied=tuple(copied), missing=tuple(missing))

    def _drop(self, name: str) -> None:
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(f"drop database if exists {name} with (force)")
        except psycopg2.Error as error:
            # Not raised: the next process tries again, and the comparison may be complete.
            print(f"scratch database {name} is still there: {str(error).strip()}", file=sys.stderr)


def describe_database(url: str, label: str) -> ScratchDatabase:
    """The database of `url` itself, to run migrations on it."""
    with closing(connect(url)) as connection:
        return replace(_describe(connection, url), label=label)


def _describe(connection: psycopg2.extensions.connection, url: str, name: str | None = None) -> ScratchDatabase:
    """The database of `url`, which has this name on the server of `connection` (None: it is that of `connection`)."""
    with connection.cursor() as cursor:
        cursor.execute(IDENTITY_SQL, (name,))
        ((name, oid),) = cursor.fetchall()
    info = connection.info
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
    return ScratchDatabase(name, oid, url, environment, secrets)
