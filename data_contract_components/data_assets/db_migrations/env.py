"""Runs the migrations in versions/ on the database of database_url(); alembic executes this file for each command."""

import sys
from logging.config import fileConfig

import psycopg2.extensions
from alembic import context
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from data_contract_components.data_assets._applied_revisions import record_applied_revisions
from data_contract_components.data_assets._query_postgres_helper import connect, database_url
from data_contract_components.errors import DataContractError

DIALECT = "postgresql+psycopg2"


# Any number does, as long as nothing else in the database takes it.
MIGRATION_LOCK_SQL = "select pg_catalog.pg_advisory_lock(7071958)"


def connect_alone() -> psycopg2.extensions.connection:
    """A connection that has waited for other migrations of this database, and lets none begin before it is closed."""
    connection = connect(database_url())
    with connection.cursor() as cursor:
        cursor.execute(MIGRATION_LOCK_SQL)
    connection.commit()
    return connection


def run_migrations_offline() -> None:
    """The SQL of the migrations is on standard output; no database is asked."""
    context.configure(url=f"{DIALECT}://", literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


def run_migrations_online() -> None:
    """The migrations are applied, all of them or none, and their files' checksums recorded."""
    engine = create_engine(f"{DIALECT}://", creator=connect_alone, poolclass=NullPool)
    with engine.connect() as connection:
        context.configure(connection=connection, on_version_apply=record_applied_revisions)
        with context.begin_transaction():
            context.run_migrations()


if context.config.config_file_name is not None:
    fileConfig(context.config.config_file_name, disable_existing_loggers=False)

try:
    if context.is_offline_mode():
        run_migrations_offline()
    else:
        run_migrations_online()
except DataContractError as error:
    print(error, file=sys.stderr)
    sys.exit(2)
