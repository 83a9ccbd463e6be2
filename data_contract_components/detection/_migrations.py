"""The migrations of one checkout, and running them on a scratch database in a process of their own."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from psycopg2.extensions import parse_dsn

from data_contract_components.data_assets._scratch_databases import ScratchDatabase
from data_contract_components.detection._migration_trace import (
    COLUMNS_SQL,
    REFERENCES,
    ROW_KEYS,
    TABLE_NAME,
    VERSIONS_SQL,
    ColumnKey,
    Place,
    Row,
    Step,
    Trace,
)
from data_contract_components.detection._scratch_directory import scratch_directory
from data_contract_components.errors import ComparisonError

CONFIG_PATH = Path("data_contract_components/data_assets/alembic.ini")
MIGRATIONS_PATH = Path("data_contract_components/data_assets/db_migrations")
WORKER_PATH = Path(__file__).with_name("_migration_worker.py")
URL_PATTERN = re.compile(r"(postgres(?:ql)?(?:\+\w+)?)://")
# What libpq takes for an environment variable's parameter where the URL does not name it.
PG_VARIABLES = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE"}
# Of a revision that makes what is there already: a schema, and an extension or a type.
EXISTS_ALREADY = ("42P06", "42710")
RECORDER = {
    "versions_sql": VERSIONS_SQL,
    "columns_sql": COLUMNS_SQL.replace("%(table_names)s", "$1").replace("%(table_schemas)s", "null"),
    "table_name_position": TABLE_NAME,
    "references_position": REFERENCES,
}


class MigrationError(ComparisonError):
    """A migration failed; `sql_state` is None where PostgreSQL did not refuse it."""

    def __init__(self, reason: str, way_out: str, sql_state: str | None) -> None:
        super().__init__(reason, way_out)
        self.sql_state = sql_state


class Migrations:
    """Inside `with`, the revisions of the checkout at `root_directory`, run by its own env.py.

    They run in a process of their own, so that what they import is the code of that checkout, and in which every way
    to the checked database leads to the scratch database. `name` says in messages which checkout it is.
    """

    def __init__(self, root_directory: Path, name: str, database: ScratchDatabase) -> None:
        self.root_directory, self.name = root_directory.resolve(), name
        self._first_database = database
        self.revisions: list[tuple[str, str]] = []
        self.opened_paths: set[str] = set()

    def __enter__(self) -> Migrations:
        if not (self.root_directory / MIGRATIONS_PATH / "versions").is_dir():
            way_out = "Name a base that has the migrations."
            raise ComparisonError(f"{self.name} has no {MIGRATIONS_PATH}/versions", way_out)
        if not (self.root_directory / CONFIG_PATH).exists():
            raise ComparisonError(f"{self.name} has no {CONFIG_PATH}", "Name a base that has it.")
        self._directory_context = scratch_directory()
        self._directory = self._directory_context.__enter__()
        self._log_path = self._directory / "log"
        commands, self._commands = os.pipe()
        self._answers, answers = os.pipe()
        try:
            with self._log_path.open("wb") as log:
                self._process = subprocess.Popen(
                    self._command(commands, answers),
                    cwd=self.root_directory,
                    env=self._variables(self._first_database),
                    pass_fds=(commands, answers),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    # Ctrl-C is for this process, which then ends that one.
                    start_new_session=True,
                )
        finally:
            os.close(commands)
            os.close(answers)
        self._reader = os.fdopen(self._answers, encoding="utf-8")
        self._send("load", self._first_database)
        return self

    def _command(self, commands: int, answers: int) -> list[str]:
        # Compiled files go elsewhere: Python takes one for right when the source has the same size and time.
        cache = f"pycache_prefix={self._directory / 'compiled'}"
        options = [sys.executable, "-P", "-X", cache, str(WORKER_PATH)]
        return [*options, str(self.root_directory / CONFIG_PATH), str(commands), str(answers)]

    def load(self) -> None:
        """The revisions are known. Raises: ComparisonError where they are not one line to one head."""
        answer = self._receive()
        self.revisions = [(revision, path) for revision, path in answer["revisions"]]
        if len(answer["heads"]) > 1:
            raise ComparisonError(
                f"the migrations of {self.name} have {len(answer['heads'])} heads: {', '.join(answer['heads'])}",
                "Join them, in data_contract_components/data_assets: alembic merge heads",
            )

    def paths(self) -> dict[str, str]:
        """The file of each revision, from the repository's root."""
        return dict(self.revisions)

    def count_shared(self, other: Migrations) -> int:
        """How many revisions from the first on have the same file in `other`."""
        pairs = zip(self.revisions, other.revisions, strict=False)
        same = itertools.takewhile(lambda pair: pair[0] == pair[1] and self.has_same_file(other, pair[0][1]), pairs)
        return sum(1 for _ in same)

    def has_same_file(self, other: Migrations, path: str) -> bool:
        paths = [migrations.root_directory / path for migrations in (self, other)]
        return all(path.is_file() for path in paths) and paths[0].read_bytes() == paths[1].read_bytes()

    def has_read_the_same(self, other: Migrations) -> bool:
        """Whether all files of this checkout that were read so far, its revisions aside, are the same in `other`."""
        revision_paths = {path for _, path in self.revisions}
        return all(self.has_same_file(other, path) for path in self.opened_paths - revision_paths)

    def begin_to_apply(self, database: ScratchDatabase, count: int | None = None, *, is_traced: bool = True) -> None:
        """The next `count` revisions (None: all) are being applied to `database`, until end_to_apply() is called."""
        self._send("apply", database, count=count, recorder=RECORDER if is_traced else None)

    def end_to_apply(self) -> Trace:
        """What each call did. Raises: ComparisonError, which names the revision that failed."""
        return _to_trace(self._receive())

    def _send(self, name: str, database: ScratchDatabase, **values: Any) -> None:
        target = {"url": database.url, "database": [database.name, database.oid]}
        command = {"name": name, **target, "variables": self._variables(database), **values}
        self._database = database
        try:
            os.write(self._commands, (json.dumps(command) + "\n").encode())
        except BrokenPipeError:
            self._receive()

    def _receive(self) -> dict[str, Any]:
        line = self._reader.readline()
        if not line:
            self._process.wait()
            reason = f"the process that runs the migrations of {self.name} ended: {self._clean(self._end_of_log())}"
            raise ComparisonError(reason, "Fix that, and try again.")
        answer: dict[str, Any] = json.loads(line)
        self.opened_paths.update(answer["opened_paths"])
        if "error" in answer:
            raise self._as_error(answer["error"])
        return answer

    def _as_error(self, error: dict[str, Any]) -> ComparisonError:
        reason = error["reason"]
        if reason.startswith("SystemExit") and (log := self._end_of_log()):
            reason = f"{reason}\n{log}"
        reason, place = self._clean(reason), f"{error['place']}: " if error["place"] else ""
        if error["kind"] == "WrongDatabaseError":
            return ComparisonError(
                f"the migrations of {self.name} were not run, as {place}{reason} and not to a scratch database",
                "Let env.py take the URL from DATABASE_URL, or from sqlalchemy.url of alembic's configuration.",
            )
        if error["kind"] == "LostRevisionsError":
            return ComparisonError(
                f"the migrations of {self.name} ran and were not all kept, as after a revision that commits: {reason}",
                "Let such a revision use op.get_context().autocommit_block(), or env.py commit at the end.",
            )
        if error["revision"]:
            return MigrationError(
                f"revision {error['revision']} of {self.name} fails on a scratch database, {place}{reason}",
                "A scratch database has the tables and no rows, and is no --sql: write the revision so that it runs "
                "there.",
                error["sql_state"],
            )
        if not self.revisions:
            return ComparisonError(
                f"alembic cannot read the migrations of {self.name}: {place}{reason}",
                "Fix them until `alembic heads` does, in data_contract_components/data_assets.",
            )
        return MigrationError(
            f"the migrations of {self.name} could not be run on a scratch database: {place}{reason}",
            "Fix that, and try again.",
            error["sql_state"],
        )

    def _end_of_log(self) -> str:
        return "\n".join(self._log_path.read_text(encoding="utf-8", errors="replace").splitlines()[-5:])

    def _clean(self, text: str) -> str:
        """`text` with paths as git has them, and without the password."""
        text = text.replace(f"{self.root_directory}/", "")
        password = parse_dsn(self._database.url).get("password")
        return text.replace(password, "***") if password else text

    def _variables(self, database: ScratchDatabase) -> dict[str, str]:
        """The environment, in which whatever leads to a database leads to this one."""
        rest, parts = database.url.partition("://")[2], parse_dsn(database.url)
        variables = {
            name: f"{match[1]}://{rest}" if (match := URL_PATTERN.match(value)) else value
            for name, value in os.environ.items()
        }
        variables |= {variable: parts[part] for part, variable in PG_VARIABLES.items() if part in parts}
        return variables | {"DATABASE_URL": database.url, "TMPDIR": str(self._directory)}

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._commands)
        self._reader.close()
        self._directory_context.__exit__(kind, error, traceback)


def _to_trace(answer: dict[str, Any]) -> Trace:
    def key_of(values: list[Any]) -> ColumnKey:
        return values[-2], values[-1]

    def row(values: list[Any] | None) -> Row | None:
        return dict(zip(ROW_KEYS, values, strict=True)) if values else None

    steps = [
        Step(
            Place(step["revision"], step["path"], step["line"], step["statement"]),
            {key_of(after or before): (row(before), row(after)) for before, after in step["rows"]},
        )
        for step in answer["steps"]
    ]
    first, last = (
        {key_of(values): dict(zip(ROW_KEYS, values, strict=True)) for values in answer[name]}
        for name in ("first", "last")
    )
    return Trace(first, steps, last)
