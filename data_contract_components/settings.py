"""What a repository says about its contracts and migrations: [tool.data_contracts] in its pyproject.toml."""

from __future__ import annotations

import dataclasses
import functools
import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from data_contract_components.errors import SettingsError

TABLE = "[tool.data_contracts]"
CHECKOUT_DIRECTORY = Path(__file__).resolve().parents[1]
# The chapter's tree, and what `alembic init` makes.
CHAPTERS_CONFIG = "data_contract_components/data_assets/alembic.ini"
CHAPTERS_CONTRACTS = "data_contract_components/contract_definition"
SERVERS = (16, 18)
PATHS = ("contract_directory", "alembic_config", "before_migrations")


@dataclasses.dataclass(frozen=True)
class Settings:
    """Where a project has its contracts and migrations, and how the migrations are run.

    `root_directory` is the project's: the one with the settings, in which its migrations run. Paths are relative to it.
    `git_directory` is the one that has .git, or the root where there is none: git and GitHub name files from there.
    """

    root_directory: Path
    git_directory: Path
    contract_directory: str = CHAPTERS_CONTRACTS
    alembic_config: str = CHAPTERS_CONFIG
    alembic_section: str = "alembic"
    x_arguments: tuple[str, ...] = ()
    url_variables: tuple[str, ...] = ("DATABASE_URL",)
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    before_migrations: str = ""
    server: int = SERVERS[-1]

    @property
    def contracts(self) -> Path:
        return self.root_directory / self.contract_directory

    @property
    def alembic_arguments(self) -> dict[str, Any]:
        """The arguments of alembic's Config that are for this project. Raises: SettingsError."""
        path = self.root_directory / self.alembic_config
        toml_path = path if path.suffix == ".toml" else self.root_directory / "pyproject.toml"
        arguments: dict[str, Any] = {"file_": None if path == toml_path else str(path)}
        if "alembic" in _read_tool(toml_path):
            arguments["toml_file"] = str(toml_path)  # alembic 1.16 and later read it
        elif path.with_name("env.py").exists():  # where Flask-Migrate has them
            arguments["config_args"] = {"script_location": str(path.parent).replace("%", "%%")}
        return arguments | {"ini_section": self.alembic_section}

    def at(self, git_directory: Path) -> Settings:
        """The same settings for another checkout of the repository."""
        root_directory = git_directory / self.root_directory.relative_to(self.git_directory)
        return dataclasses.replace(self, root_directory=root_directory, git_directory=git_directory)


@functools.cache
def get_settings() -> Settings:
    """The settings for the working directory; elsewhere in a checkout of this project, those of the checkout.

    Raises: SettingsError.
    """
    settings = find_settings(Path.cwd())
    # An installed package has neither.
    if settings is None and any((CHECKOUT_DIRECTORY / name).exists() for name in ("pyproject.toml", CHAPTERS_CONFIG)):
        settings = find_settings(CHECKOUT_DIRECTORY)
    if settings is None:
        raise SettingsError(
            f"no pyproject.toml from {Path.cwd()} up to the repository's root has {TABLE}",
            f"Write {TABLE} into the one in the directory from which alembic is called; its keys are optional.",
        )
    return settings


def find_settings(directory: Path) -> Settings | None:
    """The settings that apply in `directory`: of it or the nearest directory above, within its git repository.

    Without any, those of the chapter's tree, if that is there. Raises: SettingsError.
    """
    directory = directory.resolve()
    above = [directory, *directory.parents]
    git_directory = next((path for path in above if (path / ".git").exists()), None)
    if git_directory:
        above = above[: above.index(git_directory) + 1]
    for path in above:
        table = _read_table(path / "pyproject.toml")
        if table is not None:
            return _check(path, git_directory or path, table)
    root = next((path for path in above if (path / CHAPTERS_CONFIG).exists()), None)
    return Settings(root, git_directory or root) if root else None


def _read_tool(path: Path) -> dict[str, Any]:
    """The table `tool` of a pyproject.toml; empty where there is none."""
    try:
        tool = tomllib.loads(path.read_text(encoding="utf-8")).get("tool")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path} cannot be read: {error}", "Correct it, and try again.") from error
    return tool if isinstance(tool, dict) else {}


def _read_table(path: Path) -> dict[str, Any] | None:
    """The settings in a pyproject.toml; None where it has none."""
    table = _read_tool(path).get("data_contracts")
    if table is not None and not isinstance(table, dict):
        raise SettingsError(f"{path}: tool.data_contracts is not a table", f"Write {TABLE} and its keys below it.")
    return table


def _check(root: Path, git_directory: Path, table: dict[str, Any]) -> Settings:
    """The settings of a table, with the defaults of a project of this shape; the paths that it names exist."""
    place = f"{root / 'pyproject.toml'}: {TABLE}"
    defaults = {field.name: field.default for field in dataclasses.fields(Settings)[2:]}
    for key, value in table.items():
        if key not in defaults:
            raise SettingsError(f'{place} has an unknown key "{key}"', _name_nearest(key, defaults))
        if expected := _find_expected(defaults[key], value):
            raise SettingsError(f"{place}: {key} is {value!r}", f"Write {expected}.")
    for key in PATHS:
        path = table.get(key)
        if key == "before_migrations" and path and not path.endswith(".sql"):
            continue  # a command
        if path and not (root / path).resolve().is_relative_to(git_directory):
            raise SettingsError(f'{place}: {key} "{path}" is outside of {git_directory}', "Name one in the repository.")
        if path and not (root / path).exists():
            beside = [*root.rglob(Path(path).name), *(root / path).parent.glob("*")]
            names = [found.relative_to(root).as_posix() for found in beside]
            # A project may have no contract yet.
            if key != "contract_directory" or get_close_matches(path, names):
                raise SettingsError(f'{place}: {key} "{path}" does not exist', _name_nearest(path, names))
    if not (root / CHAPTERS_CONFIG).exists():
        config = "alembic.ini" if (root / "alembic.ini").exists() else "pyproject.toml"
        table = {"contract_directory": "contracts", "alembic_config": config} | table
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
    return Settings(root, git_directory, **values)


def _find_expected(default: object, value: Any) -> str | None:
    """What is to be written in place of `value`, whose default is `default`; None if it is right."""
    if isinstance(default, int):
        return None if value in SERVERS else " or ".join(map(str, SERVERS))
    if isinstance(default, str):
        return None if isinstance(value, str) else 'a string: "…"'
    if isinstance(default, tuple):
        is_right = isinstance(value, list) and _are_strings(value) and (value or not default)
        return None if is_right else 'a list of strings: ["…"]'
    return None if isinstance(value, dict) and _are_strings(value.values()) else 'a table of strings: {NAME = "…"}'


def _are_strings(values: Iterable[object]) -> bool:
    return all(isinstance(value, str) for value in values)


def _name_nearest(name: str, known: Iterable[str]) -> str:
    names = list(dict.fromkeys(known))
    nearest = get_close_matches(name, names, n=1)
    return f'Did you mean "{nearest[0]}"?' if nearest else f"There is {', '.join(names[:12]) or 'nothing like it'}."
