"""The migrations of one state of the repository, run on a scratch database by a process of its own."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pandas as pd

from data_contract_components.data_assets._query_postgres_helper import PostgresDB
from data_contract_components.data_assets._scratch_databases import ScratchDatabase, ScratchDatabases
from data_contract_components.detection._get_data_catalog import get_data_catalog
from data_contract_components.detection.migration_changes.base_checkout import open_temporary_directory
from data_contract_components.detection.migration_changes.migration_trace import COLUMNS_SQL, VERSIONS_SQL, Trace
from data_contract_components.errors import ComparisonError

MIGRATIONS_PATH = Path("data_contract_components/data_assets/db_migrations")
CONFIG_PATH = MIGRATIONS_PATH.parent / "alembic.ini"
WORKER_DIRECTORY = Path(__file__).with_name("migration_worker")


class Migrations(contextlib.AbstractContextManager["Migrations"]):
    """Inside `with`, the revisions of the repository at `root_directory`, run by its own env.py and modules.

    `name` is their name in messages; modules of `other_directory` are refused. `begin` starts a job, and `end` waits
    for its result, so that two sides can work at the same time. Raises: ComparisonError.
    """

    def __init__(self, root_directory: Path, name: str, other_directory: Path | None = None) -> None:
        self.root_directory, self.name = root_directory.resolve(), name
        self._other_directory = (other_directory or root_directory).resolve()
        self.directory = self.root_directory / MIGRATIONS_PATH
        # The file of each revision in their order, from the repository's root.
        self.paths: dict[str, str] = {}
        for path in (MIGRATIONS_PATH / "versions", CONFIG_PATH):
            if not (self.root_directory / path).exists():
                raise ComparisonError(f"{name} has no {path}", "Name a base that has the migrations.")

    def __enter__(self) -> Migrations:
        if not hasattr(os, "fork"):
            raise ComparisonError("migrations cannot be run in a scratch database on Windows itself", "Work in WSL.")
        with contextlib.ExitStack() as stack:
            temporary_directory = stack.enter_context(open_temporary_directory("contracts-worker-"))
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(WORKER_DIRECTORY)],
                cwd=self.root_directory,
                env=os.environ | {"TMPDIR": str(temporary_directory)},
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

    def begin(
        self, database: ScratchDatabase, count: int | None = None, *, is_apply: bool = True, is_traced: bool = True
    ) -> None:
        """Starts to apply the next `count` revisions (None: all) to `database`; else only to read them."""
        self._database, self._is_apply = database, is_apply
        job = {
            "root": str(self.root_directory),
            "other_root": str(self._other_directory),
            "config": str(self.root_directory / CONFIG_PATH),
            "answer": str(self._answer_path),
            "database": database.name,
            "oid": str(database.oid),
            "url": database.url,
            "environment": database.environment,
            "is_apply": is_apply,
            "count": count,
            "copied": database.copied,
            # As the parameter of a prepared statement.
            "columns_sql": COLUMNS_SQL % {"table_names": "$1", "table_schemas": "null"} if is_traced else None,
            "versions_sql": VERSIONS_SQL,
        }
        assert self._process.stdin
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps(job), file=self._process.stdin, flush=True)

    def end_reading(self) -> None:
        """Sets `paths`, and notes which files the revisions depend on."""
        answer = self._end()
        if len(answer["heads"]) > 1:
            raise ComparisonError(
                f"the migrations of {self.name} have {len(answer['heads'])} heads: {', '.join(answer['heads'])}",
                "Join them, in data_contract_components/data_assets: alembic merge heads",
            )
        self.paths = dict(answer["revisions"])
        files = (path for path in self.directory.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        paths = {str(path.relative_to(self.root_directory)) for path in files}
        self._other_files = self._checksums(paths - set(self.paths.values()))
        self._opened = self._outside_of_versions(answer["opened"])

    def count_shared(self, other: Migrations) -> int:
        """How many of the first revisions are byte for byte those of `other`, and read the same files."""
        if self._other_files != other._other_files or not self.has_files_of(other, self._opened):
            return 0
        pairs = zip(self.paths.items(), other.paths.items(), strict=False)
        same = itertools.takewhile(lambda pair: pair[0] == pair[1] and self.has_files_of(other, {pair[0][1]}), pairs)
        return sum(1 for _ in same)

    def has_files_of(self, other: Migrations, paths: set[str]) -> bool:
        return self._checksums(paths) == other._checksums(paths)

    def _checksums(self, paths: set[str]) -> dict[str, str | None]:
        return {path: _checksum(self.root_directory / path) for path in sorted(paths)}

    def end(self) -> tuple[Trace, set[str]]:
        """The trace of the applied revisions, and the files that they read."""
        answer = self._end()
        opened = self._outside_of_versions(answer["opened"])
        return Trace.from_json(answer.get("first", []), answer.get("steps", [])), opened

    def _outside_of_versions(self, paths: list[str]) -> set[str]:
        """`paths` without the revisions and their directories, which differ between the sides."""
        directories = {str(parent) for path in self.paths.values() for parent in Path(path).parents}
        return set(paths) - set(self.paths.values()) - directories

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
            raise self._as_comparison_error(answer["error"])
        return answer

    def _as_comparison_error(self, error: dict[str, Any]) -> ComparisonError:
        place = error.get("path")
        if place and error["line"]:
            place = f"{place}:{error['line']}"
        reason = "\n".join([self._without_secrets(error["reason"]), *self._database.missing])
        if error.get("refusal"):
            return ComparisonError(
                f"{place or 'env.py'} of {self.name} opens {error['refusal']}, and not to the scratch database: "
                "it was closed, and nothing was run over it",
                "Take the URL from DATABASE_URL, or in env.py from the configuration's sqlalchemy.url.",
            )
        if error.get("revision"):
            return ComparisonError(
                f"revision {error['revision']} of {self.name} fails on a scratch database, {place}: {reason}",
                "A scratch database is empty and not in --sql mode: make the revision run there.",
            )
        where = f", {place}" if place else ""
        if self._is_apply:
            return ComparisonError(
                f"the migrations of {self.name} cannot be run on a scratch database{where}: {reason}",
                error.get("way_out", "Fix that until `alembic upgrade head` builds an empty database."),
            )
        return ComparisonError(
            f"alembic cannot read the migrations of {self.name}{where}: {reason}",
            "Fix them until `alembic heads` does, in data_contract_components/data_assets.",
        )

    def _without_secrets(self, reason: str) -> str:
        """`reason` with paths from the repository's root, and without what may be a password."""
        for secret in self._database.secrets:
            reason = reason.replace(secret, "***")
        reason = re.sub(r"(\w://)[^\s'\"]*@", r"\1***@", reason)
        reason = re.sub(r"(password\s*=\s*)('[^']*'|\S+)", r"\1***", reason, flags=re.IGNORECASE)
        return reason.replace(f"{self.root_directory}/", "").replace(f"{self._other_directory}/", "")


def run_migrations(
    scratch: ScratchDatabases, base: Migrations, head: Migrations, tables: Collection[tuple[str, str]]
) -> tuple[tuple[Trace, Trace], tuple[pd.DataFrame, ...]]:
    """What base and head did after the revisions that they share, and the catalogs of `tables` that they built."""
    database = scratch.create()
    for side in (base, head):
        side.begin(database, is_apply=False)
    for side in (base, head):
        side.end_reading()
    shared = base.count_shared(head)
    if shared:
        base.begin(database, shared, is_traced=False)
        _, paths = base.end()
        if not base.has_files_of(head, paths):  # the same revisions read other files
            database, shared = scratch.create(), 0
    if shared == len(base.paths):
        base_df = get_data_catalog(PostgresDB(database.url), tables)
        head.begin(database)
        head_trace, _ = head.end()
        base_trace = Trace(head_trace.first, [], head_trace.first)
        return (base_trace, head_trace), (base_df, get_data_catalog(PostgresDB(database.url), tables))
    head_database = scratch.create(database)
    base.begin(database)
    head.begin(head_database)
    traces = base.end()[0], head.end()[0]
    return traces, tuple(get_data_catalog(PostgresDB(side.url), tables) for side in (database, head_database))


def _checksum(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except IsADirectoryError:  # what is in it was listed
        return "/".join(sorted(entry.name for entry in path.iterdir() if entry.name != "__pycache__"))
    except OSError:  # it does not exist
        return None
