"""The revisions in the files of a project, read without running them: for a database that has no record of ours."""

import ast
import contextlib
import os
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from data_contract_components.errors import DataContractError, SettingsError
from data_contract_components.settings import Settings

VARIABLES = ("revision", "down_revision", "depends_on", "branch_labels")


@dataclass(frozen=True)
class RevisionFile:
    """A revision, its file from the project's root, and what it comes after: revisions, or labels of branches."""

    revision: str
    path: str
    parents: frozenset[str]
    labels: frozenset[str]


@contextlib.contextmanager
def _open_script_directory(settings: Settings) -> Iterator[ScriptDirectory]:
    """Alembic's view of the project, in whose directory relative paths begin. Raises: SettingsError."""
    with contextlib.chdir(settings.root_directory):
        try:
            with warnings.catch_warnings(action="ignore"):  # alembic's own command shows them
                script = ScriptDirectory.from_config(Config(**settings.alembic_arguments))
        except CommandError as error:
            reason = f"alembic cannot use {settings.alembic_config}: {error}"
            raise SettingsError(reason, "Correct it, or alembic_section.") from error
        yield script


def get_script_directory(settings: Settings) -> Path:
    """The directory of env.py. Raises: SettingsError."""
    with _open_script_directory(settings) as script:
        return Path(script.dir).resolve()


def read_revision_files(settings: Settings) -> list[RevisionFile]:
    """The revisions, ordered by path; a file whose variables are not literals is left out.

    Raises: SettingsError; DataContractError where alembic could not read the files.
    """
    with _open_script_directory(settings) as script:
        pattern = "**/*.py" if getattr(script, "recursive_version_locations", False) else "*.py"
        paths = sorted(path for directory in script._version_locations for path in Path(directory).glob(pattern))
    files = [file for path in paths if (file := _read_file(path, settings.root_directory))]
    by_revision = {file.revision: file for file in files}
    for file in files:
        if (other := by_revision[file.revision]) is not file:
            raise DataContractError(
                f"{file.path} and {other.path} are both revision {file.revision}: rename one of them"
            )
    return files


def _read_file(path: Path, root_directory: Path) -> RevisionFile | None:
    values: dict[str, Any] = dict.fromkeys(VARIABLES)
    relative_path = os.path.relpath(path.resolve(), root_directory.resolve())
    try:
        with warnings.catch_warnings(action="ignore"):
            nodes = ast.parse(path.read_bytes()).body
        for node in nodes:
            if isinstance(node, ast.Assign | ast.AnnAssign) and node.value:
                for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                    if isinstance(target, ast.Name) and target.id in VARIABLES:
                        values[target.id] = ast.literal_eval(node.value)
    except SyntaxError as error:
        raise DataContractError(f"{relative_path}:{error.lineno}: {error.msg}\nFix it, and try again.") from error
    except (OSError, ValueError):
        return None
    if not isinstance(values["revision"], str):
        return None
    names = [frozenset([value] if isinstance(value, str) else value or ()) for value in list(values.values())[1:]]
    return RevisionFile(values["revision"], relative_path, names[0] | names[1], names[2])


def find_unapplied(files: Iterable[RevisionFile], applied: Iterable[str]) -> tuple[list[RevisionFile], list[str]]:
    """The revisions that a database lacks whose alembic table has `applied`, and which of those have no file."""
    by_name = {name: file for file in files for name in (file.revision, *file.labels)}
    names = list(applied)
    unknown = [name for name in names if name not in by_name]
    done: set[str] = set()
    while names:
        file = by_name.get(names.pop())
        if file and file.revision not in done:
            done.add(file.revision)
            names += file.parents
    return [file for name, file in by_name.items() if name == file.revision and name not in done], unknown
