"""Whether the migration files of this checkout built the database, which is asked before its contracts are checked."""

import sys
from pathlib import Path

from data_contract_components.data_assets._applied_revisions import RECORDS_SQL, Record, get_checksums, quote_table
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

MIGRATE = "python -m data_contract_components.data_assets.migrate_db"
DOWNGRADE, UPGRADE = "alembic downgrade base", "alembic upgrade head"
RELATIONS_SQL = read_sql(SQL_DIRECTORY / "relations.sql")
VERSION_TABLES_SQL = read_sql(SQL_DIRECTORY / "version_tables.sql")


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
    if unknown:
        raise _make_error([f"it is at revision {name}, which no file of this checkout has" for name in unknown], [])
    if unapplied:
        problems = [f"{file.path}, revision {file.revision}, has not been applied" for file in unapplied]
        raise _make_error(problems, [UPGRADE])


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
    # Not alembic's command, as only this one is certain to migrate the checked database.
    reset = f"{MIGRATE} --rebuild" if is_embedded() else f"empty that database, and then {MIGRATE}"
    return StaleDatabaseError(problems, [MIGRATE] if commands == [UPGRADE] else [], "the project's directory", reset)


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
