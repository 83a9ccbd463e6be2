import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
import unittest
from pathlib import Path
from unittest import mock

from data_contract_components.data_assets._embedded_postgres import stop_embedded_postgres
from data_contract_components.data_assets._query_postgres_helper import PostgresDB
from data_contract_components.detection._get_data_migration_changes import get_data_migration_changes
from data_contract_components.detection.migration_changes.comparison import MigrationComparison
from data_contract_components.errors import ComparisonError
from data_contract_components.settings import find_settings
from tests import ENV_TEXT, ROOT, read_data, run
from tests.repositories import render_change, render_revision, setUpModule

__all__ = ["setUpModule"]

SETTINGS = """
[tool.data_contracts]
url_variables = ["SHOP_DATABASE_URL"]
"""
MIGRATE = "data_contract_components.data_assets.migrate_db"
CONTRACT_TESTS = ["unittest", "data_contract_components.prevention.test_data_contract_violations"]
RECORD_IMPORT = "from data_contract_components.data_assets._applied_revisions import record_applied_revisions\n"


class ProjectTestCase(unittest.TestCase):
    """A git repository with a branch `main`, the base, and `feature`, which is checked out."""

    def setUp(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="project-")).resolve()
        self.addCleanup(shutil.rmtree, self.root)
        self.project = self.root
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=self.root, check=True, capture_output=True)

    def commit_to_main(self) -> None:
        self.git("add", "--all")
        self.git("commit", "-q", "-m", "A change")
        self.git("checkout", "-q", "-B", "feature")

    def write(self, path: str, text: str) -> None:
        (self.project / path).parent.mkdir(parents=True, exist_ok=True)
        (self.project / path).write_text(text)

    def replace(self, path: str, old: str, new: str) -> None:
        text = (self.project / path).read_text()
        self.assertIn(old, text)
        self.write(path, text.replace(old, new))

    def compare(self) -> MigrationComparison:
        return get_data_migration_changes("main", find_settings(self.project))

    def find_changes(self) -> list[str]:
        """Each change, with file and line."""
        return [
            f"{render_change(change)} {change.place.path}:{change.place.line}"
            for change in self.compare().changes
            if change.place
        ]


class TestShop(ProjectTestCase):
    """Async env.py with asyncpg, schema `shop`, which also has alembic's table, and three branches with labels."""

    def setUp(self) -> None:
        super().setUp()
        shutil.copytree(ROOT / "tests/own_project", self.root, dirs_exist_ok=True)
        self.commit_to_main()
        with (self.root / "pyproject.toml").open("a") as file:
            file.write(SETTINGS)
        self.database = PostgresDB(os.environ["DATABASE_URL"])
        self.database.query("create database app")
        self.addCleanup(self.database.query, "drop database app with (force)")
        url = os.environ["DATABASE_URL"].replace("/postgres?", "/app?")
        self.app = PostgresDB(url)
        own_url = url.replace("postgresql:", "postgresql+asyncpg:")
        self.enterContext(mock.patch.dict(os.environ, {"SHOP_DATABASE_URL": own_url, "PYTHONPATH": str(ROOT)}))

    def write_drop(self, revision: str = "d", down_revision: str = "9a4b") -> None:
        body = 'op.drop_column("customers", "balance", schema="shop")'
        self.write(f"migrations/versions/{revision}.py", render_revision(revision, down_revision, body))

    def run_contract_tests(self) -> str:
        return run(CONTRACT_TESTS, self.root).stdout

    def test_a_dropped_column_has_file_and_line_where_the_base_has_no_settings(self) -> None:
        self.write_drop()
        self.assertEqual(self.find_changes(), ["customers.balance removed migrations/versions/d.py:9"])

    def test_a_branch_may_merge_the_heads_of_its_base_and_edit_a_model(self) -> None:
        self.replace("shop/models.py", "Numeric(12, 2)", "Numeric(13, 2)")
        merge = render_revision("m", None, "").replace("= None", "= ('8e20', '9a4b')")
        self.write("migrations/versions/m.py", merge)
        self.assertEqual(self.find_changes(), [])
        self.write_drop("d", "m")
        self.assertEqual(self.find_changes(), ["customers.balance removed migrations/versions/d.py:9"])

    def test_its_contracts_are_checked_once_its_database_is_up_to_date(self) -> None:
        self.assertEqual(run([MIGRATE], self.root, check=True).stdout.count("every revision is applied to"), 1)
        command = ["data_contract_components.detection.generate_contract_spec", "customers", "--schema", "shop"]
        run([*command, "--owner-name", "Sales", "--owner-email", "sales@shop.org"], self.root, check=True)
        self.assertIn("Ran 2 tests", output := self.run_contract_tests())
        self.assertIn("\nOK", output)
        self.write_drop()
        self.assertIn("versions/d.py, revision d, has not been applied", output := self.run_contract_tests())
        self.assertIn(f"  python -m {MIGRATE}\n", output)
        run([MIGRATE], self.root, check=True)
        self.assertIn("Column 'balance' is defined in contract but missing", self.run_contract_tests())
        (self.root / "migrations/versions/d.py").unlink()
        self.assertIn("it is at revision d, which no file of this checkout has", output := self.run_contract_tests())
        self.assertNotIn("has not been applied", output)
        self.assertIn("is at a revision that no file of this checkout has", run([MIGRATE], self.root).stdout)
        for text, message in (
            ("revision = (", "versions/e.py:1: '(' was never closed"),
            ("revision = '9a4b'", "are both"),
        ):
            self.write("migrations/versions/e.py", text)
            self.assertIn(message, self.run_contract_tests())

    def test_the_embedded_database_is_built_again(self) -> None:
        self.addCleanup(stop_embedded_postgres, self.root / ".postgres")
        del os.environ["SHOP_DATABASE_URL"]
        with (self.root / "pyproject.toml").open("a") as file:
            file.write('environment = { SHOP_DATABASE_URL = "postgresql+asyncpg://localhost/app" }\n')
        self.write_drop()
        run([MIGRATE], self.root, check=True)
        (self.root / "migrations/versions/d.py").unlink()
        result = run([MIGRATE, "--rebuild"], self.root, check=True)
        self.assertIn("every revision is applied to the embedded PostgreSQL", result.stdout)
        self.assertEqual(self.find_changes(), [])

    def test_every_command_works_in_a_directory_of_the_project(self) -> None:
        self.replace("alembic.ini", "%(here)s/", "")
        run([MIGRATE], self.root / "shop", check=True)
        command = ["data_contract_components.detection.generate_contract_spec", "customers", "--schema", "shop"]
        run([*command, "--owner-name", "Sales", "--owner-email", "sales@shop.org"], self.root / "shop", check=True)
        self.assertIn("\nOK", run(CONTRACT_TESTS, self.root / "shop").stdout)

    def test_one_line_in_its_env_py_makes_an_edited_revision_visible(self) -> None:
        self.replace("migrations/env.py", "import asyncio\n", f"import asyncio\n\n{RECORD_IMPORT}")
        self.replace(
            "migrations/env.py",
            "include_schemas=True,",
            "include_schemas=True, on_version_apply=record_applied_revisions,",
        )
        run([MIGRATE], self.root, check=True)
        command = ["data_contract_components.detection.generate_contract_spec", "customers", "--schema", "shop"]
        run([*command, "--owner-name", "Sales", "--owner-email", "sales@shop.org"], self.root, check=True)
        self.assertNotIn("origin is not known", output := self.run_contract_tests())
        self.assertIn("\nOK", output)
        self.replace("migrations/versions/9a4b_customer_since.py", "last_order_at", "last_bought_at")
        self.assertIn("9a4b_customer_since.py was edited after it had been applied", self.run_contract_tests())

    def test_another_database_is_refused_also_when_the_checked_one_is_migrated(self) -> None:
        self.replace("shop/settings.py", 'os.environ.get("SHOP_DATABASE_URL", ', "str(")
        self.replace("shop/settings.py", "postgresql+asyncpg://localhost/app", os.environ["DATABASE_URL"])
        self.replace("shop/settings.py", "postgresql://", "postgresql+asyncpg://")
        result = run([MIGRATE], self.root)
        self.assertEqual(result.returncode, 2)
        self.assertIn('opens a connection to the database "postgres", and not to PostgreSQL at host', result.stdout)
        self.assertEqual(
            list(self.database.query("select to_regnamespace('shop')::text as name")["name"].isna()), [True]
        )


class TestMuseum(ProjectTestCase):
    """A project below the repository's root, with as many settings of alembic and of ours as one can have."""

    def setUp(self) -> None:
        super().setUp()
        self.project = self.root / "backend"
        self.write(
            "config/alembic.ini",
            "[museum]\nscript_location = alembic\nprepend_sys_path = lib\npath_separator = os\n"
            "version_locations = alembic/old:alembic/new\nrecursive_version_locations = true\n",
        )
        self.write("lib/names.py", 'TABLE_OF_VERSIONS = "applied"\n')
        self.write("alembic/env.py", read_data("own_env.txt"))
        self.write(
            "alembic/old/2020/a.py", render_revision("a", None, 'op.add_column("objects", sa.Column("title", sa.Text))')
        )
        body = 'assert op.get_context().opts["is_museum"]\nwith op.get_context().autocommit_block():\n'
        body += '    op.execute("create index concurrently titles on objects (title)")'
        self.write("alembic/new/b.py", render_revision("b", "a", body))
        # As pg_dump writes it.
        self.write("dump.sql", "\\restrict x\ncreate schema museum;\ncreate table objects (id int);\n\\unrestrict x\n")
        self.write("contracts/README.md", "")
        self.write(
            "pyproject.toml",
            '[tool.data_contracts]\nalembic_config = "config/alembic.ini"\nalembic_section = "museum"\n'
            'x_arguments = ["tenant=museum"]\nbefore_migrations = "dump.sql"\n'
            "[tool.data_contracts.environment]\n"
            'DB_HOST = "{host}"\nDB_PORT = "{port}"\nDB_USER = "{user}"\nDB_NAME = "{database}"\n',
        )
        self.commit_to_main()

    def test_a_change_is_found_and_nothing_is_written_into_the_working_tree(self) -> None:
        home = Path(tempfile.mkdtemp(dir=self.root / ".git"))
        self.enterContext(mock.patch.dict(os.environ, HOME=str(home)))
        self.write("alembic/new/c.py", render_revision("c", "b", 'op.drop_column("objects", "title")'))
        self.assertEqual(self.find_changes(), ["objects.title removed backend/alembic/new/c.py:9"])
        self.assertEqual(list(self.root.rglob("*.csv")), [])
        self.assertEqual(list(home.iterdir()), [])

    def test_a_changed_beginning_is_a_change_of_the_tables(self) -> None:
        self.replace("dump.sql", "id int", "id bigint")
        (change, *_) = self.compare().changes
        self.assertEqual((render_change(change), change.place), ("objects.id changed data_type", None))

    def test_the_base_may_lack_the_settings_and_the_beginning(self) -> None:
        self.git("checkout", "-q", "-B", "main")
        self.git("rm", "-q", "backend/dump.sql", "backend/pyproject.toml")
        self.git("commit", "-q", "-m", "Before the check")
        self.git("checkout", "-q", "-B", "feature")
        self.git("checkout", "-q", "HEAD~", "backend")
        self.assertEqual(self.find_changes(), [])
        self.write("alembic/new/c.py", render_revision("c", "b", 'op.drop_column("objects", "title")'))
        self.assertEqual(self.find_changes(), ["objects.title removed backend/alembic/new/c.py:9"])

    def test_a_command_may_build_what_the_history_begins_on(self) -> None:
        self.write(
            "build.py",
            "import os, psycopg2\nconnection = psycopg2.connect('')\nwith connection, connection.cursor() as cursor:\n"
            "    assert os.environ['DB_NAME'] == os.environ['PGDATABASE']\n"
            "    cursor.execute('create table objects (id int)')\n",
        )
        self.replace("pyproject.toml", '"dump.sql"', f"'\"{sys.executable}\" build.py'")
        self.write("alembic/new/c.py", render_revision("c", "b", 'op.drop_column("objects", "title")'))
        self.assertEqual(self.find_changes(), ["objects.title removed backend/alembic/new/c.py:9"])
        self.replace("pyproject.toml", "build.py", "missing.py")
        with self.assertRaisesRegex(ComparisonError, "before_migrations, .* ended with status 2"):
            self.compare()


class TestFlask(ProjectTestCase):
    def test_flask_migrate_runs_in_the_context_of_the_application_with_its_configuration(self) -> None:
        self.write("shop_app.py", read_data("flask_app.txt"))
        self.write("migrations/alembic.ini", "[alembic]\n")
        self.write("migrations/env.py", read_data("flask_env.txt"))
        self.write(
            "migrations/own_versions/a.py", render_revision("a", None, 'op.create_table("t", sa.Column("x", sa.Text))')
        )
        self.commit_to_main()
        self.write(
            "pyproject.toml",
            '[tool.data_contracts]\nalembic_config = "migrations/alembic.ini"\n'
            'environment = { FLASK_APP = "shop_app:create_app" }\n',
        )
        self.write(
            "migrations/own_versions/b.py", render_revision("b", "a", 'op.add_column("t", sa.Column("y", sa.Text))')
        )
        self.assertEqual(self.find_changes(), ["t.y added migrations/own_versions/b.py:9"])


class TestOldestVersions(ProjectTestCase):
    def test_the_oldest_sqlalchemy_and_alembic_that_pyproject_allows_run_the_migrations(self) -> None:
        dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
        bounds = [
            text.partition(",")[0].replace(">=", "==")
            for text in dependencies
            if text.startswith(("sqlalchemy", "alembic"))
        ]
        command = [sys.executable, "-m", "pip", "install", "-q", "--target", self.root / ".git/oldest", *bounds]
        subprocess.run(command, check=True, capture_output=True)
        self.write(
            "alembic.ini", "[alembic]\nscript_location = migrations\nsqlalchemy.url = postgresql+psycopg2://prod/app\n"
        )
        self.write("migrations/env.py", ENV_TEXT)
        self.write(
            "migrations/versions/a.py",
            render_revision("a", None, 'op.create_table("t", sa.Column("x", sa.Text), sa.Column("y", sa.Text))'),
        )
        self.commit_to_main()
        self.write("pyproject.toml", "[tool.data_contracts]\n")
        self.write("contracts/README.md", "")
        self.write("migrations/versions/b.py", render_revision("b", "a", 'op.drop_column("t", "x")'))
        path = f"{self.root / '.git/oldest'}:{ROOT}"
        command = ["data_contract_components.detection._get_data_migration_changes", "--base", "main"]
        result = run(command, self.root, os.environ["DATABASE_URL"], PYTHONPATH=path)
        self.assertIn("public.t.x was removed (b.py:9)", result.stdout)
