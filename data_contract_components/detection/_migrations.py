"""The migrations of one state of the repository, and running them on a scratch database."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import itertools
import os
import sys
import traceback
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.operations import BatchOperations, MigrateOperation
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, MigrationStep
from alembic.script import Script, ScriptDirectory
from sqlalchemy.exc import DBAPIError

from data_contract_components import data_assets
from data_contract_components.detection._migration_trace import Recorder, Trace
from data_contract_components.errors import ComparisonError

MIGRATIONS_PATH = Path("data_contract_components/data_assets/db_migrations")
PACKAGE = "data_contract_components.data_assets.db_migrations"


class Migrations:
    """The revisions of the repository at `root_directory`, run by the env.py of this checkout.

    `name` says in messages which ones they are. Raises: ComparisonError where they are not one line to one head.
    """

    def __init__(self, root_directory: Path, name: str) -> None:
        self.root_directory, self.name = root_directory, name
        self.directory = root_directory / MIGRATIONS_PATH
        if not (self.directory / "versions").is_dir():
            raise ComparisonError(f"{name} has no {MIGRATIONS_PATH}/versions", "Name a base that has the migrations.")
        own_directory = Path(__file__).parents[2] / MIGRATIONS_PATH
        self._script = ScriptDirectory(str(own_directory), version_locations=[str(self.directory / "versions")])
        with self._running([]):
            heads = self._script.get_heads()
            self.revisions = list(self._script.walk_revisions())[::-1]
        if len(heads) > 1:
            raise ComparisonError(
                f"the migrations of {name} have {len(heads)} heads: {', '.join(sorted(heads))}",
                "Join them, in data_contract_components/data_assets: alembic merge heads",
            )
        self.files = {
            path.relative_to(self.directory): _checksum(path)
            for path in sorted(self.directory.rglob("*"))
            if path.is_file() and "__pycache__" not in path.parts
        }

    def path_of(self, revision: Script) -> Path:
        return Path(revision.path).relative_to(self.root_directory)

    def paths(self) -> dict[str, str]:
        """The file of each revision, from the repository's root."""
        return {revision.revision: self.path_of(revision).as_posix() for revision in self.revisions}

    def count_shared(self, other: Migrations) -> int:
        """How many revisions from the first on are byte for byte those of `other`, and find the same files beside."""
        if self._other_files() != other._other_files():
            return 0
        pairs = zip(self.revisions, other.revisions, strict=False)
        same = itertools.takewhile(lambda pair: self._identity(pair[0]) == other._identity(pair[1]), pairs)
        return sum(1 for _ in same)

    def _identity(self, revision: Script) -> tuple[str, bytes]:
        return revision.revision, Path(revision.path).read_bytes()

    def _other_files(self) -> dict[Path, str]:
        # env.py is this checkout's for both.
        known = {Path("env.py"), *(Path(revision.path).relative_to(self.directory) for revision in self.revisions)}
        return {path: content for path, content in self.files.items() if path not in known}

    def apply(self, url: str, count: int | None = None, *, is_traced: bool = True) -> Trace:
        """The next `count` revisions (None: all) are applied to the database of `url`; what each call of them did.

        Raises: ComparisonError, which names the revision that failed.
        """
        trace = Trace()
        current: list[Script] = []

        def get_steps(heads: tuple[str, ...], context: MigrationContext) -> Iterator[MigrationStep]:
            assert context.connection is not None
            recorder = Recorder(context.connection, self.root_directory, trace) if is_traced else None
            applied = set(self._script.iterate_revisions(heads, "base")) if heads else set()
            for revision in [revision for revision in self.revisions if revision not in applied][:count]:
                current[:] = [revision]
                if recorder:
                    recorder.begin(revision)
                yield MigrationStep.upgrade_from_script(self._script.revision_map, revision)
                if recorder:
                    recorder.end()

        with self._running(current), _database_of(url), EnvironmentContext(Config(), self._script, fn=get_steps):
            self._script.run_env()
        return trace

    @contextlib.contextmanager
    def _running(self, current: list[Script]) -> Iterator[None]:
        """Inside, code of the revisions may run; `current` holds the one that does.

        What it prints is none of this command's output, and it leaves no compiled file beside it.
        """
        writes_bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
        try:
            with contextlib.redirect_stdout(sys.stderr), _batches_without_delay(), _package_in(self.directory):
                yield
        except (Exception, SystemExit) as error:  # a revision is anybody's code
            raise self._as_comparison_error(error, current) from error
        finally:
            sys.dont_write_bytecode = writes_bytecode

    def _as_comparison_error(self, error: BaseException, current: list[Script]) -> ComparisonError:
        reason = str(error.orig).strip() if isinstance(error, DBAPIError) else f"{type(error).__name__}: {error}"
        if not current:
            return ComparisonError(
                f"alembic cannot read the migrations of {self.name}: {reason}",
                "Mend them until `alembic heads` does, in data_contract_components/data_assets.",
            )
        path, line = self.path_of(current[0]), ""
        for frame, number in traceback.walk_tb(error.__traceback__):
            if frame.f_code.co_filename == current[0].module.__file__:
                line = f":{number}"
        return ComparisonError(
            f"revision {current[0].revision} of {self.name} fails on a scratch database, {path}{line}: {reason}",
            "A scratch database has the tables and no rows, and is no --sql: write the revision so that it runs there.",
        )


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _database_of(url: str) -> Iterator[None]:
    """Inside, database_url() is `url`: for env.py, and for a revision that asks for it."""
    previous = os.environ.get("DATABASE_URL")
    os.environ["DATABASE_URL"] = url
    try:
        yield
    finally:
        del os.environ["DATABASE_URL"]
        if previous is not None:
            os.environ["DATABASE_URL"] = previous


@contextlib.contextmanager
def _batches_without_delay() -> Iterator[None]:
    """Inside, each call of a batch is executed at once, and not at the end of `with`, where its line is not known.

    But for a batch that makes the table anew, which takes them together.
    """
    original = BatchOperations.invoke

    def invoke(self: BatchOperations, operation: MigrateOperation) -> Any:
        result = original(self, operation)
        batch: Any = self.impl
        if not batch._should_recreate():
            batch.flush()
            batch.batch.clear()
        return result

    BatchOperations.invoke = invoke  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        BatchOperations.invoke = original  # type: ignore[method-assign]


@contextlib.contextmanager
def _package_in(directory: Path) -> Iterator[None]:
    """Inside, what a revision imports from the package of the migrations comes from `directory`: a base has its own."""
    package = importlib.import_module(PACKAGE)
    modules = {name: sys.modules[name] for name in sys.modules if f"{name}.".startswith(f"{PACKAGE}.")}
    other = types.ModuleType(PACKAGE)
    other.__path__ = [str(directory)]
    _set_package(other, {PACKAGE: other})
    try:
        yield
    finally:
        _set_package(package, modules)


def _set_package(package: types.ModuleType, modules: dict[str, types.ModuleType]) -> None:
    for name in [name for name in sys.modules if f"{name}.".startswith(f"{PACKAGE}.")]:
        del sys.modules[name]
    sys.modules.update(modules)
    data_assets.db_migrations = package  # type: ignore[attr-defined]
