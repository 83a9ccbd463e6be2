"""A hint in place of "No module named 'pandas'". Each component imports this first; it needs no package."""

import contextlib
import shlex
import sys
from importlib import metadata
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import TracebackType

from data_contract_components.errors import DataContractError

PACKAGES = {
    *(
        "alembic",
        "codeowners",
        "jinja2",
        "jsonschema_rs",
        "pandas",
        "psycopg2",
        "requests",
        "sqlalchemy",
        "tqdm",
        "yaml",
    )
}
EXTRAS = ("", 'extra == "odcs"', 'extra == "render"')


class MissingPackageError(DataContractError, ModuleNotFoundError):
    """A package that pyproject.toml names is not installed for this Python."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the package {name} is not installed for {sys.executable}\n{_find_way_out()}", name=name)


def _find_way_out() -> str:
    """In a checkout, its virtual environment; elsewhere, what pip is to install, as this package's metadata say."""
    requirements: list[str] = []
    if not (Path(__file__).resolve().parents[1] / "pyproject.toml").exists():
        with contextlib.suppress(metadata.PackageNotFoundError):
            requirements = metadata.requires("data-contracts-sandbox") or []
    names = [name for name, _, extra in (line.partition("; ") for line in requirements) if extra in EXTRAS]
    if names:
        command = shlex.join([sys.executable, "-m", "pip", "install", *names])
        return f"Install what data-contracts-sandbox needs: {command}"
    return (
        "Activate the virtual environment, in the repository's directory: . .venv/bin/activate\n"
        "If there is none: make check"
    )


class MissingPackageFinder(MetaPathFinder):
    """The last of Python's finders, which is called for what the others have not found."""

    def find_spec(self, fullname: str, *_: object) -> None:
        if fullname in PACKAGES:
            raise MissingPackageError(fullname)


def print_and_exit(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """An excepthook: a command that lacks a package prints the hint alone, and ends with 2 (could not check)."""
    if isinstance(error, MissingPackageError):
        print(error, file=sys.stderr)
        sys.exit(2)
    sys.__excepthook__(kind, error, traceback)


sys.meta_path.append(MissingPackageFinder())
sys.excepthook = print_and_exit
