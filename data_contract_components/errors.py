"""The errors that a user can fix, each with its facts as attributes: the check could not be made."""

from data_contract_components.escaping import escape_controls


class DataContractError(Exception):
    """The check could not be made. The message names the problem, its place and the way out; it has no password."""


class SettingsError(DataContractError):
    """The settings are missing or wrong, so nothing was read or changed."""

    def __init__(self, reason: str, way_out: str) -> None:
        super().__init__(f"{reason}\n{way_out}")
        self.reason = reason
        self.way_out = way_out


class DatabaseUnavailableError(DataContractError):
    """No connection to the database, so nothing was read or changed."""

    def __init__(self, database: str, reason: str, way_out: str) -> None:
        super().__init__(f"cannot reach {database}: {reason}\n{way_out}")
        self.database = database
        self.reason = reason
        self.way_out = way_out


class QueryError(DataContractError):
    """A statement failed, and its transaction was rolled back."""

    def __init__(self, sql_state: str | None, reason: str) -> None:
        super().__init__(f"SQL state {sql_state}: {reason}" if sql_state else reason)
        self.sql_state = sql_state
        self.reason = reason


class CatalogHiddenError(DataContractError):
    """The role may not read PostgreSQL's system catalogs, so nothing was compared."""

    def __init__(self, role: str, reason: str) -> None:
        super().__init__(
            f"role {role} may not read PostgreSQL's system catalogs: {reason}\n"
            "Grant it SELECT on them, as PostgreSQL does by default, or connect as another role."
        )
        self.role = role
        self.reason = reason


class StaleDatabaseError(DataContractError):
    """The database was built by other migration files than those of this checkout, so nothing was compared.

    `commands` are alembic's that update the database, run in `directory`; empty if a new database is needed. `reset`
    says how to make one.
    """

    def __init__(self, problems: list[str], commands: list[str], directory: str, reset: str) -> None:
        lines = ["the database is not what the migration files of this checkout build, so nothing was checked:"]
        lines += [f"  {problem}" for problem in problems]
        if commands:
            lines += [f"To bring it up to date, in {directory}:", *(f"  {command}" for command in commands)]
            lines += [f"or, where that fails, {reset}"]
        else:
            lines += [f"To build it again, {reset}"]
        super().__init__("\n".join(lines))
        self.problems = problems
        self.commands = commands


class ForeignDatabaseError(DataContractError):
    """The database holds tables that these migrations did not build, so it was not changed."""

    def __init__(self, database: str, tables: list[str], way_out: str) -> None:
        more = f" and {len(tables) - 3} more" if len(tables) > 3 else ""
        super().__init__(
            f"{database} holds tables that these migrations did not build, so it was not changed: "
            f"{', '.join(tables[:3])}{more}\n{way_out}"
        )
        self.database = database
        self.tables = tables
        self.way_out = way_out


class ComparisonError(DataContractError):
    """The base or its migrations could not be loaded or run in a scratch database; contract tests are unaffected."""

    def __init__(self, reason: str, way_out: str) -> None:
        reason = escape_controls(reason)
        super().__init__(f"{reason}\n{way_out}")
        self.reason = reason
        self.way_out = way_out


THIS_CHECKOUT = "this checkout"


class MigrationError(ComparisonError):
    """A revision failed, or migrations could not be read; `path`, from the repository's root, and `line` are where.

    `name` is whose migrations they are: THIS_CHECKOUT, or the base.
    """

    def __init__(
        self, reason: str, way_out: str, *, name: str, path: str, line: int | None, revision: str | None
    ) -> None:
        super().__init__(reason, way_out)
        self.name = name
        self.path = path
        self.line = line
        self.revision = revision
