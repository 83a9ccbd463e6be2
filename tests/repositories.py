"""Git repositories with migrations and a contract: a branch `main`, the base, and a branch `feature` beside it."""

import json
import os
import shutil
import subprocess
import tempfile
import textwrap
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from data_contract_components.data_assets._query_postgres_helper import PostgresDB
from data_contract_components.detection._get_data_migration_changes import get_data_migration_changes
from data_contract_components.detection.migration_changes.changes import Place, SchemaChange
from data_contract_components.detection.migration_changes.comparison import MigrationComparison
from data_contract_components.errors import ComparisonError
from data_contract_components.settings import find_settings
from tests import (
    BINARIES,
    COMPONENTS,
    CONTRACTS,
    ENV_TEXT,
    MUSEUM,
    ROOT,
    VERSIONS,
    museum_project,
    read_data,
    start_server_until,
)

MODULE = "data_contract_components.detection._get_data_migration_changes"
ENV, CONFIG = VERSIONS.parent / "env.py", VERSIONS.parents[1] / "alembic.ini"
SEED = VERSIONS / "00e9b3375a5f_create_met_museum_seed_tables.py"
CONTRACT = CONTRACTS / "object_images_contract_spec.json"
# The chapter's new columns of object_images.
NEW_BLOCK = read_data("new_columns.txt")


def setUpModule() -> None:
    """One server for all tests of the module that imports this."""
    environment = {"DATABASE_URL": start_server_until(unittest.addModuleCleanup, BINARIES["18"])}
    environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    for role in ("AUTHOR", "COMMITTER"):
        environment |= {f"GIT_{role}_NAME": "Somebody", f"GIT_{role}_EMAIL": "somebody@museum.org"}
    unittest.enterModuleContext(mock.patch.dict(os.environ, environment))


def render_revision(revision: str, down_revision: str | None, body: str) -> str:
    text = f"import sqlalchemy as sa\nfrom alembic import context, op\n\nrevision = {revision!r}\n"
    text += f"down_revision = {down_revision!r}\n\n\ndef upgrade():\n"
    return text + textwrap.indent(textwrap.dedent(body).strip() or "pass", "    ") + "\n"


def render_change(change: SchemaChange) -> str:
    name = change.table_name + (f".{change.column_name}" if change.column_name else "")
    to = f" to {change.after}" if change.change == "renamed" else f" {change.key}" if change.key else ""
    return f"{name} {'' if change.is_certain else 'likely '}{change.change}{to}"


def place_of(change: SchemaChange) -> Place:
    assert change.place
    return change.place


class RepositoryTestCase(unittest.TestCase):
    """Each test has its own repository with `feature` checked out, and leaves no database behind."""

    def setUp(self) -> None:
        self.url = os.environ["DATABASE_URL"]
        directory = tempfile.mkdtemp(prefix="repository-")
        self.addCleanup(shutil.rmtree, directory)
        self.addCleanup(self.assert_nothing_is_left)
        self.root = Path(directory)
        for path in (SEED, CONTRACT):
            (self.root / path).parent.mkdir(parents=True)
            shutil.copy(MUSEUM / path, self.root / path)
        self.write(ENV, ENV_TEXT)
        shutil.copy(ROOT / CONFIG, self.root / CONFIG)
        self.git("init", "-q", "-b", "main")
        self.write(Path(".git/info/exclude"), "__pycache__/\n")
        self.commit()
        self.git("checkout", "-q", "-b", "feature")

    def assert_nothing_is_left(self) -> None:
        self.assertEqual(self.scratch_databases(), [])
        tables = PostgresDB(self.url).query("select relname from pg_class where relnamespace = 'public'::regnamespace")
        self.assertEqual(list(tables["relname"]), [])

    def scratch_databases(self) -> list[str]:
        return list(PostgresDB(self.url).query("select datname from pg_database where datname ~ 'scratch'")["datname"])

    def git(self, *arguments: str) -> str:
        command = ["git", *arguments]
        return subprocess.run(command, cwd=self.root, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self) -> str:
        self.git("add", "--all")
        self.git("commit", "-q", "--allow-empty", "-m", "A change")
        return self.git("rev-parse", "HEAD")

    def commit_to_main(self) -> None:
        """What is not committed yet becomes part of the base, and `feature` starts there."""
        self.git("checkout", "-q", "main")
        self.commit()
        self.git("checkout", "-q", "-B", "feature")

    def copy_project(self, *ignored: str) -> None:
        """The base has the whole package, with which its commands run."""
        ignore = shutil.ignore_patterns(*ignored)
        shutil.copytree(museum_project() / COMPONENTS, self.root / COMPONENTS, ignore=ignore, dirs_exist_ok=True)

    def read(self, path: Path) -> str:
        return (self.root / path).read_text()

    def write(self, path: Path, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def replace(self, path: Path, old: str, new: str) -> None:
        self.assertIn(old, self.read(path))
        self.write(path, self.read(path).replace(old, new))

    def replace_block(self) -> None:
        """The chapter's edit of the old revision."""
        text = self.read(SEED)
        start = text.rindex("        sa.Column(", 0, text.index('"primary_image",', text.index('"object_images",')))
        end = text.index("        sa.Column(", text.index('"additional_images",', start))
        self.write(SEED, text[:start] + NEW_BLOCK + text[end:])

    def write_revision(self, revision: str, body: str, down_revision: str | None = "00e9b3375a5f") -> Path:
        path = VERSIONS / f"{revision}_revision.py"
        self.write(path, render_revision(revision, down_revision, body))
        return path

    def line_of(self, path: Path, text: str) -> int:
        return self.read(path).split(text)[0].count("\n") + 1

    def write_contract(self, change: Callable[[Any], Any] = dict, path: Path = CONTRACT) -> None:
        """The contract of object_images, after `change` was called with it, is the file at `path`."""
        spec = json.loads((MUSEUM / CONTRACT).read_text())
        spec["spec-version"] = "1.1.0"
        change(spec)
        self.write(path, json.dumps(spec, indent=2))

    def compare(self) -> MigrationComparison:
        return get_data_migration_changes("main", find_settings(self.root))

    def rendered_changes(self) -> list[str]:
        return [render_change(change) for change in self.compare().changes]

    def comparison_error(self, base: str = "main", root: Path | None = None) -> str:
        """Why there is no comparison."""
        with self.assertRaises(ComparisonError) as caught:
            get_data_migration_changes(base, find_settings(root or self.root))
        return str(caught.exception)
