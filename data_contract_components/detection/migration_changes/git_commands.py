"""Questions to git, which neither run anything of the user's nor write to the repository. Needs Python only."""

import os
import subprocess
from pathlib import Path

from data_contract_components.errors import ComparisonError
from data_contract_components.escaping import escape_controls

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
DEEPEN = "The clone is shallow: `git fetch --unshallow` (in a workflow, actions/checkout with `fetch-depth: 0`)."


def find_commit(ref: str, repository_directory: Path) -> str:
    """The commit, 40 digits, that a git ref names. Raises: ComparisonError."""
    name, is_shallow = _render_ref(ref), _is_shallow(repository_directory)
    commit = _git(repository_directory, "rev-parse", "--verify", "--end-of-options", f"{ref}^{{commit}}")
    if commit.returncode != 0:
        raise ComparisonError(
            f"git knows no commit {name}",
            DEEPEN if is_shallow else "Name a branch, a tag or a commit; `git fetch` brings those of the remote.",
        )
    if "is ambiguous" in _text(commit.stderr):
        # A tag comes before the branch of the same name, and may be this very commit.
        raise ComparisonError(f"{name} is ambiguous in git", "Write it in full: refs/heads/… or refs/tags/….")
    return _text(commit.stdout)


def find_merge_base(base: str, repository_directory: Path) -> str:
    """The commit, 40 digits, at which HEAD and `base` parted. Raises: ComparisonError."""
    merge_base = _git(repository_directory, "merge-base", find_commit(base, repository_directory), "HEAD")
    if merge_base.returncode != 0:
        reason = _text(merge_base.stderr)
        raise ComparisonError(
            f"{_render_ref(base)} and HEAD have no commit in common{reason and f': {reason}'}",
            DEEPEN if _is_shallow(repository_directory) else "Name a base that this branch came from.",
        )
    return _text(merge_base.stdout)


def _is_shallow(repository_directory: Path) -> bool:
    answer = _git(repository_directory, "rev-parse", "--is-shallow-repository")
    if answer.returncode != 0:
        raise ComparisonError(
            f"git finds no repository in {repository_directory}: {_text(answer.stderr)}",
            "A comparison needs a clone of the repository, with its .git.",
        )
    return _text(answer.stdout) == "true"


def git_output(directory: Path, *arguments: str, **environment: str) -> bytes:
    """What git prints, with these variables in its environment. Raises: ComparisonError."""
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
    variables |= {"LC_ALL": "C", "GIT_NO_REPLACE_OBJECTS": "1", "GIT_GRAFT_FILE": os.devnull}
    variables |= {"GIT_OPTIONAL_LOCKS": "0"} | environment  # or `git diff` would write the index
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
