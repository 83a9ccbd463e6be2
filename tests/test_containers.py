"""Both compose files in real containers, which takes minutes where the images are not built yet.

Run only on request: COMPOSE="docker compose" DEVCONTAINER=devcontainer python -m unittest tests.test_containers
The second is the client of dev containers, @devcontainers/cli; without it, its tests are skipped.
"""

import contextlib
import json
import os
import shlex
import shutil
import socket
import subprocess
import tempfile
import unittest
from pathlib import Path
from typing import Any

from tests import ROOT, copy_repository, museum_project
from tests.test_docs import BLOCK, PAGES

COMPOSE = shlex.split(os.environ.get("COMPOSE", ""))
DEVCONTAINER = shlex.split(os.environ.get("DEVCONTAINER", ""))
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
        # As the terminal of an editor starts it; without a terminal, bash complains.
        shell = "bash -ic pwd 2> /dev/null"
        self.assertIn("RuntimeError: a broken migration\n", self.execute(shell))
        path = self.project / MIGRATION
        path.write_text((museum_project() / MIGRATION).read_text())
        self.execute("make seed && rm ~/etl/failed")
        self.assertEqual(self.execute(shell), "/workspace\n")


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

    def test_a_broken_migration_is_2_logged_and_in_the_report(self) -> None:
        self.break_migration()
        status, log = self.check()
        self.assertEqual(status, 2, log)
        self.assertIn("RuntimeError: a broken migration", log)
        report = self.read_report()
        self.assertEqual(report["outcome"], "could not check")
        self.assertIn("a broken migration", report["error"])


class TestAttached(unittest.TestCase):
    """What the dev container says when somebody opens it, without a container."""

    def setUp(self) -> None:
        self.home = Path(self.enterContext(tempfile.TemporaryDirectory()))
        (self.home / "etl").mkdir()

    def attach(self, opened: str, **environment: str) -> tuple[int, str]:
        result = subprocess.run(
            ["sh", str(ROOT / ".ci/attached"), opened],
            env={"PATH": os.environ["PATH"], "HOME": str(self.home)} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return result.returncode, result.stdout

    def test_it_says_that_the_database_is_filled_or_why_it_is_not(self) -> None:
        status, output = self.attach("/one/clone", CLONE="/one/clone")
        self.assertEqual((status, output.split(".")[0]), (0, "The database has the sample records"))
        (self.home / "etl/failed").write_text("a broken migration\n")
        self.assertEqual(self.attach("/one/clone", CLONE="/one/clone"), (0, "a broken migration\n"))

    def test_it_fails_in_the_container_of_another_clone(self) -> None:
        status, output = self.attach("/two/clone", CLONE="/one/clone")
        self.assertEqual(
            (status, output.splitlines()[0].split(":")[0]), (1, "This container belongs to another clone, /one/clone")
        )
        self.assertIn("into /two/clone/.env", output)

    def test_it_does_not_fail_where_the_clone_is_not_known(self) -> None:
        self.assertEqual(self.attach("/two/clone")[0], 0)
        self.assertEqual(self.attach("/two/clone", CLONE="/one/clone", CODESPACES="true")[0], 0)
        self.assertEqual(self.attach("${localWorkspaceFolder}", CLONE="/one/clone")[0], 0)


@unittest.skipUnless(COMPOSE and DEVCONTAINER, "COMPOSE and DEVCONTAINER do not say how to run containers")
class TestDevContainer(unittest.TestCase):
    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="devcontainer-"))
        self.addCleanup(shutil.rmtree, self.directory)
        self.directory.chmod(0o755)
        self.name = f"Clone {os.getpid()}"

    def make_clone(self, path: str) -> Path:
        clone = self.directory / path
        copy_repository(clone)
        script = """
            git init -q -b main && git config user.name A && git config user.email a@example.org
            git add . && git commit -q -m all
            chmod -R a+rwX .  # as the client may be another user
        """
        subprocess.run(["sh", "-ec", script], cwd=clone, check=True)
        self.addCleanup(self.take_down, clone)
        return clone

    def take_down(self, clone: Path, *options: str) -> None:
        command = [*COMPOSE, "down", "--volumes", *(options or ["--rmi=local"])]
        subprocess.run(command, cwd=clone, capture_output=True, check=True)

    def devcontainer(self, command: str, clone: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*DEVCONTAINER, command, "--workspace-folder", str(clone), *arguments],
            cwd=clone,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def up(self, clone: Path) -> str:
        """What the client prints; its last line names the container."""
        result = self.devcontainer("up", clone)
        self.assertEqual(result.returncode, 0, result.stdout)
        return result.stdout

    def execute(self, clone: Path, command: str) -> str:
        result = self.devcontainer("exec", clone, "bash", "-c", command)
        self.assertEqual(result.returncode, 0, result.stdout)
        return result.stdout

    def test_each_clone_gets_its_own_containers_while_the_usual_port_is_taken(self) -> None:
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", 5432))
            listener.listen()
            first, second = self.make_clone(f"one/{self.name}"), self.make_clone(f"one/{self.name} again")
            containers = {json.loads(self.up(clone).splitlines()[-1])["containerId"] for clone in (first, second)}
        self.assertEqual(len(containers), 2)
        self.execute(second, "touch new && git add new && git commit -q -m 'of the second'")
        self.assertTrue((second / "new").exists())
        self.assertEqual(self.execute(first, "git log --format=%s"), "all\n")
        for clone in (first, second):
            self.execute(clone, "make check")
        self.take_down(first, "--remove-orphans")
        self.assertIn("The database has the sample records.", self.up(first))
        self.execute(first, "make check")

    def test_a_clone_in_a_directory_of_the_same_name_is_not_given_the_others_container(self) -> None:
        first, second = self.make_clone(f"one/{self.name}"), self.make_clone(f"two/{self.name}")
        self.up(first)
        result = self.devcontainer("up", second)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn(f"This container belongs to another clone, {first}: both directories", result.stdout)
        with (second / ".env").open("w") as file:
            file.write(f"COMPOSE_PROJECT_NAME=another-name-{os.getpid()}\n")
        self.up(second)
        self.execute(second, "touch new")
        self.assertTrue((second / "new").exists())

    def test_a_broken_migration_is_named_in_the_container_to_fix_it_in(self) -> None:
        clone = self.make_clone(self.name)
        text = (clone / MIGRATION).read_text()
        (clone / MIGRATION).write_text(f"{text}\nraise RuntimeError('a broken migration')\n")
        self.assertIn("RuntimeError: a broken migration\n", self.up(clone))
        (clone / MIGRATION).write_text(text)
        self.execute(clone, "make seed && rm ~/etl/failed && make check")
