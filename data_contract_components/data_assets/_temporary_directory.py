"""A directory of this process, which is removed also after the process was killed."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path


@contextmanager
def open_temporary_directory(prefix: str) -> Iterator[Path]:
    """A new directory, which is then removed; if this process is killed, by the next that uses `prefix`.

    A lock marks it as in use, because the kernel releases it when this process ends.
    """
    for leftover in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        with suppress(OSError), _locked(leftover):
            shutil.rmtree(leftover)
    with ExitStack() as stack:
        while True:
            directory = Path(tempfile.mkdtemp(prefix=prefix)).resolve()
            # Before it is locked, another process may remove it as left behind.
            with suppress(FileNotFoundError, BlockingIOError):
                stack.enter_context(_locked(directory))
                if directory.exists():
                    break
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        yield directory


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Raises: OSError where another process has the lock, or the directory is missing."""
    import fcntl  # not on Windows, where there is no comparison

    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
