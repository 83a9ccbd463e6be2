"""Directories for the time of a comparison; what a killed process left is removed by the next one."""

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = "contracts-scratch-"


@contextmanager
def scratch_directory() -> Iterator[Path]:
    """An empty directory, which is gone afterwards; those of processes that live no more are gone as well."""
    parent = Path(tempfile.gettempdir())
    for leftover in parent.glob(f"{PREFIX}*"):
        _remove_unused(leftover)
    directory = Path(tempfile.mkdtemp(prefix=PREFIX))
    # A lock lasts as long as the process that holds it, however it ends.
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (directory / "content").mkdir()
        try:
            yield directory / "content"
        finally:
            shutil.rmtree(directory, ignore_errors=True)


def _remove_unused(directory: Path) -> None:
    try:
        with (directory / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(directory, ignore_errors=True)
    except OSError:
        return  # in use, just being made, or somebody else's
