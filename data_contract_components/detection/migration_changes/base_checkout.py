"""Checks out the commit that a pull request is compared with, into a temporary directory."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from data_contract_components.data_assets._query_postgres_helper import REPOSITORY_DIRECTORY
from data_contract_components.errors import ComparisonError
from data_contract_components.escaping import escape_controls

COMPONENTS = "data_contract_components"
# git sets these for its hooks; each leads to another repository, index or history.
HOOK_VARIABLES = ("DIR", "WORK_TREE", "COMMON_DIR", "INDEX_FILE", "OBJECT_DIRECTORY", "NAMESPACE", "PREFIX")
# Off: what git would run or write in the user's repository with an index, and what would leave files out. On: the
# warning where a name stands for two commits.
OPTIONS = (
    "core.hooksPath=/dev/null",
    "core.splitIndex=false",
    "core.fsmonitor=false",
    "core.sparseCheckout=false",
    "core.warnAmbiguousRefs=true",
)


@contextmanager
def open_base_checkout(base: str, repository_directory: Path = REPOSITORY_DIRECTORY) -> Iterator[tuple[str, Path]]:
    """The commit at which HEAD and `base`, a git ref, parted, and a directory with its files, which is then removed.

    Submodules are empty. Raises: ComparisonError; git's own files are as before.
    """
    commit = find_merge_base(base, repository_directory)
    if not _git_output(repository_directory, "ls-tree", commit, COMPONENTS):
        raise ComparisonError(
            f"{_render_ref(base)} (commit {commit[:12]}) has no {COMPONENTS}/",
            "Name a base that has the migrations.",
        )
    with open_temporary_directory("contracts-checkout-") as directory:
        checkout_directory = directory / "checkout"
        checkout_directory.mkdir()
        # With a work tree of its own, git applies the base's .gitattributes.
        answer = os.fsdecode(_git_output(repository_directory, "rev-parse", "--absolute-git-dir", "--show-prefix"))
        git_directory, prefix = answer.split("\n")[:2]
        environment = {
            "GIT_DIR": git_directory,
            "GIT_WORK_TREE": str(checkout_directory),
            "GIT_INDEX_FILE": str(directory / "index"),
        }
        _git_output(checkout_directory, "read-tree", commit, **environment)
        _git_output(checkout_directory, "checkout-index", "--all", "--quiet", **environment)
        yield commit, checkout_directory / prefix


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


def find_merge_base(base: str, repository_directory: Path) -> str:
    """The commit, 40 digits, at which HEAD and `base` parted. Raises: ComparisonError."""
    name = _render_ref(base)
    answer = _git(repository_directory, "rev-parse", "--is-shallow-repository")
    if answer.returncode != 0:
        raise ComparisonError(
            f"git finds no repository in {repository_directory}: {_text(answer.stderr)}",
            "A comparison needs a clone of the repository, with its .git.",
        )
    is_shallow = _text(answer.stdout) == "true"
    deepen = "The clone is shallow: `git fetch --unshallow` (in a workflow, actions/checkout with `fetch-depth: 0`)."
    base_commit = _git(repository_directory, "rev-parse", "--verify", "--end-of-options", f"{base}^{{commit}}")
    if base_commit.returncode != 0:
        raise ComparisonError(
            f"git knows no commit {name}",
            deepen if is_shallow else "Name a branch, a tag or a commit; `git fetch` brings those of the remote.",
        )
    if "is ambiguous" in _text(base_commit.stderr):
        # A tag comes before the branch of the same name, and may be this very commit.
        raise ComparisonError(f"{name} is ambiguous in git", "Write it in full: refs/heads/… or refs/tags/….")
    merge_base = _git(repository_directory, "merge-base", _text(base_commit.stdout), "HEAD")
    if merge_base.returncode != 0:
        reason = _text(merge_base.stderr)
        raise ComparisonError(
            f"{name} and HEAD have no commit in common{reason and f': {reason}'}",
            deepen if is_shallow else "Name a base that this branch came from.",
        )
    return _text(merge_base.stdout)


def _git_output(directory: Path, *arguments: str, **environment: str) -> bytes:
    answer = _git(directory, *arguments, **environment)
    if answer.returncode != 0:
        raise ComparisonError(
            f"git {arguments[0]} failed: {_text(answer.stderr)}", "Fix that; `git fetch` brings what a clone lacks."
        )
    return answer.stdout


def _git(directory: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    hook_variables = {f"GIT_{name}" for name in HOOK_VARIABLES}
    variables = {name: value for name, value in os.environ.items() if name not in hook_variables}
    # No commit is replaced by another, neither by `git replace` nor by a graft.
    variables |= {"LC_ALL": "C", "GIT_NO_REPLACE_OBJECTS": "1", "GIT_GRAFT_FILE": os.devnull} | environment
    # The code of this checkout runs anyway, so git's check of its owner protects from nothing, and it would stop every
    # comparison in a container.
    options = [word for option in ("safe.directory=*", *OPTIONS) for word in ("-c", option)]
    try:
        return subprocess.run(["git", *options, *arguments], cwd=directory, env=variables, capture_output=True)
    except FileNotFoundError as error:
        raise ComparisonError("git is not installed", "Install git; a comparison needs it to read the base.") from error


def _text(output: bytes) -> str:
    return output.decode(errors="replace").strip()


def _render_ref(ref: str) -> str:
    """A git ref in quotation marks, on one line and without control characters."""
    return f'"{escape_controls(ref)}"'.replace("\n", "\\n")
