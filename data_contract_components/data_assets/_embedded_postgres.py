"""The PostgreSQL server that is used when DATABASE_URL is not set: its data are in .postgres/.

File locks record who uses the server, so that a killed process leaves nothing behind. Every process that uses the
server has a shared lock on `users.lock`. Another process, the stopper, waits for the exclusive lock on it, which it
gets after the last user has ended, and stops the server. The server's processes have `server.lock`, the stopper
`stopper.lock`, and the process that starts them `start.lock`. The kernel reports which process has `process.lock`:
the one to signal.
"""

import contextlib
import fcntl
import os
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from data_contract_components.data_assets._postgres_programs import (
    PACKAGES,
    PORT,
    check_account,
    create_data_directory,
    find_binaries,
    make_socket_directory,
    remove_socket_directory,
    server_command,
    server_environment,
    unavailable,
)
from data_contract_components.errors import DatabaseUnavailableError

TIMEOUT_SECONDS = 60
POLL_INTERVAL_SECONDS = 0.01
LOCK_FILES = ("users.lock", "start.lock", "server.lock", "process.lock", "stopper.lock")

# Descriptors, as a file that is open when Python exits is a warning in unittest's output.
_user_locks: dict[Path, int] = {}


def start_embedded_postgres(directory: Path, version: int = 18, binaries_directory: Path | None = None) -> str:
    """The URL of the server with its data in `directory`; it runs at least until this process ends.

    If there is none yet, it is created, and one line on stderr reports that. It listens on no network address; its
    socket is in a directory that is closed to other users, below TMPDIR, as a socket's path must be short.
    This process loses its PG* variables: they are meant for other servers, libpq uses them for what a URL leaves
    out, and a URL cannot undo some of them (PGSERVICE, PGTZ).
    The programs are those of the package of `version`, or in `binaries_directory`, which then has that version.
    Raises: DatabaseUnavailableError with the reason, or the end of the server's log; also where the data are those of
        another version, which are kept.
    """
    try:
        if directory not in _user_locks:
            directory.mkdir(mode=0o700, exist_ok=True)
            check_account(directory)
            directory.chmod(0o700)
            (directory / ".gitignore").write_text("*\n")  # for a project that does not list the directory
            # Here alone, as nothing may create a file in a directory that is being removed.
            for name in LOCK_FILES:
                (directory / name).touch()
            with _lock(directory / "users.lock", fcntl.LOCK_SH) as lock_file:
                _user_locks[directory] = os.dup(lock_file.fileno())
        with _lock(directory / "start.lock", fcntl.LOCK_EX):
            _check_version(directory, version)
            binaries_directory = binaries_directory or find_binaries(directory, version)
            if not (directory / "data").exists():
                create_data_directory(directory, version, binaries_directory)
            _ensure_stopper(directory)
            if not _is_ready(directory):
                _start(directory, binaries_directory)
            host = quote(str((directory / "socket").readlink()), safe="")
    except (OSError, subprocess.SubprocessError) as error:
        raise unavailable(directory, str(error)) from error
    for name in [name for name in os.environ if name.startswith("PG")]:
        del os.environ[name]
    return f"postgresql://postgres@:{PORT}/postgres?host={host}"


def _check_version(directory: Path, version: int) -> None:
    # Not left to PostgreSQL, which is not asked where a server of another version runs.
    found = _read_file_of_server(directory, "PG_VERSION").strip()
    if found.isdecimal() and int(found) != version:
        way_out = "Remove that directory"
        if int(found) in PACKAGES:
            way_out = f"Set `server` to {found} to use them, or remove that directory"
        raise unavailable(
            directory, f"its data are of PostgreSQL {found}, and the version to run is {version}", way_out
        )


def _read_file_of_server(directory: Path, name: str) -> str:
    """The text of a file in the data directory; empty where it is missing, or no file of its own."""
    try:
        descriptor = os.open(directory / "data" / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return ""
    try:
        return os.read(descriptor, 10_000).decode(errors="replace")
    finally:
        os.close(descriptor)


def _lock(path: Path, operation: int) -> IO[bytes]:
    """The open file, locked until it is closed, or until the last process that inherited it has ended."""
    lock_file = path.open("r+b")
    try:
        fcntl.flock(lock_file, operation)
    except OSError:
        lock_file.close()
        raise
    return lock_file


def _lock_if_free(path: Path) -> IO[bytes] | None:
    try:
        return _lock(path, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return None


def _start(directory: Path, binaries_directory: Path) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    is_spawned = False
    while not _is_ready(directory):
        # Locked while any process of a server lives: one that is starting, or what is left of a killed one.
        if server_lock := _lock_if_free(directory / "server.lock"):
            with server_lock:
                if is_spawned:
                    remove_socket_directory(directory)
                    raise _failed_to_start(directory, "")
                _spawn_server(directory, binaries_directory, server_lock.fileno())
                is_spawned = True
        elif _is_marked_ready(directory) and not _is_listening(directory):
            _interrupt(directory)  # it is ending, or its socket was removed
        if time.monotonic() > deadline:
            raise _failed_to_start(directory, f"it is not ready after {TIMEOUT_SECONDS} seconds\n")
        time.sleep(POLL_INTERVAL_SECONDS)


def _failed_to_start(directory: Path, reason: str) -> DatabaseUnavailableError:
    log = directory / "log"
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    if not lines:
        return unavailable(directory, reason or "it ended and wrote no log")
    return unavailable(directory, reason + "\n".join(lines[-5:]), f"Fix that (its log is {log})")


def _spawn_server(directory: Path, binaries_directory: Path, server_lock: int) -> None:
    data_directory = directory / "data"
    # A killed server leaves it behind; the process id in it may belong to another program by now.
    (data_directory / "postmaster.pid").unlink(missing_ok=True)
    programs = make_socket_directory(directory, binaries_directory)
    socket_directory = (directory / "socket").readlink()
    settings = ["listen_addresses=", f"unix_socket_directories={socket_directory}", f"port={PORT}"]
    with (
        server_command(directory, programs / "postgres", data_directory) as (command, descriptors),
        (directory / "log").open("wb") as log_file,
        (directory / "process.lock").open("r+b") as process_lock,
    ):
        command += [word for setting in settings for word in ("-c", setting)]
        _spawn(
            command,
            env=server_environment(),
            cwd="/",
            pass_fds=[server_lock, process_lock.fileno(), *descriptors],
            # A record lock belongs to the process that takes it, also after that runs another program.
            preexec_fn=lambda: fcntl.lockf(process_lock, fcntl.LOCK_EX),
            stdout=log_file,
        )


def _spawn(command: list[str], **options: Any) -> None:
    """A process that goes on when this one ends, and has nothing to read."""
    process = subprocess.Popen(
        command, start_new_session=True, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT, **options
    )
    process.returncode = 0  # so that Popen does not warn about it


def _is_marked_ready(directory: Path) -> bool:
    """Whether line 8 of postmaster.pid is "ready". Source: PostgreSQL's src/include/utils/pidfile.h."""
    lines = _read_file_of_server(directory, "postmaster.pid").splitlines()
    return len(lines) >= 8 and lines[7].strip() == "ready"


def _is_ready(directory: Path) -> bool:
    return _is_marked_ready(directory) and _is_listening(directory)


def _is_listening(directory: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            socket_directory = (directory / "socket").readlink()
            if os.geteuid() == 0:
                # From now on, the server cannot create a link to another server's socket there.
                socket_directory.chmod(0o710)
            address = socket_directory / f".s.PGSQL.{PORT}"
            if not stat.S_ISSOCK(address.lstat().st_mode):
                return False
            probe.connect(str(address))
        except OSError:
            return False
    return True


def _ensure_stopper(directory: Path) -> None:
    if stopper_lock := _lock_if_free(directory / "stopper.lock"):
        with stopper_lock:
            # By the working directory, as PYTHONPATH cannot have a path with a colon.
            _spawn(
                [sys.executable, "-m", __name__, str(directory), str(stopper_lock.fileno())],
                env={name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"},
                cwd=Path(__file__).resolve().parents[2],
                pass_fds=[stopper_lock.fileno()],
                stdout=subprocess.DEVNULL,
            )


def _stop_after_last_user(directory: Path, stopper_lock: int) -> None:
    os.chdir("/")
    with _lock(directory / "users.lock", fcntl.LOCK_EX):
        stop_embedded_postgres(directory)
        # Before the users' lock: the next user must not take this process for its stopper.
        os.close(stopper_lock)


def remove_embedded_postgres(directory: Path) -> None:
    """The server in `directory` is stopped, and its data are gone. Raises: as stop_embedded_postgres."""
    if directory.exists():
        stop_embedded_postgres(directory)
        shutil.rmtree(directory)


def stop_embedded_postgres(directory: Path) -> None:
    """No process of the server in `directory` lives, even if it was in use; its data are complete.

    Raises: DatabaseUnavailableError if a process that the server started does not end with it.
    """
    if not (directory / "server.lock").exists():
        return
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not (server_lock := _lock_if_free(directory / "server.lock")):
        if not _interrupt(directory) and time.monotonic() > deadline:
            raise unavailable(directory, "a process that it started does not end", "End what still uses it")
        time.sleep(POLL_INTERVAL_SECONDS)
    with server_lock:
        remove_socket_directory(directory)


def _interrupt(directory: Path) -> bool:
    """Whether the first process of the server in `directory` lives; it has process.lock, and is sent SIGINT."""
    # Where struct flock has the kind of lock, and the process that has it.
    layout, kind, process_id = ("qqihh", 3, 2) if sys.platform == "darwin" else ("hhqqi", 0, 4)
    question = [0, 0, 0, 0, 0]
    question[kind] = fcntl.F_WRLCK
    try:
        process_lock = (directory / "process.lock").open("r+b")
    except FileNotFoundError:  # created by an earlier version, or being removed
        return False
    with process_lock:
        answer = fcntl.fcntl(process_lock, fcntl.F_GETLK, struct.pack(layout, *question))
    lock = struct.unpack_from(layout, answer)
    # 0 or less means a process of another container.
    if lock[kind] == fcntl.F_UNLCK or lock[process_id] <= 0:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(lock[process_id], signal.SIGINT)
    return True


if __name__ == "__main__":
    if len(sys.argv) == 3:
        _stop_after_last_user(Path(sys.argv[1]), int(sys.argv[2]))
    else:
        try:
            stop_embedded_postgres(Path(sys.argv[1]).resolve())
        except DatabaseUnavailableError as error:
            print(error, file=sys.stderr)
            sys.exit(2)
