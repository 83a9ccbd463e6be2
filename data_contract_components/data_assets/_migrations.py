"""The migrations of one checkout, run on a scratch database by a process of its own."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import signal
import site
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_contract_components.data_assets._query_postgres_helper import way_out_of_missing_feature
from data_contract_components.data_assets._scratch_databases import ScratchDatabase
from data_contract_components.data_assets._temporary_directory import open_temporary_directory
from data_contract_components.errors import ComparisonError, MigrationError
from data_contract_components.settings import Settings

WORKER_DIRECTORY = Path(__file__).with_name("migration_worker")
# In alembic's message.
UNKNOWN_REVISION = "Can't locate revision"
# libpq's files in the home directory, by the variables that name them.
HOME_FILES = {
    "PGPASSFILE": ".pgpass",
    "PGSSLCERT": ".postgresql/postgresql.crt",
    "PGSSLKEY": ".postgresql/postgresql.key",
    "PGSSLROOTCERT": ".postgresql/root.crt",
}


@dataclass(frozen=True)
class Recording:
    """How the changes of each call are found: queries for the columns, and for what tells that a table has changed.

    `columns_sql` has one row per column; its parameter $1 is a list of tables' names, or null for all.
    """

    columns_sql: str
    versions_sql: str


@dataclass(frozen=True)
class RecordedSteps:
    """The columns before the first revision, and for each call the fields of its Place and the rows it changed."""

    first: list[dict[str, Any]] = field(default_factory=list)
    steps: list[Any] = field(default_factory=list)


class Migrations(contextlib.AbstractContextManager["Migrations"]):
    """Inside `with`, the revisions of the checkout that `settings` are of, run by its own env.py and modules.

    `name` is their name in messages. If it is a copy of the working tree or of a commit, `working_directory` is the
    working tree, whose modules are refused, and files that a revision writes are in directories that are then removed.
    `begin…` starts a job, and `end…` waits for its result, so that two can work at the same time. Raises:
    ComparisonError.
    """

    def __init__(self, settings: Settings, name: str, working_directory: Path | None = None) -> None:
        self.settings, self.name = settings, name
        self.git_directory = settings.git_directory.resolve()
        self._working_directory = (working_directory or self.git_directory).resolve()
        # The file of each revision in their order, from the repository's root.
        self.paths: dict[str, str] = {}
        if not (settings.root_directory / settings.alembic_config).exists():
            raise ComparisonError(f"{name} has no {settings.alembic_config}", "Name a base that has the migrations.")

    def __enter__(self) -> Migrations:
        if not hasattr(os, "fork"):
            raise ComparisonError("migrations cannot be run in a scratch database on Windows itself", "Work in WSL.")
        with contextlib.ExitStack() as stack:
            temporary_directory = stack.enter_context(open_temporary_directory("contracts-worker-"))
            environment = {"TMPDIR": str(temporary_directory)}
            if self._working_directory != self.git_directory:
                environment |= _get_home(temporary_directory)
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(WORKER_DIRECTORY)],
                cwd=self.settings.root_directory,
                env=os.environ | environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,  # Ctrl-C is for this process, which stops the other
            )
            stack.callback(self._stop)
            self._answer_path = temporary_directory / "answer.json"
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()

    def apply_all(self, database: ScratchDatabase, *, is_new: bool) -> None:
        """Every revision is applied to `database`; one that `is_new` first gets what the history begins on."""
        if is_new:
            self.begin_reading(database)
            self.end_reading()
            self.go_on()
        else:
            self.begin(database)
        self.end()

    def begin_reading(self, database: ScratchDatabase) -> None:
        """Starts to read the revisions; `database` is new, and gets what the history begins on."""
        self._begin(database, is_read=True, before_migrations=self.settings.before_migrations, recording=None)

    def begin(self, database: ScratchDatabase, recording: Recording | None = None) -> None:
        """Starts to apply all revisions that `database` lacks; `recording` says how to record what they change."""
        self._begin(
            database, is_read=False, before_migrations="", recording=recording and dataclasses.asdict(recording)
        )

    def _begin(self, database: ScratchDatabase, **job: Any) -> None:
        self._database = database
        settings = self.settings
        job |= {
            "root": str(self.git_directory),
            "directory": str(settings.root_directory.resolve()),
            "other_root": str(self._working_directory),
            "config": settings.alembic_arguments,
            "x_arguments": settings.x_arguments,
            "url_variables": settings.url_variables,
            "environment": settings.environment,
            "answer": str(self._answer_path),
            "database": database.name,
            "oid": str(database.oid),
            "url": database.url,
            "libpq_environment": database.environment,
            "copied": database.copied,
        }
        self._send(job)

    def _send(self, value: Any) -> None:
        assert self._process.stdin
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps(value), file=self._process.stdin, flush=True)

    def end_reading(self) -> None:
        """Sets `paths`; then `go_on` goes on with the same run of env.py."""
        self.paths = dict(self._end()["revisions"])

    def go_on(self, count: int | None = None) -> None:
        """Starts to apply the first `count` revisions (None: all) after they have been read."""
        self._send(count)

    def end(self) -> RecordedSteps:
        answer = self._end()
        return RecordedSteps(answer.get("first", []), answer.get("steps", []))

    def _end(self) -> dict[str, Any]:
        assert self._process.stdout
        status = self._process.stdout.readline().strip()
        try:
            answer: dict[str, Any] = json.loads(self._answer_path.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError) as error:
            raise ComparisonError(
                f"the process that runs the migrations of {self.name} ended early, status {status or 'unknown'}",
                "See what it wrote above this line.",
            ) from error
        self._answer_path.unlink()
        if "error" in answer:
            raise self._make_error(answer["error"])
        return answer

    def _make_error(self, error: dict[str, Any]) -> ComparisonError:
        reason, way_out = self._explain(error)
        if not error.get("path") or UNKNOWN_REVISION in error["reason"]:  # which is in the database, and in no file
            return ComparisonError(reason, way_out)
        place = {"path": error["path"], "line": error["line"] or None, "revision": error["revision"]}
        return MigrationError(reason, way_out, name=self.name, **place)

    def _explain(self, error: dict[str, Any]) -> tuple[str, str]:
        """What failed, and the way out."""
        place, label = error.get("path"), self._database.label
        if place and error["line"]:
            place = f"{place}:{error['line']}"
        reason = "\n".join([self._without_secrets(error["reason"]), *self._database.missing])
        if error.get("refusal"):
            return (
                f"{place or 'env.py'} of {self.name} opens {error['refusal']}, and not to "
                f"{label}: it was closed, and nothing was run over it",
                f"Take the URL from {' or '.join(self.settings.url_variables)}, or in env.py from the configuration's "
                "sqlalchemy.url.",
            )
        if error.get("revision"):
            way_out = "Fix it, and type the same again."
            if label == ScratchDatabase.label:
                way_out = "Make it run there: it is empty but for what earlier revisions made, and --sql is not set."
            return (
                f"revision {error['revision']} of {self.name} fails on {label}, {place}: {reason}",
                way_out_of_missing_feature(error["reason"]) or way_out,
            )
        where = f", {place}" if place else ""
        if error.get("is_loading") and UNKNOWN_REVISION in reason:
            return (
                f"{label} is at a revision that no file of {self.name} has: {reason}",
                "Check out the branch that has it, or build the database again (migrate_db --rebuild).",
            )
        if error.get("is_loading"):
            return (
                f"alembic cannot read the migrations of {self.name}{where}: {reason}",
                f"Fix them until `alembic -c {self.settings.alembic_config} heads` does.",
            )
        return (
            f"the migrations of {self.name} cannot be run on {label}{where}: {reason}",
            error.get("way_out", "Fix that until `alembic upgrade head` builds an empty database."),
        )

    def _without_secrets(self, reason: str) -> str:
        """`reason` with paths from the repository's root, and without what may be a password."""
        for secret in self._database.secrets:
            reason = reason.replace(secret, "***")
        reason = re.sub(r"(\w://)[^\s'\"]*@", r"\1***@", reason)
        reason = re.sub(r"(password\s*=\s*)('[^']*'|\S+)", r"\1***", reason, flags=re.IGNORECASE)
        return reason.replace(f"{self.git_directory}/", "").replace(f"{self._working_directory}/", "")


def _get_home(temporary_directory: Path) -> dict[str, str]:
    """The environment with an empty home directory, in which libpq's files and the user's packages are found."""
    home = temporary_directory / "home"
    home.mkdir()
    files = {name: Path.home() / path for name, path in HOME_FILES.items() if name not in os.environ}
    known = {name: str(path) for name, path in files.items() if path.exists()}
    return {"HOME": str(home), "PYTHONUSERBASE": site.getuserbase()} | known
