"""The state of the repository that a pull request is compared with, taken out of git; nothing is left in it."""

import io
import os
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from data_contract_components.data_assets._query_postgres_helper import REPOSITORY_DIRECTORY
from data_contract_components.errors import ComparisonError

COMPONENTS = "data_contract_components"


@contextmanager
def open_base_checkout(base: str, repository_directory: Path = REPOSITORY_DIRECTORY) -> Iterator[tuple[str, Path]]:
    """The commit at which HEAD and `base`, a git ref, parted, and a directory with its data_contract_components.

    The directory is gone afterwards. Raises: ComparisonError.
    """
    commit = find_merge_base(base, repository_directory)
    if not _git_output(repository_directory, "ls-tree", commit, COMPONENTS):
        raise ComparisonError(
            f'"{base}" (commit {commit[:12]}) has no {COMPONENTS}/', "Name a base that has the migrations."
        )
    with TemporaryDirectory(prefix="contracts-base-") as directory:
        archive = _git_output(repository_directory, "archive", "--format=tar", commit, COMPONENTS)
        try:
            with tarfile.open(fileobj=io.BytesIO(archive)) as files:
                files.extractall(directory, filter="data")
        except tarfile.TarError as error:
            reason = f'{COMPONENTS}/ of "{base}" (commit {commit[:12]}) cannot be unpacked: {error}'
            raise ComparisonError(reason, "Name a base that has plain files there.") from error
        yield commit, Path(directory)


def find_merge_base(base: str, repository_directory: Path) -> str:
    """The commit, 40 digits, at which HEAD and `base` parted. Raises: ComparisonError."""
    answer = _git(repository_directory, "rev-parse", "--is-shallow-repository")
    if answer.returncode != 0:
        raise ComparisonError(
            f"git finds no repository in {repository_directory}: {_text(answer.stderr)}",
            "A comparison takes a clone of the repository, with its .git.",
        )
    is_shallow = _text(answer.stdout) == "true"
    deepen = "The clone is shallow: `git fetch --unshallow` (in a workflow, actions/checkout with `fetch-depth: 0`)."
    base_commit = _git(
        repository_directory, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{base}^{{commit}}"
    )
    if base_commit.returncode != 0:
        raise ComparisonError(
            f'git knows no commit "{base}"',
            deepen if is_shallow else "Name a branch, a tag or a commit; `git fetch` brings those of the remote.",
        )
    merge_base = _git(repository_directory, "merge-base", _text(base_commit.stdout), "HEAD")
    if merge_base.returncode != 0:
        reason = _text(merge_base.stderr)
        raise ComparisonError(
            f'"{base}" and HEAD have no commit in common{reason and f": {reason}"}',
            deepen if is_shallow else "Name a base that this branch came from.",
        )
    return _text(merge_base.stdout)


def _git_output(directory: Path, *arguments: str) -> bytes:
    answer = _git(directory, *arguments)
    if answer.returncode != 0:
        raise ComparisonError(
            f"git {arguments[0]} failed: {_text(answer.stderr)}", "Mend that; `git fetch` brings what a clone lacks."
        )
    return answer.stdout


def _git(directory: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    # The code of this checkout runs here anyway; git's own doubt about its owner protects from nothing more, and
    # would stop every check in a container.
    command = ["git", "-c", "safe.directory=*", *arguments]
    try:
        return subprocess.run(command, cwd=directory, env=os.environ | {"LC_ALL": "C"}, capture_output=True)
    except FileNotFoundError as error:
        raise ComparisonError("git is not installed", "Install git; a comparison takes the base out of it.") from error


def _text(output: bytes) -> str:
    return output.decode(errors="replace").strip()
