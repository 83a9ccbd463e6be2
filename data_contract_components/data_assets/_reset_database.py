"""Empties the database of database_url() for `make reset`: the embedded one, or one that the migrations built."""

import os
import sys
from contextlib import closing
from urllib.parse import urlsplit

import psycopg2
from alembic.config import Config
from alembic.script import ScriptDirectory
from psycopg2.sql import SQL, Identifier

from data_contract_components.command import command
from data_contract_components.data_assets._applied_revisions import MIGRATIONS_DIRECTORY, RECORDS_SQL
from data_contract_components.data_assets._embedded_postgres import remove_embedded_postgres
from data_contract_components.data_assets._migration_run import load_revisions_from_source, render_failure
from data_contract_components.data_assets._query_postgres_helper import (
    SQL_DIRECTORY,
    connect,
    database_url,
    describe,
    is_embedded,
    read_sql,
)
from data_contract_components.data_assets._stale_database import RELATIONS_SQL
from data_contract_components.errors import DataContractError, ForeignDatabaseError, QueryError
from data_contract_components.settings import get_settings

NAME_SQL = read_sql(SQL_DIRECTORY / "database_and_owner.sql")


def ensure_migrations_load() -> None:
    """Alembic can load every revision, and they have one head.

    Raises: DataContractError, as an emptied database could not be rebuilt.
    """
    load_revisions_from_source()
    try:
        ScriptDirectory.from_config(Config(MIGRATIONS_DIRECTORY.parent / "alembic.ini")).get_current_head()
    except Exception as error:
        text = render_failure(error, ()) or str(error)
        raise DataContractError(f"the migrations cannot be loaded, so nothing was dropped\n{text}") from error


def reset_database(url: str) -> None:
    """The database is as CREATE DATABASE makes it, with the owner that it had.

    Raises: ForeignDatabaseError where it has tables and no record of ours, and it is unchanged; QueryError, and it is
        unchanged, or gone if only the renaming of its successor failed.
    """
    place = describe(url)
    with closing(connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(NAME_SQL)
        ((name, owner),) = cursor.fetchall()
        cursor.execute(RELATIONS_SQL)
        tables = [table for (table,) in cursor.fetchall()]
        cursor.execute(RECORDS_SQL)
        if tables and not cursor.fetchall():
            way_out = "If nobody needs them, drop and create that database yourself, and type make migrate."
            raise ForeignDatabaseError(place, tables, way_out)
    print(f"dropping and creating {place}", file=sys.stderr)
    # The new one first, so that a role that may not create databases loses nothing.
    old, new = Identifier(name), Identifier(f"{name[:50]}_reset_{os.getpid()}")
    with (
        closing(connect(urlsplit(url)._replace(path="/template1").geturl())) as connection,
        connection.cursor() as cursor,
    ):
        connection.autocommit = True
        try:
            cursor.execute(SQL("create database {} owner {}").format(new, Identifier(owner)))
            try:
                cursor.execute(SQL("drop database {} with (force)").format(old))
            except psycopg2.Error:
                cursor.execute(SQL("drop database {}").format(new))
                raise
            cursor.execute(SQL("alter database {} rename to {}").format(new, old))
        except psycopg2.Error as error:
            raise QueryError(error.pgcode, str(error).strip()) from error


@command("the database is as it was, or gone")
def main() -> int:
    """0: the database is empty; 2: it could not be emptied."""
    ensure_migrations_load()
    if is_embedded():
        remove_embedded_postgres(get_settings().root_directory / ".postgres")
    else:
        reset_database(database_url())
    return 0


if __name__ == "__main__":
    sys.exit(main())
