"""The package as others install it: a wheel, in the repository of a project of another shape."""

import functools
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
import zipfile
from pathlib import Path

import yaml

from data_contract_components.data_assets._embedded_postgres import stop_embedded_postgres
from tests import COMPONENTS, ROOT, RUN_DIRECTORY, museum_project, run_embedded_server
from tests.contracts import CHAPTERS_PATH

TESTS = "data_contract_components.prevention.test_data_contract_violations"
MUSEUMS = {
    "contract_definition/object_images_contract_spec.json",
    "data_assets/alembic.ini",
    "data_assets/db_migrations/__init__.py",
    "data_assets/db_migrations/env.py",
    "data_assets/db_migrations/raw_data/objects.json",
    "data_assets/db_migrations/raw_data/sample_vocabulary.json",
    "data_assets/db_migrations/script.py.mako",
    "data_assets/db_migrations/versions/00e9b3375a5f_create_met_museum_seed_tables.py",
}
SETTINGS = """
[tool.data_contracts]
contract_directory = "contracts"
url_variables = ["SHOP_DATABASE_URL"]
environment = { SHOP_DATABASE_URL = "postgresql+asyncpg://localhost/app" }
"""
CONTRACT = "contracts/shop.customers_contract_spec.json"
DROP = "migrations/versions/c0de_customers_lose_their_balance.py"
DROP_TEXT = """\
from alembic import op

revision = "c0de"
down_revision = "9a4b"


def upgrade():
    op.drop_column("customers", "balance", schema="shop")
"""
COMMANDS = (
    *("data_assets.migrate_db", "prevention.report", "detection._get_data_contract_specs"),
    *("detection.contract_coverage_detector", "detection.contract_violation_detector"),
    *("detection._get_data_migration_changes --base main", "detection.generate_contract_spec customers"),
    *("detection.contract_mutation_score", "data_assets.seed_db", "contract_definition.code_owners"),
    *("contract_definition.export_odcs", "contract_definition.import_odcs a.odcs.yaml"),
)


PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
OFFLINE = ["--no-deps", "--no-index", "--no-build-isolation"]


@functools.cache
def build_wheel() -> Path:
    directory = Path(tempfile.mkdtemp(prefix="wheel-", dir=RUN_DIRECTORY))
    # Of a copy, as setuptools writes beside what it builds.
    shutil.copytree(museum_project() / COMPONENTS, directory / "source" / COMPONENTS)
    shutil.copy(ROOT / "pyproject.toml", directory / "source")
    subprocess.run([*PIP, "wheel", *OFFLINE, "--wheel-dir", directory, directory / "source"], check=True)
    (wheel,) = directory.glob("*.whl")
    return wheel


@functools.cache
def install_wheel() -> Path:
    """The directory that has the installed package, and nothing that it needs."""
    wheel = build_wheel()
    directory = wheel.parent / "packages"
    subprocess.run([*PIP, "install", *OFFLINE, "--no-compile", "--target", directory, wheel], check=True)
    return directory


class ShopTestCase(unittest.TestCase):
    """Each test has its own repository, with the project's settings on the branch `main`, and its own server."""

    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="shop-", dir=RUN_DIRECTORY))
        self.addCleanup(self.remove)
        self.project = self.directory / "shop"
        shutil.copytree(ROOT / "tests/own_project", self.project)
        with (self.project / "pyproject.toml").open("a") as file:
            file.write(SETTINGS)
        (self.project / "contracts").mkdir()
        self.git("init", "--quiet", "--initial-branch=main")

    def remove(self) -> None:
        if (self.project / ".postgres").exists():
            stop_embedded_postgres(self.project / ".postgres")
        shutil.rmtree(self.directory)

    def git(self, *arguments: str) -> str:
        identity = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
        return subprocess.check_output(["git", *identity, *arguments], cwd=self.project, text=True).strip()

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message=a commit")

    def run_python(self, *arguments: str, directory: Path | None = None) -> tuple[int, str]:
        """The exit status and the output of what runs with the installed package alone."""
        environment = {name: value for name, value in os.environ.items() if not name.endswith("DATABASE_URL")}
        result = subprocess.run(
            [sys.executable, *arguments],
            cwd=directory or self.project,
            env=environment | {"PYTHONPATH": str(install_wheel())},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return result.returncode, result.stdout

    def run_command(self, command: str, *arguments: str, directory: Path | None = None) -> tuple[int, str]:
        return self.run_python("-m", *f"{COMPONENTS}.{command}".split(), *arguments, directory=directory)

    def make_contract(self) -> None:
        """The database is built, and `main` has the contract that describes its table of customers."""
        run_embedded_server(self.project)
        self.assertEqual(self.run_command("data_assets.migrate_db")[0], 0)
        owner = ("--owner-name=Shop", "--owner-email=shop@example.org")
        status, output = self.run_command(
            "detection.generate_contract_spec", "customers", "--schema=shop", *owner, f"--output={CONTRACT}"
        )
        self.assertEqual(status, 0, output)
        self.commit()

    def drop_column(self) -> None:
        """On the branch `feature`, a revision breaks the contract."""
        self.git("checkout", "--quiet", "-b", "feature")
        (self.project / DROP).write_text(DROP_TEXT)
        self.commit()


class TestPackage(ShopTestCase):
    def test_it_has_every_file_but_the_museums(self) -> None:
        components = museum_project() / COMPONENTS
        names = {path.relative_to(components).as_posix() for path in components.rglob("*.*")}
        names = {name for name in names if not name.endswith(".pyc")}
        found = {name.removeprefix(f"{COMPONENTS}/") for name in zipfile.ZipFile(build_wheel()).namelist()}
        self.assertEqual(names - found, MUSEUMS)
        self.assertEqual({name for name in found - names if ".dist-info/" not in name}, set())

    def test_it_checks_the_contracts_of_the_project_and_compares_them_with_the_base(self) -> None:
        self.make_contract()
        self.assertEqual(self.run_command("detection._get_data_contract_specs"), (0, "1 valid contract\n"))
        status, output = self.run_python("-m", "unittest", TESTS)
        self.assertEqual((status, output.splitlines()[-1]), (0, "OK"), output)
        self.assertNotIn("Warning", output)
        self.drop_column()
        self.assertEqual(self.run_command("data_assets.migrate_db")[0], 0)
        status, output = self.run_python("-m", "unittest", TESTS)
        self.assertEqual(status, 1)
        self.assertIn("Column 'balance' is defined in contract but missing from data catalog", output)
        status, output = self.run_command("prevention.report", "--base", "main")
        self.assertEqual(status, 1, output)
        self.assertIn("\n  shop.customers.balance was removed\n", output)
        self.assertIn(f"\n    broken by {DROP}:8\n", output)
        page = "prevention.report --from contract_report.json --format html"
        status, output = self.run_command(page)
        self.assertEqual(status, 0)
        for ending in ("css", "js"):
            text = (ROOT / COMPONENTS / f"prevention/renderings/report_page.{ending}").read_text()
            self.assertIn(text.splitlines()[0], output)

    def test_elsewhere_every_command_asks_for_settings(self) -> None:
        for command in COMMANDS:
            status, output = self.run_command(command, directory=self.directory)
            self.assertEqual(status, 2, command)
            self.assertIn("has [tool.data_contracts]\nWrite [tool.data_contracts] into ", output)
        status, output = self.run_python("-m", "unittest", TESTS, directory=self.directory)
        self.assertEqual(status, 1)
        self.assertIn("has [tool.data_contracts]\nWrite [tool.data_contracts] into ", output)
        self.assertIn("FAILED (errors=2)", output)

    def test_without_what_it_needs_it_prints_what_pip_is_to_install(self) -> None:
        for arguments in (
            f"{COMPONENTS}.detection.contract_violation_detector",
            f"{COMPONENTS}.data_assets.migrate_db",
        ):
            status, output = self.run_python("-S", "-m", arguments)
            self.assertEqual(status, 2, output)
            self.assertRegex(output, r"^the package \w+ is not installed for .*\nInstall what data-contracts-sandbox ")
            self.assertRegex(output, r" -m pip install '?alembic.*psycopg2-binary.*jinja2[^ ]*\n$")
        status, output = self.run_python("-S", "-m", "unittest", TESTS)
        self.assertEqual(status, 1)
        self.assertIn("\nInstall what data-contracts-sandbox needs: ", output)


class TestValidation(ShopTestCase):
    """The command of .pre-commit-hooks.yaml."""

    def validate(self, *paths: str) -> tuple[int, str]:
        (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
        self.assertFalse(hook["pass_filenames"])
        program, *arguments = hook["entry"].split()
        self.assertEqual(program, "python")
        return self.run_python(*arguments, *paths)

    def test_it_needs_no_database_and_finds_what_is_wrong_with_each_file_or_with_those_that_are_named(self) -> None:
        contract = CHAPTERS_PATH.read_text()
        for name in ("a", "b"):
            (self.project / f"contracts/{name}_contract_spec.json").write_text(contract)
        status, output = self.validate()
        self.assertEqual(status, 1)
        self.assertIn("another contract in this namespace, has the same name\n", output)
        self.assertEqual(self.validate("contracts/a_contract_spec.json"), (0, "1 valid contract\n"))
        broken = "contracts/b_contract_spec.json"
        (self.project / broken).write_text(contract.replace('"doc"', '"docs"', 1))
        status, output = self.validate("contracts/a_contract_spec.json", broken)
        self.assertEqual(status, 1)
        self.assertIn(f'{broken}:6: $.docs: unknown key "docs"; did you mean "doc"?\n', output)
        (self.project / broken).unlink()
        self.assertEqual(self.validate(), (0, "1 valid contract\n"))
        (self.project / "pyproject.toml").write_text(SETTINGS.replace("url_variables", "url_variable"))
        status, output = self.validate()
        self.assertEqual(status, 2)
        self.assertIn('Did you mean "url_variables"?', output)
        self.assertFalse((self.project / ".postgres").exists())
