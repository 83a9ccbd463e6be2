"""What `make` installs on a first run, and what it reports where it cannot."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib

from data_contract_components.data_assets._query_postgres_helper import database_url
from data_contract_components.missing_packages import PACKAGES
from tests import CONTRACT_TESTS, ROOT, ProjectTestCase

PYTHON = os.path.realpath(sys.executable)
OLD_PYTHON = "#!/bin/sh\n[ $1 = --version ] && echo Python 3.9.2 || exit 1\n"
WITHOUT_ENSUREPIP = f'#!/bin/sh\n[ "$2" = "import ensurepip, venv" ] && exit 1 || exec {PYTHON} "$@"\n'
# `make test` sets them for the tests.
OF_ANOTHER_MAKE = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")
WAYS_TO_TYPE_A_SCRIPT = (
    (".", "data_contract_components/data_assets/seed_db.py"),
    ("data_contract_components/data_assets", "seed_db.py"),
    ("/", "{project}/data_contract_components/data_assets/seed_db.py"),
)


class TestInstall(ProjectTestCase):
    def setUp(self) -> None:
        super().setUp()
        shutil.copytree(ROOT / ".ci", self.project / ".ci")
        for name in ("Makefile", "pyproject.toml", "requirements.txt", "requirements-dev.txt"):
            shutil.copy(ROOT / name, self.project)

    def make(self, target: str, python: str = PYTHON, **environment: str) -> tuple[int, str]:
        result = subprocess.run(
            ["make", target, "VENV=.venv", f"PYTHON={python}"],
            cwd=self.project,
            env={name: value for name, value in os.environ.items() if name not in OF_ANOTHER_MAKE} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return result.returncode, result.stdout

    def write_program(self, name: str, text: str) -> str:
        path = self.project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
        return str(path)

    def test_a_package_index_that_cannot_be_reached_is_reported_with_the_way_out(self) -> None:
        offline = {
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_FIND_LINKS": "",
            "PIP_INDEX_URL": "https://127.0.0.1:1/simple",
            "PIP_RETRIES": "1",
        }
        for _ in "12":
            status, output = self.make("environment", **offline)
            self.assertEqual(status, 2)
            self.assertIn("\ncannot reach the package index\nConnect to the network, ", output)
            self.assertLess(len(output.splitlines()), 7, output)

    def test_a_python_that_is_too_old_or_has_no_ensurepip_is_named(self) -> None:
        old = self.write_program("python3.9", OLD_PYTHON)
        status, output = self.make("environment", old)
        self.assertEqual(status, 2)
        self.assertIn(f"{old} is Python 3.9.2, and 3.11 or newer is needed\nName a newer Python: make", output)
        status, output = self.make("environment", self.write_program("python", WITHOUT_ENSUREPIP))
        self.assertEqual(status, 2)
        self.assertIn("its module ensurepip is missing\nInstall it (on Debian and Ubuntu: apt install", output)
        self.assertFalse((self.project / ".venv").exists())
        for name in ("python", "pip"):
            self.write_program(f".venv/bin/{name}", OLD_PYTHON)
        status, output = self.make("environment")
        self.assertEqual(status, 2)
        self.assertIn(".venv was created with Python 3.9.2, and 3.11 or newer is needed\nRemove it", output)

    def test_what_is_recorded_as_installed_is_kept_until_pyproject_changes_it(self) -> None:
        (self.project / ".venv").mkdir()
        recorded = (self.project / "pyproject.toml").read_text().partition("[tool.")[0]
        recorded += "".join(path.read_text() for path in sorted(self.project.glob("requirements*.txt")))
        (self.project / ".venv/environment.installed").write_text(recorded)
        self.assertEqual(self.make("environment"), (0, ""))
        path = self.project / "pyproject.toml"
        path.write_text(path.read_text().replace("line-length = 120", "line-length = 100"))
        self.assertEqual(self.make("environment"), (0, ""))
        path.write_text(path.read_text().replace("pandas>=", "pandas>"))
        self.assertEqual(self.make("environment", "nosuch")[0], 2)

    def test_the_commands_run_as_scripts_from_every_directory(self) -> None:
        environment = self.project / ".venv"
        subprocess.run([PYTHON, "-m", "venv", environment], check=True)
        # The packages of this Python, in place of a download.
        (site_packages,) = environment.glob("lib/python*/site-packages")
        (site_packages / "packages.pth").write_text(sysconfig.get_path("purelib"))
        python = str(environment / "bin/python")
        subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", "-e", "."], cwd=self.project, check=True)
        variables = os.environ | {"DATABASE_URL": database_url()}
        for directory, script in WAYS_TO_TYPE_A_SCRIPT:
            with self.subTest(directory):
                result = subprocess.run(
                    [python, script.format(project=self.project), "nosuch.json"],
                    cwd=self.project / directory,
                    env=variables,
                    capture_output=True,
                    text=True,
                )
                self.assertEqual(result.returncode, 2, result.stderr)
                self.assertRegex(result.stderr, "the database lacks object.object_id|nosuch.json")


class TestMissingPackages(ProjectTestCase):
    def run_without_packages(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [PYTHON, "-S", "-m", *arguments]
        return subprocess.run(command, cwd=self.project, env={"PATH": os.defpath}, capture_output=True, text=True)

    def test_a_command_prints_how_to_activate_the_virtual_environment_and_ends_with_2(self) -> None:
        modules = ("contract_definition.export_odcs", "data_assets.seed_db", "detection.contract_violation_detector")
        for module in (*modules, "prevention.report"):
            result = self.run_without_packages(f"data_contract_components.{module}")
            self.assertEqual(result.returncode, 2, result.stderr)
            self.assertIn("\nActivate the virtual environment, in ", result.stdout + result.stderr)
            self.assertNotIn("Traceback", result.stderr)

    def test_so_do_the_contract_tests(self) -> None:
        result = self.run_without_packages("unittest", CONTRACT_TESTS)
        self.assertIn("\nActivate the virtual environment, in ", result.stderr)
        self.assertIn("FAILED (errors=1)", result.stderr)

    def test_each_package_that_the_project_depends_on_is_known(self) -> None:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        extras = project["optional-dependencies"]
        requirements = project["dependencies"] + extras["odcs"] + extras["render"]
        names = {re.split("[<>=~]", requirement)[0].removesuffix("-binary") for requirement in requirements}
        self.assertEqual({name.replace("-", "_").replace("pyyaml", "yaml") for name in names}, PACKAGES)
