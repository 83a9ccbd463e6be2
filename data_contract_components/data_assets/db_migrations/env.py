"""Runs the migrations in versions/ on the database of database_url(); alembic executes this file for each command."""

import functools
import sys
from logging.config import fileConfig
from pathlib import Path

from alembic import context
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from data_contract_components.data_assets._applied_revisions import get_checksums_once, record_applied_revisions
from data_contract_components.data_assets._migration_run import (
    ensure_may_be_migrated,
    keep_what_ran,
    load_revisions_from_source,
    render_failure,
    wait_for_other_migrations,
)
from data_contract_components.data_assets._query_postgres_helper import connect, database_url, describe, is_embedded
from data_contract_components.errors import DataContractError

DIALECT = "postgresql+psycopg2"
# Whether a user typed a command; a program that runs the migrations reports their errors itself.
IS_TYPED = context.config.cmd_opts is not None


def run_migrations_offline() -> None:
    """The SQL of the migrations is on standard output; no database is needed."""
    context.configure(url=f"{DIALECT}://", literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


def run_migrations_online() -> None:
    """The migrations are applied and recorded: all or none, except for revisions that commit."""
    url = database_url()
    engine = create_engine(f"{DIALECT}://", creator=lambda: connect(url), poolclass=NullPool)
    with engine.connect() as connection:
        wait_for_other_migrations(connection)
        keep = functools.partial(keep_what_ran, [])
        # Its type has one function, its documentation also a collection of them.
        context.configure(connection=connection, on_version_apply=(keep, record_applied_revisions))  # type: ignore[arg-type]
        migration_context = context.get_context()
        heads = migration_context.get_current_heads()
        connection.rollback()
        # Alembic's key for upgrade, downgrade and stamp, and for no command that only reads.
        is_migrated = "destination_rev" in migration_context.opts
        if is_migrated and not is_embedded():
            if IS_TYPED:
                print(f"migrating {describe(url)}", file=sys.stderr)
            ensure_may_be_migrated(connection, migration_context, describe(url))
        try:
            with context.begin_transaction():
                if is_migrated:
                    keep(migration_context)
                context.run_migrations()
        except Exception as error:
            connection.rollback()
            text = IS_TYPED and render_failure(error, heads)
            if not text:
                raise
            raise DataContractError(text) from error


if context.config.config_file_name is not None:
    # In the repository's directory alembic reads pyproject.toml, which cannot configure the log.
    named, own = Path(context.config.config_file_name), Path(__file__).parents[1] / "alembic.ini"
    fileConfig(named if named.exists() else own, disable_existing_loggers=False)

load_revisions_from_source()  # none is loaded yet
get_checksums_once(Path(__file__).resolve().parent)
try:
    if context.is_offline_mode():
        run_migrations_offline()
    else:
        run_migrations_online()
except DataContractError as error:
    if not IS_TYPED:
        raise
    print(error, file=sys.stderr)
    sys.exit(2)
