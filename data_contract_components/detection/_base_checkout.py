"""The state of the repository that a pull request is compared with, taken out of git; nothing is left in it."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from data_contract_components.data_assets._query_postgres_helper import REPOSITORY_DIRECTORY
from data_contract_components.detection._scratch_directory import scratch_directory
from data_contract_components.errors import ComparisonError

# A git hook sets these for the repository that it runs in, and the index is another one here.
HOOK_VARIABLES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")


@contextmanager
def open_base_checkout(base: str, repository_directory: Path = REPOSITORY_DIRECTORY) -> Iterator[tuple[str, Path]]:
    """The commit at which HEAD and `base`, a git ref, parted, and a directory with all its files.

    The directory is gone afterwards. Raises: ComparisonError.
    """
    commit = find_merge_base(base, repository_directory)
    # The project may be a folder of the repository.
    prefix = _text(_git_output(repository_directory, "rev-parse", "--show-prefix"))
    with scratch_directory() as directory:
        # Not by `git archive`, which leaves out what .gitattributes marks as export-ignore.
        index = {"GIT_INDEX_FILE": str(directory / "index")}
        _git_output(repository_directory, "read-tree", commit, environment=index)
        arguments = ("checkout-index", "--all", "--quiet", f"--prefix={directory / 'base'}/")
        _git_output(repository_directory, *arguments, environment=index)
        yield commit, directory / "base" / prefix


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


def _git_output(directory: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> bytes:
    answer = _git(directory, *arguments, environment=environment)
    if answer.returncode != 0:
        raise ComparisonError(
            f"git {arguments[0]} failed: {_text(answer.stderr)}", "Fix that; `git fetch` brings what a clone lacks."
        )
    return answer.stdout


def _git(
    directory: Path, *arguments: str, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    # The code of this checkout runs here anyway; git's own doubt about its owner protects from nothing more, and
    # would stop every check in a container. A replaced commit is not the one that the pull request is based on.
    command = ["git", "-c", "safe.directory=*", "--no-replace-objects", *arguments]
    variables = {name: value for name, value in os.environ.items() if name not in HOOK_VARIABLES}
    variables |= {"LC_ALL": "C", **(environment or {})}
    try:
        return subprocess.run(command, cwd=directory, env=variables, capture_output=True)
    except FileNotFoundError as error:
        raise ComparisonError("git is not installed", "Install git; a comparison takes the base out of it.") from error


def _text(output: bytes) -> str:
    return output.decode(errors="replace").strip()
