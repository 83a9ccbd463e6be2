"""Reads the revisions of a checkout, or applies them to the scratch database."""

import argparse
import contextlib
import importlib
import os
import re
import subprocess
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg2
from alembic.config import Config
from alembic.operations import BatchOperations, MigrateOperation
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, RevisionStep
from alembic.script import Script, ScriptDirectory
from sqlalchemy import create_engine, event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from .guard import Guard, RefusedConnectionError, set_environment, set_urls
from .modules import Modules, is_of
from .recorder import IncompleteError, Recorder, dollar_quote, query

# Sends the revisions, each with its file, and waits for how many are to be applied (None: all).
Ask = Callable[[list[tuple[str, str]]], int | None]


class _NothingToApplyError(BaseException):
    """Ends env.py, which may catch every Exception, before it changes anything."""


class Job:
    """A job of _migrations.py: `root` is the checkout, `database` and `oid` are the scratch database's."""

    def __init__(self, job: dict[str, Any], ask: Ask) -> None:
        self._job, self._root, self._ask = job, str(job["root"]), ask
        self._revision: Script | None = None
        self._is_loading = False
        self._modules = Modules(self._root, str(job["other_root"]))
        self._guard = Guard(job["database"], job["oid"])

    def answer(self) -> dict[str, Any]:
        """The result of the job, or an `error` with the reason."""
        self._modules.isolate(self._job["directory"])
        self._guard.install()
        event.listen(Engine, "before_cursor_execute", self._make_way, retval=True)
        set_environment(self._job)
        _execute_batches_at_once()
        _skip_files_of_macos()
        try:
            if self._job["before_migrations"]:
                self._build_beginning(self._job["before_migrations"])
            with self._open_config() as config:
                result = self._run(config, ScriptDirectory.from_config(config))
        except (Exception, SystemExit, KeyboardInterrupt) as error:  # noqa: BLE001 - a revision is anybody's code
            return {"error": self._describe(error)}
        if others := self._modules.find_others():
            way_out = "Let alembic.ini's prepend_sys_path say where the packages of the project are, with %(here)s."
            return {"error": {"reason": f"it imports {others[0]} of another checkout", "way_out": way_out}}
        return result

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
                if path == self._revision.module.__file__ if self._revision else is_of(path, self._root):
                    places.append((path, line))
            if isinstance(link, SyntaxError) and is_of(link.filename or "", self._root):
                places.append((str(link.filename), link.lineno or 1))
                reason = f"{type(link).__name__}: {link.msg}"
        path, line = places[-1] if places else ("", 0)
        return {
            "reason": "\n".join([reason, *(f"It was refused {refusal}." for refusal in self._guard.refusals)]),
            "refusal": next((str(link) for link in chain if isinstance(link, RefusedConnectionError)), None),
            "is_loading": self._is_loading,
            "revision": self._revision.revision if self._revision else None,
            "path": self._path_of(path) if path else None,
            "line": line,
        }

    def _path_of(self, path: str) -> str:
        return os.path.relpath(os.path.realpath(path), self._root)

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

    @contextlib.contextmanager
    def _loading(self) -> Iterator[None]:
        """Where it ends by an error, this was one in the files of the revisions."""
        self._is_loading = True
        yield
        self._is_loading = False

    def _build_beginning(self, text: str) -> None:
        """Runs the SQL file or command on which the history begins."""
        if not text.endswith(".sql"):
            result = subprocess.run(text, shell=True, stdout=2)
            if result.returncode:
                raise IncompleteError(f"before_migrations, {text}, ended with status {result.returncode}")
            return
        # pg_dump writes commands of psql, too, which begin with a backslash.
        sql = re.sub(r"(?m)^\\(un)?restrict .*$", "", Path(text).read_text(encoding="utf-8"))
        with contextlib.closing(psycopg2.connect(self._job["url"])) as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            connection.commit()

    @contextlib.contextmanager
    def _open_config(self) -> Iterator[Config]:
        """The configuration; if env.py is Flask-Migrate's, that of the application, in whose context env.py runs."""
        with self._loading():
            config = self._make_config()
            env_path = Path(ScriptDirectory.from_config(config).env_py_location)
        if not re.search(r"(?m)^\s*from flask import .*\bcurrent_app\b", env_path.read_text(encoding="utf-8")):
            yield config
            return
        # As the command `flask db` finds it: by FLASK_APP, app.py or wsgi.py.
        application = importlib.import_module("flask.cli").ScriptInfo(os.environ.get("FLASK_APP")).load_app()
        with application.app_context():
            if extension := application.extensions.get("migrate"):
                config = extension.migrate.get_config(str(env_path.parent), x_arg=self._job["x_arguments"])
                set_urls(config, self._job["url"])
            yield config

    def _make_config(self) -> Config:
        """The configuration as the command `alembic` reads it."""
        options = argparse.Namespace(x=self._job["x_arguments"]) if self._job["x_arguments"] else None
        config = Config(cmd_opts=options, **self._job["config"])
        set_urls(config, self._job["url"])
        return config

    def _get_steps(self, script: ScriptDirectory, heads: tuple[str, ...]) -> list[Any]:
        with self._loading():
            return script._upgrade_revs("heads", heads) if script.get_heads() else []  # type: ignore[arg-type]

    def _run(self, config: Config, script: ScriptDirectory) -> dict[str, Any]:
        """Applies the revisions, or as many as `ask` says; returns their trace if the job has a `recording`."""
        recorder: Recorder | None = None

        def get_steps(heads: tuple[str, ...], context: MigrationContext) -> Iterator[RevisionStep]:
            nonlocal recorder
            steps, count = self._get_steps(script, heads), None
            if self._job["is_read"]:
                # Of a history that begins on a stamped database, too.
                all_revisions = [step.revision for step in self._get_steps(script, ())]
                count = self._ask([(revision.revision, self._path_of(revision.path)) for revision in all_revisions])
                if count == 0:
                    raise _NothingToApplyError
            connection = context.connection
            assert connection is not None
            recorder = Recorder(connection, context, heads, self._job)
            transaction = connection.get_transaction()
            context.on_version_apply_callbacks += (recorder.end,)
            for step in steps[:count]:
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
            # Some programs hand over an engine under this name, and env.py connects to it.
            offered: Any = offered_connection
            offered.connect = lambda: contextlib.nullcontext(offered_connection)
            config.attributes["connection"] = offered
            try:
                script.run_env()
            except _NothingToApplyError:
                return {}
            if hasattr(offered_connection, "commit"):  # SQLAlchemy 1.4 commits by itself
                offered_connection.commit()
        if recorder is None:
            raise IncompleteError("env.py ran no migrations")
        with engine.connect() as connection:
            recorder.ensure_committed(connection)
            recorder.record_rest(connection, self._path_of(script.env_py_location))
        return recorder.trace


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
    original = getattr(Script, "_from_path", None)
    if original is None:
        return  # before Alembic 1.16

    def from_path(script: ScriptDirectory, path: Any) -> Any:
        return None if Path(path).name.startswith("._") else original(script, path)

    Script._from_path = from_path  # type: ignore[method-assign,assignment]
