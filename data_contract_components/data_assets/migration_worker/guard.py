"""Leads everything that runs in this process to the scratch database, and refuses each connection to another one."""

import contextlib
import importlib
import os
import re
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import psycopg2
from alembic.config import Config
from sqlalchemy import event
from sqlalchemy.pool import Pool

POSTGRES_URL = re.compile(r"\s*postgres\w*(\+\w+)?://")
# The parameters of a URL that identify the database; a driver that does not use libpq knows the last two.
PLACE_KEYS = ("user", "password", "passfile", "hostaddr", "dbname", "database", "service", "host", "port")
LIBPQ_DRIVERS = ("postgres", "postgresql", "psycopg2", "psycopg", "psycopg_async", "psycopg2cffi")
# What a setting of the environment may contain as {host} and so on, and libpq's variables that have it.
FIELDS = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "database": "PGDATABASE"}
IDENTITY_SQL = """
select datname::text, oid::text
from pg_catalog.pg_database
where datname operator(pg_catalog.=) pg_catalog.current_database()
"""


class RefusedConnectionError(Exception):
    """A connection to another database than the scratch database; nothing was run over it."""


class Guard:
    """SQLAlchemy and the drivers return a connection only if it is one to the scratch database.

    It is if the database has the right name, which is random, and the right oid. `refusals` are what was refused.
    """

    def __init__(self, database: str, oid: str) -> None:
        self._identity = (database, oid)
        self.refusals: list[str] = []

    def install(self) -> None:
        connect = psycopg2.connect

        def connect_psycopg2(*arguments: Any, **keywords: Any) -> Any:
            if keywords.get("async") or keywords.get("async_"):
                self._refuse("an asynchronous connection of psycopg2, which cannot be checked")
            connection = connect(*arguments, **keywords)
            self._check_by_cursor(connection)
            return connection

        psycopg2.connect = connect_psycopg2
        event.listen(Pool, "connect", self._check_by_cursor)
        for driver, guard in (("psycopg", self._guard_psycopg), ("asyncpg", self._guard_asyncpg)):
            with contextlib.suppress(ImportError):
                guard(importlib.import_module(driver))

    def _guard_psycopg(self, psycopg: Any) -> None:
        def check(connection: Any) -> Any:
            # By libpq, which is the same for both kinds of connections and begins no transaction.
            result = connection.pgconn.exec_(IDENTITY_SQL.encode())
            self._check(connection.pgconn, [(result.get_value(0, n) or b"").decode() for n in range(2)], "finish")
            return connection

        connect, connect_async = psycopg.Connection.connect.__func__, psycopg.AsyncConnection.connect.__func__

        async def checked_async(cls: Any, *arguments: Any, **keywords: Any) -> Any:
            return check(await connect_async(cls, *arguments, **keywords))

        psycopg.Connection.connect = classmethod(lambda cls, *a, **k: check(connect(cls, *a, **k)))
        psycopg.AsyncConnection.connect = classmethod(checked_async)
        psycopg.connect = psycopg.Connection.connect

    def _guard_asyncpg(self, asyncpg: Any) -> None:
        connect = asyncpg.connect

        async def checked(*arguments: Any, **keywords: Any) -> Any:
            connection = await connect(*arguments, **keywords)
            self._check(connection, await connection.fetchrow(IDENTITY_SQL), "terminate")
            return connection

        asyncpg.connect = asyncpg.connection.connect = checked

    def _check_by_cursor(self, connection: Any, *_: Any) -> None:
        with contextlib.closing(connection.cursor()) as cursor:
            cursor.execute(IDENTITY_SQL)
            row = cursor.fetchone()
        connection.rollback()
        self._check(connection, row.values() if hasattr(row, "values") else row)

    def _check(self, connection: Any, identity: Any, close: str = "close") -> None:
        database, oid = identity or ("", "")
        if (database, oid) != self._identity:
            getattr(connection, close)()
            self._refuse(f'a connection to the database "{database}"')

    def _refuse(self, reason: str) -> None:
        self.refusals.append(reason)
        raise RefusedConnectionError(reason)


def set_environment(job: dict[str, Any]) -> None:
    """The job's `environment` is set, every URL in it leads to the scratch database, and so do libpq's variables."""
    url = job["url"]
    values = {name: job["libpq_environment"][variable] or "" for name, variable in FIELDS.items()}
    if values["host"].startswith("/"):
        values["host"] = ""  # the directory of a socket, which no URL can have before its port; PGHOST has it
    for name, text in job["environment"].items():
        os.environ[name] = re.sub(r"\{(\w+)\}", lambda match: values.get(match[1], match[0]), text)
    for name, value in list(os.environ.items()):
        if POSTGRES_URL.match(value):
            os.environ[name] = _render_url_like(value, url)
    for name in job["url_variables"]:
        if not POSTGRES_URL.match(os.environ.get(name, "")):
            os.environ[name] = url
    for name, variable in job["libpq_environment"].items():
        os.environ.pop(name, None)
        if variable:
            os.environ[name] = variable


def set_urls(config: Config, url: str) -> None:
    """Every URL of the configuration is that of the scratch database, also sqlalchemy.url where it was missing."""
    file_config = config.file_config
    if not file_config.has_option(config.config_ini_section, "sqlalchemy.url"):
        config.set_main_option("sqlalchemy.url", f"postgresql+psycopg2:{url.partition(':')[2]}".replace("%", "%%"))
    for section in file_config.sections():
        for name, value in file_config.items(section, raw=True):
            if POSTGRES_URL.match(value):
                own_url = _render_url_like(value.replace("%%", "%"), url)
                file_config.set(section, name, own_url.replace("%", "%%"))


def _render_url_like(value: str, url: str) -> str:
    """`url`, with the driver and the options of the URL `value`."""
    scheme, _, rest = value.strip().partition("://")
    place_keys = PLACE_KEYS if scheme.rpartition("+")[2] in LIBPQ_DRIVERS else PLACE_KEYS[-2:]
    query = [pair for pair in parse_qsl(urlsplit(url).query, keep_blank_values=True) if pair[0] in place_keys]
    options = parse_qsl(rest.partition("?")[2], keep_blank_values=True)
    query += [pair for pair in options if pair[0] not in PLACE_KEYS]
    return urlsplit(url)._replace(scheme=scheme, query=urlencode(query, quote_via=quote)).geturl()
