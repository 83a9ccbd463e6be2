"""Which migration files built the database: env.py records them, and the contract tests compare them with the files.

`alembic upgrade head` does not run an edited revision again. Without this record its contracts would be checked
against the old tables, and pass. The record is JSON in the comment of Alembic's own table, so that no catalog shows it.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import sys
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_contract_components.data_assets._query_postgres_helper import (
    INSUFFICIENT_PRIVILEGE,
    SQL_DIRECTORY,
    PostgresDB,
    get_url_variable,
    is_embedded,
    read_sql,
)
from data_contract_components.errors import QueryError, StaleDatabaseError
from data_contract_components.settings import CHAPTERS_CONFIG, get_settings

if TYPE_CHECKING:  # importing alembic takes as long as the contract tests
    from alembic.runtime.migration import MigrationContext, MigrationInfo
    from alembic.script import ScriptDirectory

MIGRATIONS_DIRECTORY = Path(__file__).resolve().parent / "db_migrations"
DEFAULT_CONFIGS = ("alembic.ini", "pyproject.toml")
MIGRATE = "python -m data_contract_components.data_assets.migrate_db"
MARKER = "data_contracts_record"  # records.sql has it too
DOWNGRADE, UPGRADE = "alembic downgrade base", "alembic upgrade head"
# No migration reads these: raw_data/ is for seed_db.py, the template for new revisions, hidden files and backups are an
# editor's or the system's.
NO_MIGRATIONS_INPUT = re.compile(
    r"(^|/)(raw_data|script\.py\.mako|__pycache__|Thumbs\.db|desktop\.ini|\.[^/]*|[^/]*[#~])(/|$)"
)

RECORDS_SQL = read_sql(SQL_DIRECTORY / "records.sql")
RELATIONS_SQL = read_sql(SQL_DIRECTORY / "relations.sql")
VERSION_TABLES_SQL = read_sql(SQL_DIRECTORY / "version_tables.sql")
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


def ensure_applied_revisions_are_current(
    database: PostgresDB | None = None, migrations_directory: Path | None = None
) -> None:
    """The files in `migrations_directory` (None: the project's) built the database; stderr names what is not known.

    Raises: StaleDatabaseError with every file that is new, edited or gone since; also where nothing was ever built.
    """
    with (database or PostgresDB()).transaction() as transaction:
        # So that no user's operators or tables are taken for the system's.
        transaction.query("set local search_path = pg_catalog")
        records_df = transaction.query(RECORDS_SQL)
        if records_df.empty:
            if transaction.query(RELATIONS_SQL).empty:
                raise _make_error(["it was never migrated"], [UPGRADE])
            _ensure_each_revision_is_applied(transaction)
            if get_settings().alembic_config == CHAPTERS_CONFIG:  # another project's env.py need not record anything
                _warn("it has no record of the migrations that built it")
            return
        tables = [quote_table(*names) for names in records_df[["table_schema", "table_name"]].to_numpy()]
        if len(tables) > 1:
            raise _make_error([f"{' and '.join(tables)} each have a record of what was applied"], [])
        record = Record.from_json(records_df["record"][0])
        if record is None:
            raise _make_error([f"the record of what was applied, the comment of {tables[0]}, is damaged"], [])
        try:
            heads = set(transaction.query(f"select version_num from {tables[0]}")["version_num"])
        except QueryError as error:
            if error.sql_state != INSUFFICIENT_PRIVILEGE:
                raise
            heads = set(record.heads)
            _warn(f"the role of {get_url_variable()} may not read {tables[0]}")
    directory = migrations_directory or _get_migrations_directory()
    problems, commands = find_stale_files(record, heads, get_checksums(directory, record.checksums))
    if problems:
        raise _make_error(problems, commands)
    if unknown := [path for path, checksum in record.checksums.items() if checksum is None]:
        _warn(f"it has no record of how {', '.join(unknown)} was applied")


def _ensure_each_revision_is_applied(transaction: PostgresDB) -> None:
    """Raises: StaleDatabaseError where alembic's table does not name the last revisions of the files."""
    # Here, as importing alembic takes as long as the contract tests.
    from data_contract_components.data_assets._revision_files import find_unapplied, read_revision_files

    files = read_revision_files(get_settings())
    tables = transaction.query(VERSION_TABLES_SQL)
    answers = []
    for table_schema, table_name in tables.to_numpy():
        rows = transaction.query(f"select version_num from {quote_table(table_schema, table_name)}")["version_num"]
        answers.append(find_unapplied(files, rows))
    if not answers:
        return
    # Several projects may have their tables in one database: this one's is the one that misses least.
    unapplied, unknown = min(answers, key=lambda answer: (len(answer[1]), len(answer[0])))
    problems = [f"it is at revision {revision}, which no file of this checkout has" for revision in unknown]
    problems += [f"{file.path}, revision {file.revision}, has not been applied" for file in unapplied]
    if problems:
        raise _make_error(problems, [] if unknown else [UPGRADE])


def _get_migrations_directory() -> Path:
    settings = get_settings()
    if settings.alembic_config == CHAPTERS_CONFIG:
        return settings.root_directory / Path(CHAPTERS_CONFIG).with_name("db_migrations")
    from data_contract_components.data_assets._revision_files import get_script_directory

    return get_script_directory(settings)


def _make_error(problems: list[str], commands: list[str]) -> StaleDatabaseError:
    """With alembic's commands as they are typed in this project."""
    settings = get_settings()
    if settings.alembic_config == CHAPTERS_CONFIG:
        reset = "in the repository's directory: make reset"
        return StaleDatabaseError(problems, commands, "data_contract_components/data_assets", reset)
    directory = "the project's directory"
    if is_embedded():
        reset = f"in {directory}: rm -r .postgres; {MIGRATE}"
        return StaleDatabaseError(problems, [MIGRATE] if commands == [UPGRADE] else [], directory, reset)
    options = f" -c {settings.alembic_config}" if settings.alembic_config not in DEFAULT_CONFIGS else ""
    options += f" -n {settings.alembic_section}" if settings.alembic_section != "alembic" else ""
    own = [command.replace("alembic", f"alembic{options}").replace("head", "heads") for command in commands]
    return StaleDatabaseError(problems, own, directory, "migrate a new, empty database")


def _warn(reason: str) -> None:
    # unittest has printed a test's name, and no line end yet.
    print(
        f"\nthe database's origin is not known, as {reason}: later edits of migrations are not noticed. "
        f"To be sure, rebuild it: make reset (with {get_url_variable()}: migrate a new, empty database)",
        file=sys.stderr,
    )


def find_stale_files(record: Record, heads: set[str], found: dict[str, str]) -> tuple[list[str], list[str]]:
    """How Alembic's `heads` and the checksums `found` differ from the record, and Alembic's commands that repair it."""
    if heads != set(record.heads):
        names, expected_names = (", ".join(sorted(revisions)) or "none" for revisions in (heads, record.heads))
        problem = f"alembic's table names revision {names}, and {expected_names} ran last: it was stamped, or restored"
        return [problem], []
    if not record.paths:
        return ["no revision is applied"], [UPGRADE]
    expected, revisions = record.checksums, {path: revision for revision, path in record.paths.items()}
    edited = [path for path in found if expected.get(path) not in (None, found[path])]
    gone = [path for path in expected if path not in found]
    new = [path for path in found if path not in expected]
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
