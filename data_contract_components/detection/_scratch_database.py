"""A database to break tables in: built by the migrations, and gone afterwards."""

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from data_contract_components.data_assets._query_postgres_helper import PostgresDB, database_url
from data_contract_components.errors import DataContractError, QueryError

ALEMBIC_PATH = Path(__file__).resolve().parents[1] / "data_assets/alembic.ini"


class NoScratchDatabaseError(DataContractError):
    """The scratch database cannot be made or migrated, and nothing of it is left."""


@contextmanager
def scratch_database(name: str) -> Iterator[str]:
    """The URL of a new database on the server of database_url(), as the migrations build it; `name` begins its name.

    It is dropped whatever happens, also on Ctrl-C. Raises: NoScratchDatabaseError, DatabaseUnavailableError.
    """
    url, name = database_url(), f"{name}_{secrets.token_hex(6)}"
    # Not in the path of the URL, as a dbname that follows would overrule it.
    scratch_url = f"{url}{'&' if '?' in url else '?'}dbname={name}"
    try:
        try:
            PostgresDB(url).query(f"create database {name}")
        except QueryError as error:
            raise NoScratchDatabaseError(f"no scratch database, which takes the right CREATEDB: {error}") from error
        migration = subprocess.run(
            [sys.executable, "-m", "alembic", "-c", str(ALEMBIC_PATH), "upgrade", "head"],
            env=os.environ | {"DATABASE_URL": scratch_url},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if migration.returncode:
            raise NoScratchDatabaseError(f"the migrations do not run in a new database:\n{migration.stdout.strip()}")
        yield scratch_url
    finally:
        # So that a second Ctrl-C does not leave it behind.
        handlers = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            PostgresDB(url).query(f"drop database if exists {name} with (force)")
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
