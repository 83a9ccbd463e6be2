"""Checkouts of both compared sides in temporary directories, in which their migrations may write what they like."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from data_contract_components.data_assets._temporary_directory import open_temporary_directory
from data_contract_components.detection.migration_changes.git_commands import find_merge_base, git_output


@contextmanager
def open_base_checkout(base: str, git_directory: Path) -> Iterator[tuple[str, Path]]:
    """The commit at which HEAD and `base`, a git ref, parted, and a directory with its files, which is then removed.

    Submodules are empty. Raises: ComparisonError; git's own files are as before.
    """
    commit = find_merge_base(base, git_directory)
    with _open_checkout() as checkout_directory:
        # With a work tree of its own, git applies the base's .gitattributes.
        environment = _read_commit(commit, git_directory, checkout_directory, checkout_directory)
        git_output(checkout_directory, "checkout-index", "--all", "--quiet", **environment)
        yield commit, checkout_directory


@contextmanager
def open_head_checkout(git_directory: Path) -> Iterator[Path]:
    """A directory with a copy of the working tree, without what git ignores; it is then removed."""
    with _open_checkout() as checkout_directory:
        environment = _read_commit("HEAD", git_directory, git_directory, checkout_directory)
        options = ("-z", "--cached", "--others", "--exclude-standard")
        names = git_output(git_directory, "ls-files", *options, **environment).split(b"\0")
        for name in map(os.fsdecode, filter(None, names)):
            source, target = git_directory / name, checkout_directory / name
            if source.is_symlink() or source.is_file():  # it may be deleted, or a submodule
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target, follow_symlinks=False)
        yield checkout_directory


@contextmanager
def _open_checkout() -> Iterator[Path]:
    with open_temporary_directory("contracts-checkout-") as directory:
        (directory / "checkout").mkdir()
        yield directory / "checkout"


def _read_commit(commit: str, git_directory: Path, work_tree: Path, checkout_directory: Path) -> dict[str, str]:
    """Git's variables for an index of `commit` beside the checkout, as git touches its own index when it reads it."""
    environment = {
        "GIT_DIR": os.fsdecode(git_output(git_directory, "rev-parse", "--absolute-git-dir")).rstrip("\n"),
        "GIT_WORK_TREE": str(work_tree),
        "GIT_INDEX_FILE": str(checkout_directory.with_name("index")),
    }
    git_output(work_tree, "read-tree", commit, **environment)
    return environment
