"""Reads the revisions of a checkout, or applies them to the scratch database."""

import ast
import contextlib
import os
import re
import sys
import traceback
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

import psycopg2
from alembic.config import Config
from alembic.operations import BatchOperations, MigrateOperation
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, RevisionStep
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from .guard import Guard, RefusedConnectionError, set_environment, set_urls
from .recorder import IncompleteError, Recorder, dollar_quote, query, read

WORKER_DIRECTORY = str(Path(__file__).resolve().parent)


class Job:
    """A job of migrations.py: `root` is the checkout, `database` and `oid` are the scratch database's."""

    def __init__(self, job: dict[str, Any]) -> None:
        self._job, self._root = job, str(job["root"])
        self._revision: Script | None = None
        # Files and listed directories, by the revisions that are applied, and before that.
        self._opened: set[str] = set()
        self._opened_before: set[str] = set()
        self._guard = Guard(job["database"], job["oid"])

    def answer(self) -> dict[str, Any]:
        """The result of the job, or an `error` with the reason."""
        self._isolate_modules()
        self._guard.install()
        event.listen(Engine, "before_cursor_execute", self._make_way, retval=True)
        set_environment(self._job["url"], self._job["environment"])
        _execute_batches_at_once()
        _skip_files_of_macos()
        try:
            config = Config(self._job["config"])
            set_urls(config, self._job["url"])
            script = ScriptDirectory.from_config(config)
            result = self._apply(config, script) if self._job["is_apply"] else self._get_revisions(script)
        except (Exception, SystemExit, KeyboardInterrupt) as error:  # noqa: BLE001 - a revision is anybody's code
            return {"error": self._describe(error)}
        if self._root != self._job["other_root"]:
            opened = self._opened | self._opened_before
            others = [path for path in opened if path.endswith(".py") and _is_of(path, self._job["other_root"])]
            if others:
                way_out = "Let alembic.ini's prepend_sys_path say where the packages of the project are, with %(here)s."
                return {"error": {"reason": f"it imports {min(others)} of another checkout", "way_out": way_out}}
        return result | {"opened": sorted(self._path_of(path) for path in self._opened if _is_of(path, self._root))}

    def _describe(self, error: BaseException) -> dict[str, Any]:
        """The reason, the revision that ran, and the innermost line of its file; else of any file of the checkout."""
        chain = [error]
        while (cause := chain[-1].__cause__ or chain[-1].__context__) and cause not in chain:
            chain.append(cause)
        # env.py may print an error and then exit.
        error = next((link for link in chain if not isinstance(link, SystemExit)), error)
        reason = str(error) if isinstance(error, IncompleteError) else f"{type(error).__name__}: {error}"
        if isinstance(error, DBAPIError):
            reason = str(error.orig).strip()
        places: list[tuple[str, int]] = [(self._revision.path, 0)] if self._revision else []
        for link in reversed(chain[chain.index(error) :]):
            for frame, line in traceback.walk_tb(link.__traceback__):
                path = frame.f_code.co_filename
                if path == self._revision.module.__file__ if self._revision else _is_of(path, self._root):
                    places.append((path, line))
            if isinstance(link, SyntaxError) and _is_of(link.filename or "", self._root):
                places.append((str(link.filename), link.lineno or 1))
                reason = f"{type(link).__name__}: {link.msg}"
        path, line = places[-1] if places else ("", 0)
        return {
            "reason": "\n".join([reason, *(f"It was refused {refusal}." for refusal in self._guard.refusals)]),
            "refusal": next((str(link) for link in chain if isinstance(link, RefusedConnectionError)), None),
            "revision": self._revision.revision if self._revision else None,
            "path": self._path_of(path) if path else None,
            "line": line,
        }

    def _path_of(self, path: str) -> str:
        return os.path.relpath(os.path.realpath(path), self._root)

    def _isolate_modules(self) -> None:
        """Modules come from this checkout and are compiled again; the files that are read are noted."""
        root, other_root = self._root, self._job["other_root"]
        paths = (root + path[len(other_root) :] if _is_of(f"{path}/", other_root) else path for path in sys.path)
        # An editable install puts a checkout on the path, whose regular packages win over a namespace package of root.
        sys.path[:] = [root, *(path for path in paths if not Path(path, "data_contract_components").is_dir())]
        get_stats = SourceFileLoader.path_stats

        def path_stats(loader: SourceFileLoader, path: Any) -> Any:
            # Python takes a compiled file as current when its source has the same size and time.
            if _is_of(os.path.realpath(path), root):
                raise OSError("no compiled file is used")
            return get_stats(loader, path)

        def note(name: str, arguments: tuple[Any, ...]) -> None:
            is_listing = name in ("os.listdir", "os.scandir") and "importlib" not in sys._getframe(1).f_code.co_filename
            if (name == "open" or is_listing) and isinstance(arguments[0], str | bytes | os.PathLike):
                self._opened.add(os.path.realpath(os.fsdecode(arguments[0])))

        SourceFileLoader.path_stats = path_stats  # type: ignore[method-assign,assignment]
        sys.addaudithook(note)

    def _make_way(self, connection: Connection, _: Any, sql: str, parameters: Any, *__: Any) -> tuple[str, Any]:
        """Drops, unless in use, a copied schema or extension that the statement creates."""
        for kind, name in self._job["copied"]:
            pattern = rf'\bcreate\s+{kind}\s+(?:if\s+not\s+exists\s+)?(?="?{re.escape(name)}(?!\w))'
            sql, count = re.subn(pattern, f"create {kind} if not exists ", sql, flags=re.IGNORECASE)
            if count:
                quoted = name.replace('"', '""')
                body = f'begin drop {kind} "{quoted}"; exception when others then null; end'
                query(connection, f"do {dollar_quote(body)}")
        return sql, parameters

    def _get_revisions(self, script: ScriptDirectory) -> dict[str, Any]:
        revisions = [step.revision for step in _get_steps(script, ())]
        for revision in revisions:
            # What its functions import is imported here, so that these files are noted too.
            source = read(revision.path)
            if re.search(r"^[ \t]+(import|from)\b", source, re.MULTILINE):
                for node in ast.walk(ast.parse(source)):
                    if isinstance(node, ast.Import | ast.ImportFrom):
                        with contextlib.suppress(Exception, SystemExit):
                            exec(ast.unparse(node), dict(vars(revision.module)))
        pairs = [(revision.revision, self._path_of(revision.path)) for revision in revisions]
        return {"heads": sorted(script.get_heads()), "revisions": pairs}

    def _apply(self, config: Config, script: ScriptDirectory) -> dict[str, Any]:
        """Applies the next `count` revisions; returns their trace where the job has `columns_sql`."""
        recorder: Recorder | None = None

        def get_steps(heads: tuple[str, ...], context: MigrationContext) -> Iterator[RevisionStep]:
            nonlocal recorder
            connection = context.connection
            assert connection is not None
            recorder = Recorder(connection, context, heads, self._job)
            transaction = connection.get_transaction()
            context.on_version_apply_callbacks += (recorder.end,)
            steps = _get_steps(script, heads)[: self._job["count"]]
            self._opened_before, self._opened = self._opened_before | self._opened, set()
            for step in steps:
                self._revision = step.revision
                recorder.begin(step.revision, self._path_of(step.revision.path))
                yield step
            self._revision = None
            # A revision that committed ended the transaction that env.py will commit, and a new one is open.
            if connection.in_transaction() and connection.get_transaction() is not transaction:
                connection.commit()

        url = self._job["url"]
        engine = create_engine("postgresql+psycopg2://", creator=lambda: psycopg2.connect(url), poolclass=NullPool)
        environment = EnvironmentContext(config, script, fn=get_steps, as_sql=False, destination_rev="heads", tag=None)
        with environment, engine.connect() as offered_connection:
            config.attributes["connection"] = offered_connection
            script.run_env()
            offered_connection.commit()
        if recorder is None:
            raise IncompleteError("env.py ran no migrations")
        with engine.connect() as connection:
            recorder.ensure_committed(connection)
            recorder.record_rest(connection, self._path_of(script.env_py_location))
        return recorder.trace


def _get_steps(script: ScriptDirectory, heads: tuple[str, ...]) -> list[Any]:
    """The steps from `heads` on, in alembic's order."""
    return script._upgrade_revs("heads", heads) if script.get_heads() else []  # type: ignore[arg-type]


def _is_of(path: str, root: str) -> bool:
    """Whether it is a file of the checkout itself; a virtual environment may lie in it."""
    return path.startswith(f"{root}/") and "/site-packages/" not in path and not path.startswith(WORKER_DIRECTORY)


def _execute_batches_at_once() -> None:
    """Each call of a batch is executed at once, not at the end of `with`, where its line is not known.

    A batch that recreates the table still executes them together.
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


def _skip_files_of_macos() -> None:
    """The files ._*.py, which macOS writes beside others on a foreign disk, are not revisions."""
    original = Script._from_path

    def from_path(script: ScriptDirectory, path: Any) -> Script | None:
        return None if Path(path).name.startswith("._") else original(script, path)

    Script._from_path = from_path  # type: ignore[method-assign,assignment]
