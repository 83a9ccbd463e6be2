"""Both compose files in real containers, which takes minutes where the images are not built yet.

Run only on request: COMPOSE="docker compose" python -m unittest tests.test_containers
"""

import json
import os
import shlex
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path
from typing import Any

from tests import copy_repository
from tests.test_docs import BLOCK, PAGES

COMPOSE = shlex.split(os.environ.get("COMPOSE", ""))
MIGRATION = "data_contract_components/data_assets/db_migrations/versions/00e9b3375a5f_create_met_museum_seed_tables.py"


@unittest.skipUnless(COMPOSE, "COMPOSE does not say how to run containers")
class ContainerTestCase(unittest.TestCase):
    file = ""

    def setUp(self) -> None:
        self.project = Path(tempfile.mkdtemp(prefix="containers-")) / "project"
        self.addCleanup(shutil.rmtree, self.project.parent)
        self.project.parent.chmod(0o755)
        copy_repository(self.project)
        self.files = self.list_files()
        self.addCleanup(self.compose, "down", "--volumes", "--rmi=local")

    def list_files(self) -> list[Path]:
        return sorted(self.project.rglob("*"))

    def compose(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        # A name of its own, so that no other sandbox is taken down.
        environment = os.environ | {"COMPOSE_PROJECT_NAME": f"tests-{os.getpid()}", "POSTGRES_PORT": "0"}
        return subprocess.run(
            [*COMPOSE, "-f", self.file, *arguments],
            cwd=self.project,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def break_migration(self) -> None:
        with (self.project / MIGRATION).open("a") as file:
            file.write("\nraise RuntimeError('a broken migration')\n")


class TestSandbox(ContainerTestCase):
    file = "docker-compose.yml"

    def execute(self, command: str) -> str:
        result = self.compose("exec", "-T", "devcontainer", "bash", "-c", command)
        self.assertEqual(result.returncode, 0, result.stdout)
        return result.stdout

    def test_it_comes_up_seeded_and_the_chapters_commands_work_in_it(self) -> None:
        result = self.compose("up", "--build", "--wait")
        self.assertEqual(result.returncode, 0, result.stdout)
        self.assertNotEqual(self.execute("id -u"), "0\n")
        self.execute("python -m data_contract_components.data_assets.seed_db --check")
        self.execute("jupyter nbconvert --to notebook --execute --stdout run_sql_queries_here.ipynb")
        self.execute("cd ~/../workspace/data_contract_components/data_assets && alembic downgrade base")
        self.execute("make check")
        self.assertEqual(self.list_files(), self.files)

    def test_a_broken_migration_is_logged_and_the_container_to_fix_it_in_runs(self) -> None:
        self.break_migration()
        self.assertNotEqual(self.compose("up", "--build", "--wait").returncode, 0)
        self.assertIn("a broken migration", self.compose("logs", "etl").stdout)
        self.assertEqual(self.execute("pwd"), "/workspace\n")


class TestTest(ContainerTestCase):
    file = "docker-compose.test.yml"

    def check(self) -> tuple[int, str]:
        """The exit status, and the log that the container wrote."""
        status = self.compose("up", "--build", "--exit-code-from", "devcontainer").returncode
        self.assertEqual(self.list_files(), self.files)
        self.compose("cp", "devcontainer:/workspace/test_output.log", ".")
        return status, (self.project / "test_output.log").read_text()

    def read_report(self) -> Any:
        for name in ("contract_report.json", "contract_report.html"):
            self.compose("cp", f"devcontainer:/workspace/{name}", ".")
        self.assertIn("<html", (self.project / "contract_report.html").read_text())
        return json.loads((self.project / "contract_report.json").read_text())

    def test_kept_contracts_are_0(self) -> None:
        status, log = self.check()
        self.assertEqual((status, log.splitlines()[-1]), (0, "OK"), log)
        self.assertEqual(self.read_report()["outcome"], "passed")

    def test_the_chapters_edit_is_1(self) -> None:
        old, new = (match["text"] for match in list(BLOCK.finditer(PAGES["docs/tutorial.md"]))[2:4])
        path = self.project / MIGRATION
        path.write_text(path.read_text().replace(old, new))
        status, log = self.check()
        self.assertEqual((status, log.splitlines()[-1]), (1, "FAILED (failures=1)"), log)
        self.assertEqual(self.read_report()["outcome"], "violations")

    def test_a_broken_migration_is_2_and_logged_in_place_of_violations(self) -> None:
        self.break_migration()
        status, log = self.check()
        self.assertEqual((status, log.splitlines()[-1]), (2, "RuntimeError: a broken migration"), log)
