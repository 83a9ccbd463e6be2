"""Builds the database of database_url() by the project's migrations.

python -m data_contract_components.data_assets.migrate_db

For a project of its own on the embedded PostgreSQL, whose URL only this package knows. The project's env.py runs as it
does for `alembic upgrade heads`, and a connection to another database is refused.
"""

import argparse
import sys

from data_contract_components.command import command
from data_contract_components.data_assets._embedded_postgres import remove_embedded_postgres
from data_contract_components.data_assets._migrations import Migrations
from data_contract_components.data_assets._query_postgres_helper import (
    PostgresDB,
    database_url,
    describe,
    get_url_variable,
    is_embedded,
)
from data_contract_components.data_assets._scratch_databases import describe_database
from data_contract_components.data_assets._stale_database import RELATIONS_SQL
from data_contract_components.errors import THIS_CHECKOUT
from data_contract_components.settings import get_settings


@command("the revisions that were not complete are rolled back")
def main(arguments: list[str] | None = None) -> int:
    """0: every revision is applied; 2: one could not be."""
    parser = argparse.ArgumentParser(
        prog="python -m data_contract_components.data_assets.migrate_db",
        description="Apply the project's migrations to the database that its contracts are checked on.",
        epilog="Exit status: 0 every revision is applied; 2 one could not be.",
    )
    parser.add_argument("--rebuild", action="store_true", help="remove the embedded PostgreSQL's data first")
    if parser.parse_args(arguments).rebuild:
        if not is_embedded():
            parser.error(
                f"--rebuild is for the embedded PostgreSQL, and {get_url_variable()} is set: empty that database"
            )
        remove_embedded_postgres(get_settings().root_directory / ".postgres")
    print(f"every revision is applied to {migrate()}")
    return 0


def migrate() -> str:
    """The name of the checked database, after every revision is applied to it. Raises: DataContractError."""
    url = database_url()
    database = describe_database(url, "the embedded PostgreSQL" if is_embedded() else describe(url))
    with Migrations(get_settings(), THIS_CHECKOUT) as migrations:
        migrations.apply_all(database, is_new=PostgresDB(url).query(RELATIONS_SQL).empty)
    return database.label


if __name__ == "__main__":
    sys.exit(main())
