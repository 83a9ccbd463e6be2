"""The record of the migration files that built the database: env.py writes it, and _stale_database.py compares it.

`alembic upgrade head` does not run an edited revision again. Without this record its contracts would be checked
against the old tables, and pass. It is JSON in the comment of Alembic's own table, so that no catalog shows it.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_contract_components.data_assets._query_postgres_helper import SQL_DIRECTORY, read_sql

if TYPE_CHECKING:  # importing alembic takes as long as the contract tests
    from alembic.runtime.migration import MigrationContext, MigrationInfo
    from alembic.script import ScriptDirectory

MIGRATIONS_DIRECTORY = Path(__file__).resolve().parent / "db_migrations"
MARKER = "data_contracts_record"  # records.sql has it too
# No migration reads these: raw_data/ is for seed_db.py, the template for new revisions, hidden files and backups are an
# editor's or the system's.
NO_MIGRATIONS_INPUT = re.compile(
    r"(^|/)(raw_data|script\.py\.mako|__pycache__|Thumbs\.db|desktop\.ini|\.[^/]*|[^/]*[#~])(/|$)"
)

RECORDS_SQL = read_sql(SQL_DIRECTORY / "records.sql")
COMMENT_SQL = "select pg_catalog.obj_description(pg_catalog.to_regclass(cast(:name as text)), 'pg_class')"


@dataclass(frozen=True)
class Record:
    """What was applied: Alembic's heads, and the files below db_migrations/ that the database was built from.

    `paths` has the file of each applied revision; `checksums` the SHA-256 of each file, None for a revision that was
    applied before there was a record.
    """

    heads: list[str] = field(default_factory=list)
    paths: dict[str, str] = field(default_factory=dict)
    checksums: dict[str, str | None] = field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps({MARKER: 1, "heads": self.heads, "revisions": self.paths, "files": self.checksums})

    @classmethod
    def from_json(cls, text: str | None) -> Record | None:
        """The record in the comment of a table; None where there is none, or it cannot be read."""
        try:
            values = json.loads(text or "")
            return cls(values["heads"], values["revisions"], values["files"]) if MARKER in values else None
        except (ValueError, TypeError, LookupError):
            return None


def record_applied_revisions(
    ctx: MigrationContext, step: MigrationInfo, heads: Collection[Any], run_args: object = None
) -> None:
    """The record is that of `heads`, in the transaction of `step`: for `on_version_apply` in any env.py.

    A file keeps the checksum that was recorded first: a revision's file until the revision is downgraded, any other
    file until nothing is applied. `--sql`, which only prints, and `stamp`, which runs nothing, record nothing.
    Source: alembic, EnvironmentContext.configure, on_version_apply.
    """
    if ctx.as_sql or ctx.connection is None or ctx.script is None or step.is_stamp:
        return
    # By SQLAlchemy, as each driver writes parameters in its own way, and asyncpg has none in COMMENT.
    from sqlalchemy import MetaData, Table, text
    from sqlalchemy.schema import SetTableComment

    name = quote_table(ctx.version_table_schema, ctx.version_table)
    comment = ctx.connection.execute(text(COMMENT_SQL), {"name": name}).scalar_one()
    if comment and not comment.startswith("{"):
        return  # another tool's comment
    directory = Path(ctx.script.dir).resolve()
    checksums = get_checksums_once(directory)
    recorded = (Record.from_json(comment) or Record()).checksums
    applied = {revision.revision for revision in step.revision_map.iterate_revisions(tuple(heads), "base")}
    record = Record(sorted(heads), {}, {**checksums, **recorded} if applied else {})
    for revision, path in _get_paths(ctx.script, directory).items():
        if revision not in applied:
            record.checksums.pop(path, None)
            continue
        record.paths[revision] = path
        if path not in recorded:
            is_run = step.is_upgrade and revision in step.up_revision_ids
            checksum = checksums.get(path) or _get_checksum(directory / path)
            record.checksums[path] = checksum if is_run else None
    table = Table(ctx.version_table, MetaData(), schema=ctx.version_table_schema, comment=record.to_json())
    ctx.connection.execute(SetTableComment(table))


@functools.cache
def _get_paths(script: ScriptDirectory, directory: Path) -> dict[str, str]:
    """The file of each revision, relative to `directory`; cached, as each step needs it."""
    revisions = script.walk_revisions()
    return {revision.revision: os.path.relpath(os.path.realpath(revision.path), directory) for revision in revisions}


@functools.cache
def get_checksums_once(directory: Path) -> dict[str, str]:
    """As they were when this process first asked: env.py asks before alembic reads a revision."""
    return get_checksums(directory)


def get_checksums(directory: Path, further_paths: Collection[str] = ()) -> dict[str, str]:
    """The SHA-256 of each file in `directory`, by its relative path, in order; LF and CRLF give the same.

    Files elsewhere are included when `further_paths` names them, as alembic's version_locations may.
    """
    names = sorted(path.relative_to(directory).as_posix() for path in directory.rglob("*"))
    names = [name for name in names if not NO_MIGRATIONS_INPUT.search(name)]
    names += [path for path in further_paths if path.startswith("..")]
    return {name: _get_checksum(directory / name) for name in names if (directory / name).is_file()}


def _get_checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest()


def quote_table(schema: str | None, name: str) -> str:
    """The table's name in SQL."""
    return ".".join(f'"{part.replace(chr(34), 2 * chr(34))}"' for part in (schema, name) if part)
