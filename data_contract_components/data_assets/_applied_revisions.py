"""Which revision files built the database: recorded by env.py, compared with the files before a contract is checked.

`alembic upgrade head` does not run an edited revision again; without this record its contracts would be checked
against the old tables, and pass. The record is the comment of alembic's own table, so that no catalog shows it: a
JSON object from revision to the SHA-256 of its file.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from data_contract_components.data_assets._query_postgres_helper import PostgresDB
from data_contract_components.errors import StaleDatabaseError

if TYPE_CHECKING:  # the contract tests do without alembic, which takes as long to import as they do to run
    from alembic.runtime.migration import MigrationContext, MigrationInfo
    from alembic.script import Script

VERSIONS_DIRECTORY = Path(__file__).parent / "db_migrations" / "versions"

# By name and not by to_regclass, which finds nothing for a role with another search_path.
APPLIED_REVISIONS_SQL = """
select pg_catalog.obj_description(oid, 'pg_class') as applied_revisions
from pg_catalog.pg_class
where relname = 'alembic_version' and relkind = 'r'
order by pg_catalog.pg_table_is_visible(oid) desc, oid
limit 1
"""
RECORD_SQL = "comment on table alembic_version is %s"


def record_applied_revisions(
    ctx: MigrationContext, step: MigrationInfo, heads: Collection[Any], run_args: Mapping[str, Any]
) -> None:
    """The record holds every revision up to `heads`, in the transaction of `step`; it is empty at the base.

    A revision keeps the checksum that it was applied with. Not recorded: what `--sql` only prints.
    Source: alembic, EnvironmentContext.configure, on_version_apply.
    """
    if ctx.as_sql or ctx.connection is None:
        return
    comment = ctx.connection.exec_driver_sql(APPLIED_REVISIONS_SQL).scalar_one()
    recorded = _read_record(comment)
    if comment and recorded is None:
        return  # somebody else's comment
    revisions = step.revision_map.iterate_revisions(tuple(heads), "base") if heads else ()
    applied = {
        revision.revision: (recorded or {}).get(revision.revision) or _checksum(Path(cast("Script", revision).path))
        for revision in revisions
    }
    ctx.connection.exec_driver_sql(RECORD_SQL, (json.dumps(applied, sort_keys=True),))


def ensure_applied_revisions_are_current(
    database: PostgresDB | None = None, versions_directory: Path = VERSIONS_DIRECTORY
) -> None:
    """The files in `versions_directory` are those that built the database, or the database holds no record.

    Raises: StaleDatabaseError with every revision that was edited, removed or not applied yet.
    """
    comments = (database or PostgresDB()).query(APPLIED_REVISIONS_SQL)["applied_revisions"]
    record = _read_record(comments[0]) if len(comments) else None
    if record is None:
        return
    problems, commands = find_stale_revisions(record, versions_directory)
    if problems:
        raise StaleDatabaseError(problems, commands)


def find_stale_revisions(applied: dict[str, str], versions_directory: Path) -> tuple[list[str], list[str]]:
    """What differs between the record and the files, in their order, and the commands that mend it."""
    paths = {_revision(path): path for path in sorted(versions_directory.glob("*.py"))}
    paths.pop(None, None)
    edited = [
        f"{path.name} was edited after it had been applied"
        for revision, path in paths.items()
        if revision in applied and applied[revision] != _checksum(path)
    ]
    removed = [
        f"revision {revision} was applied, and its file is gone; bring it back to undo it"
        for revision in applied
        if revision not in paths
    ]
    new = [f"{path.name} has not been applied" for revision, path in paths.items() if revision not in applied]
    commands = ["alembic downgrade base"] if edited or removed else []
    return edited + removed + new, [*commands, "alembic upgrade head"]


def _read_record(comment: Any) -> dict[str, str] | None:
    """The checksums by revision; None where the comment is none of ours, or there is none."""
    try:
        record = json.loads(comment)
    except (TypeError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def _checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _revision(path: Path) -> str | None:
    match = re.search(r"""^revision\b[^=\n]*=\s*["'](.+?)["']""", path.read_text(encoding="utf-8"), re.MULTILINE)
    return match[1] if match else None
