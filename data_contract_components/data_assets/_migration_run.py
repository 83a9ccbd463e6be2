"""What env.py does around the migrations: it waits for others, checks the database, and explains a failure."""

from __future__ import annotations

import os
import re
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import alembic.script.base
import psycopg2
from alembic.script.revision import ResolutionError
from sqlalchemy.exc import DBAPIError

from data_contract_components.data_assets._applied_revisions import MIGRATIONS_DIRECTORY, RECORDS_SQL, quote_table
from data_contract_components.data_assets._query_postgres_helper import way_out_of_missing_feature
from data_contract_components.data_assets._stale_database import RELATIONS_SQL
from data_contract_components.errors import DataContractError, ForeignDatabaseError

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationContext, MigrationInfo
    from sqlalchemy import Connection

POLL_INTERVAL_SECONDS = 0.1
# Any number that nothing else in the database locks.
MIGRATION_LOCK_SQL = "select pg_catalog.pg_try_advisory_lock(7071958)"
RESET = "rebuild the database from nothing: make reset"
GRANT = "Grant the role of DATABASE_URL that right (on a schema: grant create on schema …), or name another role."
WAYS_OUT = {
    "3F000": GRANT,
    "42501": GRANT,
    "42710": f"If an earlier run left it there, drop it, or {RESET}",
    "42P07": f"If an earlier run left it there, drop it, or {RESET}",
    "55P04": "Add the value in a block of its own: with op.get_context().autocommit_block(): …",
}


def load_revisions_from_source() -> None:
    """Alembic loads each revision from its text, and no file that an operating system puts beside it."""
    # Python uses a compiled file when the source has the same size and time; here it finds none, and writes none.
    sys.pycache_prefix = os.devnull
    # Alembic skips Emacs' lock files, and not the "._" files of macOS.
    alembic.script.base._only_source_rev_file = re.compile(r"(?!\.|__init__)(.*\.py)$")


def wait_for_other_migrations(connection: Connection) -> None:
    """No other migration of this database begins before `connection` is closed, and none runs."""
    is_reported = False
    # Not by a statement that waits: its snapshot would hold up CREATE INDEX CONCURRENTLY in the other migration.
    while not connection.exec_driver_sql(MIGRATION_LOCK_SQL).scalar_one():
        connection.rollback()
        if not is_reported:
            print("waiting for another migration of this database", file=sys.stderr)
            is_reported = True
        time.sleep(POLL_INTERVAL_SECONDS)
    connection.rollback()


def ensure_may_be_migrated(connection: Connection, context: MigrationContext, name: str) -> None:
    """The database is empty, or has a table of Alembic's or a record of these migrations.

    Raises: ForeignDatabaseError with the tables that it has.
    """
    table = quote_table(context.version_table_schema, context.version_table)
    relations = list(connection.exec_driver_sql(RELATIONS_SQL).scalars())
    is_known = (
        not relations
        or connection.exec_driver_sql("select pg_catalog.to_regclass(%s) is not null", (table,)).scalar_one()
        or connection.exec_driver_sql(RECORDS_SQL).first() is not None
    )
    connection.rollback()
    if not is_known:
        way_out = "Name another database in DATABASE_URL, or unset it to use the embedded PostgreSQL."
        raise ForeignDatabaseError(name, relations, way_out)


def keep_what_ran(transactions: list[str], ctx: MigrationContext, step: MigrationInfo | None = None, **_: Any) -> None:
    """Alembic will commit the transaction that is open after `step`, also where a revision ended an earlier one.

    `transactions` are their ids, the current one last; `step` is None before the first step.
    Raises: DataContractError where the last one was rolled back, as its revisions would be recorded as applied.
    """
    assert ctx.connection is not None
    statement = "select pg_catalog.pg_xact_status(%s::xid8)"
    for transaction in transactions[-1:]:
        if step and ctx.connection.exec_driver_sql(statement, (transaction,)).scalar_one() == "aborted":
            raise DataContractError(
                f"revision {step.up_revision_id} rolled back what it and the revisions before it did\n"
                "Let it undo a statement that may fail by a savepoint: with op.get_bind().begin_nested(): …"
            )
    transactions.append(ctx.connection.exec_driver_sql("select pg_catalog.pg_current_xact_id()::text").scalar_one())
    ctx._transaction = ctx.connection.get_transaction()


def render_failure(error: Exception, heads: tuple[str, ...]) -> str | None:
    """Which revision failed, where, why, and the way out; None where the cause is neither a revision nor PostgreSQL."""
    missing = error.__cause__
    if isinstance(missing, ResolutionError) and missing.argument in heads:
        return (
            f"revision {missing.argument} is applied in this database, and its file is not in this checkout\n"
            f"Check out the branch that has it, or {RESET}"
        )
    frames = [
        (path, line, frame.f_globals)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if (path := _relative(frame.f_code.co_filename))
    ]
    places = [f"{path}:{line}" for path, line, _ in frames if path != "env.py"]
    if isinstance(error, SyntaxError) and (path := _relative(error.filename or "")):
        places.append(f"{path}:{error.lineno or 1}")
    cause: Any = (isinstance(error, DBAPIError) and error.orig) or error
    if not places and not isinstance(cause, psycopg2.Error):
        return None
    revisions = [values["revision"] for _, _, values in frames if "down_revision" in values and "revision" in values]
    head = f"revision {revisions[0]}" if revisions else "the migrations"
    lines = [f"{head} failed" + (f": {places[-1]}" if places else "")]
    if isinstance(cause, psycopg2.Error):
        reason = cause.diag.message_primary or str(cause).strip()
        detail = f" ({cause.diag.message_detail})" if cause.diag.message_detail else ""
        way_out = way_out_of_missing_feature(reason + detail) or WAYS_OUT.get(
            cause.pgcode or "", f"Fix that, or {RESET}"
        )
        lines += [f"SQL state {cause.pgcode}: {reason}{detail}" if cause.pgcode else reason, way_out]
    else:
        lines += [f"{type(error).__name__}: {error.msg if isinstance(error, SyntaxError) else error}"]
        # The wording of 3.14 differs from that of 3.11.
        is_encoding = isinstance(error, SyntaxError) and "utf-8" in (error.msg or "").lower()
        lines += ["Save the file as UTF-8, and try again." if is_encoding else "Fix that, and try again."]
    return "\n".join(lines)


def _relative(path: str) -> str | None:
    """The path relative to db_migrations/; None where the file is elsewhere."""
    resolved, directory = Path(path).resolve(), MIGRATIONS_DIRECTORY
    return resolved.relative_to(directory).as_posix() if resolved.is_relative_to(directory) else None
