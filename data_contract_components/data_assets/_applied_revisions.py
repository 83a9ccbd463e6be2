"""What built the database: recorded by env.py, compared with the files before a contract is checked.

`alembic upgrade head` does not run an edited revision again; without this record its contracts would be checked
against the old tables, and pass. The record is the comment of alembic's own table, so that no catalog shows it: a
JSON object whose first key is MARKER, with `heads` as alembic's table had them, `revisions` (the file of each applied
one) and `files` (the SHA-256 of each file below db_migrations/ as it was when the database was built; null for a
revision that was applied without this record).
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import sys
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_contract_components.data_assets._query_postgres_helper import INSUFFICIENT_PRIVILEGE, PostgresDB
from data_contract_components.errors import QueryError, StaleDatabaseError

if TYPE_CHECKING:  # the contract tests do without alembic, which takes as long to import as they do to run
    from alembic.runtime.migration import MigrationContext, MigrationInfo
    from alembic.script import ScriptDirectory

Record = dict[str, Any]
MIGRATIONS_DIRECTORY = Path(__file__).resolve().parent / "db_migrations"
MARKER = "data_contracts_record"
RECORD_KEYS = {MARKER, "heads", "revisions", "files"}
DOWNGRADE, UPGRADE = "alembic downgrade base", "alembic upgrade head"
# raw_data/ is what seed_db.py loads, and the template is for revisions to come: no migration reads either.
NO_MIGRATIONS_INPUT = ("raw_data", "script.py.mako", "__pycache__", "Thumbs.db", "desktop.ini")

# By the marker, as neither the table's name nor the search_path says which table alembic is configured to use.
RECORDS_SQL = f"""
select nspname as table_schema, relname as table_name, description as record
from pg_catalog.pg_description
join pg_catalog.pg_class on pg_class.oid = objoid
join pg_catalog.pg_namespace on pg_namespace.oid = relnamespace
where classoid = 'pg_catalog.pg_class'::pg_catalog.regclass and objsubid = 0
    and pg_catalog.starts_with(description, '{{"{MARKER}":')
order by nspname, relname
"""
# What somebody has built: system catalogs, temporary tables, extensions and alembic's default table are not it.
RELATIONS_SQL = """
select nspname || '.' || relname as name
from pg_catalog.pg_class
join pg_catalog.pg_namespace on pg_namespace.oid = relnamespace
where relkind in ('r', 'p', 'f', 'v', 'm') and relname <> 'alembic_version'
    and nspname !~ '^pg_' and nspname <> 'information_schema'
    and not exists (
        select from pg_catalog.pg_depend
        where classid = 'pg_catalog.pg_class'::pg_catalog.regclass and objid = pg_class.oid and deptype = 'e'
    )
order by name
"""
COMMENT_SQL = "select pg_catalog.obj_description(pg_catalog.to_regclass(%s), 'pg_class')"


def record_applied_revisions(
    checksums: dict[str, str],
    ctx: MigrationContext,
    step: MigrationInfo,
    heads: Collection[Any],
    **_: Any,
) -> None:
    """The record is that of `heads`, in the transaction of `step`; `checksums` were taken before alembic read a file.

    A file keeps the checksum that it was first recorded with: a revision's until it is downgraded, any other's until
    nothing is applied. Not recorded: what `--sql` only prints, and a stamp, which runs nothing.
    Source: alembic, EnvironmentContext.configure, on_version_apply.
    """
    if ctx.as_sql or ctx.connection is None or ctx.script is None or step.is_stamp:
        return
    table = quote_table(ctx.version_table_schema, ctx.version_table)
    comment = ctx.connection.exec_driver_sql(COMMENT_SQL, (table,)).scalar_one()
    if comment and not comment.startswith("{"):
        return  # somebody else's
    recorded = read_record(comment) or {"files": {}}
    applied = {revision.revision for revision in step.revision_map.iterate_revisions(tuple(heads), "base")}
    revisions, files = {}, dict(checksums | recorded["files"] if applied else {})
    for revision, path in _get_paths(ctx.script).items():
        if revision not in applied:
            files.pop(path, None)
            continue
        revisions[revision] = path
        if path not in recorded["files"]:
            is_run = step.is_upgrade and revision in step.up_revision_ids
            files[path] = (checksums.get(path) or _get_checksum(MIGRATIONS_DIRECTORY / path)) if is_run else None
    record = {MARKER: 1, "heads": sorted(heads), "revisions": revisions, "files": files}
    ctx.connection.exec_driver_sql(f"comment on table {table} is %s", (json.dumps(record),))


@functools.cache
def _get_paths(script: ScriptDirectory) -> dict[str, str]:
    """The file of each revision, from db_migrations/; cached, as each step needs it."""
    revisions = script.walk_revisions()
    return {revision.revision: os.path.relpath(revision.path, MIGRATIONS_DIRECTORY) for revision in revisions}


def ensure_applied_revisions_are_current(
    database: PostgresDB | None = None, migrations_directory: Path = MIGRATIONS_DIRECTORY
) -> None:
    """The files in `migrations_directory` built the database, or a line on stderr says what is not known.

    Raises: StaleDatabaseError with every file that is new, edited or gone since; also where nothing was ever built.
    """
    with (database or PostgresDB()).transaction() as transaction:
        # Nobody's operators or tables stand in for the system's.
        transaction.query("set local search_path = pg_catalog")
        records_df = transaction.query(RECORDS_SQL)
        if records_df.empty:
            if transaction.query(RELATIONS_SQL).empty:
                raise StaleDatabaseError(["it was never migrated"], [UPGRADE])
            _warn("it has no record of the migrations that built it")
            return
        tables = [quote_table(*names) for names in records_df[["table_schema", "table_name"]].to_numpy()]
        if len(tables) > 1:
            raise StaleDatabaseError([f"{' and '.join(tables)} each have a record of what was applied"], [])
        record = read_record(records_df["record"][0])
        if record is None:
            raise StaleDatabaseError([f"the record of what was applied, the comment of {tables[0]}, is damaged"], [])
        try:
            heads = set(transaction.query(f"select version_num from {tables[0]}")["version_num"])
        except QueryError as error:
            if error.sql_state != INSUFFICIENT_PRIVILEGE:
                raise
            heads = set(record["heads"])
            _warn(f"the role of DATABASE_URL may not read {tables[0]}")
    problems, commands = find_stale_files(record, heads, get_checksums(migrations_directory, record["files"]))
    if problems:
        raise StaleDatabaseError(problems, commands)
    if unknown := [path for path, checksum in record["files"].items() if checksum is None]:
        _warn(f"it has no record of how {', '.join(unknown)} was applied")


def _warn(reason: str) -> None:
    # unittest has printed a test's name, and no line end yet.
    print(
        f"\nthe database's origin is not known, as {reason}: migrations that were edited since go unnoticed. "
        "To be sure, rebuild it: make reset (with DATABASE_URL: migrate a new, empty database)",
        file=sys.stderr,
    )


def find_stale_files(record: Record, heads: set[str], checksums: dict[str, str]) -> tuple[list[str], list[str]]:
    """What differs between the record, alembic's table and the files, and the commands of alembic that repair it."""
    files, revisions = record["files"], {path: revision for revision, path in record["revisions"].items()}
    if heads != set(record["heads"]):
        found, expected = (", ".join(sorted(names)) or "none" for names in (heads, record["heads"]))
        problem = f"alembic's table names revision {found}, and {expected} ran last: it was stamped, or restored"
        return [problem], []
    if not revisions:
        return ["no revision is applied"], [UPGRADE]
    edited = [path for path in checksums if files.get(path) not in (None, checksums[path])]
    gone = [path for path in files if path not in checksums]
    new = [path for path in checksums if path not in files]
    problems = [f"{path} was edited after it had been applied" for path in edited]
    problems += [
        f"{path} is gone, and its revision {revisions[path]} is applied; to keep it, check out the branch that has it"
        if path in revisions
        else f"{path} is gone, and was there when the database was built"
        for path in gone
    ]
    problems += [f"{path} has not been applied" for path in new]
    if any(path in revisions for path in gone):
        return problems, []  # alembic cannot undo what it cannot read
    is_rebuilt = edited or gone or any(not path.startswith("versions/") for path in new)
    return problems, [DOWNGRADE, UPGRADE] if is_rebuilt else [UPGRADE]


def get_checksums(directory: Path = MIGRATIONS_DIRECTORY, further_paths: Collection[str] = ()) -> dict[str, str]:
    """The SHA-256 of each file in `directory`, by its path from there, in order; LF and CRLF give the same.

    Also of those of `further_paths` that are elsewhere, as alembic's version_locations may name other directories.
    """
    paths = [path.relative_to(directory) for path in directory.rglob("*")]
    # Hidden files and backups are an editor's or the system's; alembic runs none of them.
    names = [
        path.as_posix()
        for path in paths
        if not any(part in NO_MIGRATIONS_INPUT or part[0] == "." or part[-1] in "#~" for part in path.parts)
    ]
    names = sorted(names) + [path for path in further_paths if path.startswith("..")]
    return {name: _get_checksum(directory / name) for name in names if (directory / name).is_file()}


def _get_checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest()


def read_record(comment: Any) -> Record | None:
    """The record in the comment of a table; None where there is none, or it is not ours."""
    try:
        record = json.loads(comment)
    except (TypeError, ValueError):
        return None
    return record if isinstance(record, dict) and record.keys() >= RECORD_KEYS else None


def quote_table(schema: str | None, name: str) -> str:
    """The table's name in SQL."""
    return ".".join(f'"{part.replace(chr(34), 2 * chr(34))}"' for part in (schema, name) if part)
