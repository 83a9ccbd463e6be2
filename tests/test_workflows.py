"""The files that GitHub, Docker and VS Code read, each checked as that program does."""

import json
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
import unittest
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import jsonschema_rs
import yaml
from check_jsonschema import main as check_jsonschema  # type: ignore[import-untyped]
from click.testing import CliRunner

from data_contract_components.contract_definition.spec_problems import SCHEMA_DIRECTORY, find_spec_problems
from tests import CONTRACT_TESTS, ROOT, SHARED_DIRECTORY, ProjectTestCase
from tests.contracts import chapters_spec

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
DEVCONTAINER_PATH = ROOT / ".devcontainer.json"
DEVCONTAINER_SCHEMA_PATH = SHARED_DIRECTORY / "schemas/devContainer.base.schema.json"
PATH = f"{sysconfig.get_path('scripts')}:{os.environ['PATH']}"
# In place of `docker compose`; the test's variables decide what it does.
DOCKER = """#!/bin/sh
case $2 in
    build) echo 'no matching distribution'; exit $BUILD_STATUS ;;
    up) echo 'dependency failed to start'; exit $UP_STATUS ;;
    cp) case " $FILES " in *" ${3##*/} "*) echo copied > "${3##*/}" ;; *) exit 1 ;; esac ;;
esac
"""


def vscode_settings() -> Any:
    return json.loads(DEVCONTAINER_PATH.read_text())["customizations"]["vscode"]["settings"]


class TestForms(unittest.TestCase):
    def test_each_has_the_form_that_its_reader_demands(self) -> None:
        for schema, paths in (
            ("--builtin-schema=vendor.github-workflows", WORKFLOWS),
            ("--builtin-schema=vendor.dependabot", [ROOT / ".github/dependabot.yml"]),
            ("--builtin-schema=vendor.compose-spec", sorted(ROOT.glob("docker-compose*.yml"))),
            (f"--schemafile={DEVCONTAINER_SCHEMA_PATH}", [DEVCONTAINER_PATH]),
        ):
            with self.subTest(schema):
                if schema.startswith("--schemafile") and not DEVCONTAINER_SCHEMA_PATH.exists():
                    self.skipTest("the schema is not beside this repository")
                self.assertTrue(paths)
                # In this process, as its import takes seconds.
                result = CliRunner().invoke(check_jsonschema, [schema, *map(str, paths)])
                self.assertEqual(result.exit_code, 0, result.output)

    def test_nothing_in_the_workflows_can_be_misused(self) -> None:
        zizmor = f"{sysconfig.get_path('scripts')}/zizmor"
        command = [zizmor, "--offline", "--persona=auditor", "--no-progress", str(ROOT / ".github")]
        result = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        for path in WORKFLOWS:
            self.assertIn(f"completed {path}", result.stderr)


class TestDevContainer(unittest.TestCase):
    def test_its_settings_find_the_contract_tests(self) -> None:
        arguments = vscode_settings()["python.testing.unittestArgs"]
        directory, pattern = (arguments[arguments.index(option) + 1] for option in ("-s", "-p"))
        paths = list((ROOT / directory).glob(pattern))
        self.assertEqual([str(path.relative_to(ROOT)) for path in paths], [CONTRACT_TESTS])

    def test_its_schema_holds_a_contract_to_the_rules_of_its_version(self) -> None:
        (mapping,) = vscode_settings()["json.schemas"]
        path = (ROOT / mapping["url"]).resolve()
        self.assertEqual(path.parent, SCHEMA_DIRECTORY)
        validator = jsonschema_rs.validator_for(
            json.loads(path.read_text()),
            base_uri=path.as_uri(),
            # Its own does not read a file: URI with a blank in it.
            retriever=lambda uri: json.loads(Path(url2pathname(urlsplit(uri).path)).read_text()),
        )
        spec = chapters_spec()
        consumer = {"name": "Data Science", "role": "reader", "reason": "trains a model"}
        of_any_database = {key: value for key, value in spec["schema"].items() if key != "table_catalog"}
        for version in ("1.0.0", "1.1.0", "1.2.0", "2.0.0"):
            for other_keys in ({}, {"consumers": [consumer]}, {"schema": of_any_database}):
                case = spec | {"spec-version": version} | other_keys
                with self.subTest(version=version, **other_keys):
                    self.assertEqual(validator.is_valid(case), find_spec_problems(case) == [])


class TestRunner(unittest.TestCase):
    def test_what_runs_outside_the_containers_needs_only_what_the_job_installs(self) -> None:
        absent = ("alembic", "jsonschema_rs", "pandas", "psycopg2", "sqlalchemy", "tqdm")
        for module in ("report", "post_pull_request_comment", "post_fork_comment"):
            code = f"import sys; sys.modules |= dict.fromkeys({absent + ('requests',) * (module == 'report')})\n"
            code += f"import data_contract_components.prevention.{module}"
            result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
            self.assertEqual((result.returncode, result.stderr), (0, ""))

    def test_steps_with_a_token_install_pinned_and_hashed_packages(self) -> None:
        (path,) = (ROOT / ".github").glob("requirements*.txt")
        pins = re.findall(r"(?m)^([a-z0-9-]+)==(\S+) --hash=sha256:[0-9a-f]{64}$", path.read_text())
        self.assertEqual([line[0] for line in path.read_text().splitlines()], ["#", *(name[0] for name, _ in pins)])
        (first, end) = re.findall(r'"requests>=([0-9.]+),<([0-9.]+)"', (ROOT / "pyproject.toml").read_text())[0]
        versions = [tuple(map(int, text.split("."))) for text in (first, dict(pins)["requests"], end)]
        self.assertEqual(versions, sorted(versions))
        jobs = [job for file in WORKFLOWS for job in yaml.safe_load(file.read_text())["jobs"].values()]
        steps = [step for job in jobs for step in job["steps"]]
        scripts = [step["run"] for step in steps if "GITHUB_TOKEN" in step.get("env", {})]
        self.assertEqual(len(scripts), 2)
        for script in scripts:
            for line in script.splitlines():
                if "pip" in line:
                    self.assertIn(f" --require-hashes --only-binary :all: --requirement .github/{path.name}", line)


class TestContainerCommand(ProjectTestCase):
    def test_it_checks_the_contracts_compares_them_with_the_base_and_returns_the_result_as_its_status(self) -> None:
        compose = yaml.safe_load((ROOT / "docker-compose.test.yml").read_text())
        command = compose["services"]["devcontainer"]["command"][-1].replace("$$", "$").replace("/workspace/", "./")
        git = ["git", "-c", "user.name=A", "-c", "user.email=a@example.org"]
        for arguments in (["init", "-q"], ["add", "--all"], ["commit", "-q", "-m", "The project"]):
            subprocess.run([*git, *arguments], cwd=self.project, check=True)

        def check(base: str, loosened: str = "fail") -> tuple[int, Any]:
            """The exit status and the report."""
            environment = {"PATH": PATH, "PR_BASE": base, "LOOSENED": loosened}
            result = subprocess.run(["sh", "-c", command], cwd=self.project, env=environment, capture_output=True)
            path = self.project / "contract_report.json"
            return result.returncode, json.loads(path.read_text()) if path.exists() else None

        status, report = check("HEAD", "Report")
        self.assertEqual((status, report["outcome"]), (2, "could not check"))
        self.assertIn('(LOOSENED) is "Report"', report["error"])
        status, report = check("nosuch")
        self.assertEqual((status, report["outcome"], report["error"]), (2, "could not check", None))
        status, report = check("HEAD")
        self.assertEqual((status, report["outcome"], report["comparison"]["error"]), (0, "passed", None))
        self.assertTrue((self.project / "contract_report.html").exists())
        self.assertEqual((self.project / "test_output.log").read_text().splitlines()[-1], "OK")
        # The report of the last run is still there, as a committed one would be.
        with next((self.project / "data_contract_components").rglob("versions/*.py")).open("a") as file:
            file.write("\nraise RuntimeError('a broken migration')\n")
        self.assertEqual(check("HEAD"), (2, None))
        self.assertFalse((self.project / "contract_report.html").exists())


class TestContainerStatus(unittest.TestCase):
    """The result of the job `test`, by the ways in which its containers can end."""

    def setUp(self) -> None:
        self.directory = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def run_step(self, name: str, shell: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
        job = yaml.safe_load((ROOT / ".github/workflows/docker-image.yml").read_text())["jobs"]["test"]
        (step,) = (step for step in job["steps"] if step.get("name") == name)
        self.assertEqual(step.get("shell"), "bash" if "pipefail" in shell else None)
        command = [*shell, "-c", step["run"]]
        return subprocess.run(command, cwd=self.directory, env=environment, capture_output=True, text=True)

    def run_containers(self, *, build: int = 0, up: int = 0, files: str = "", committed: str = "") -> tuple[str, str]:
        """The status that the job ends with, and the log that goes into the comment."""
        for name in ("output", "test_output.log", "contract_report.json", "contract_report.html"):
            (self.directory / name).unlink(missing_ok=True)
        for name in committed.split():
            (self.directory / name).write_text("committed\n")
        docker = self.directory / "docker"
        docker.write_text(DOCKER)
        docker.chmod(0o755)
        result = self.run_step(
            "Test the contracts",
            ["bash", "--noprofile", "--norc", "-eo", "pipefail"],  # GitHub's "bash"
            PATH=f"{self.directory}:{os.environ['PATH']}",
            GITHUB_OUTPUT=str(self.directory / "output"),
            BUILD_STATUS=str(build),
            UP_STATUS=str(up),
            FILES=files,
        )
        self.assertEqual(result.returncode, 0, result.stderr)
        return (self.directory / "output").read_text(), (self.directory / "test_output.log").read_text()

    def test_it_is_the_status_of_the_container_that_wrote_a_report_and_else_that_nothing_was_checked(self) -> None:
        files = "test_output.log contract_report.json"
        committed = f"{files} contract_report.html"
        failed, unbuilt = ("status=2\n", "dependency failed to start\n"), ("status=2\n", "no matching distribution\n")
        for status in (0, 1, 2):
            self.assertEqual(self.run_containers(up=status, files=files), (f"status={status}\n", "copied\n"))
            self.assertEqual(self.run_containers(up=status), failed)
        # A report that the pull request committed does not count.
        self.assertEqual(self.run_containers(committed=committed), failed)
        self.assertEqual(self.run_containers(committed=committed, build=1), unbuilt)
        self.assertEqual(self.run_containers(build=1, files="contract_report.json"), unbuilt)

    def test_without_a_report_summary_and_annotations_report_that(self) -> None:
        result = self.run_step(
            "Summarize and annotate",
            ["bash", "-e"],  # GitHub's shell where none is named
            PATH=PATH,
            PYTHONPATH=str(ROOT),
            HEAD_SHA="c" * 40,
            GITHUB_STEP_SUMMARY=str(self.directory / "summary.md"),
        )
        self.assertIn("contract_report.json cannot be read", (self.directory / "summary.md").read_text())
        self.assertTrue(result.stdout.startswith("::error title=Data contracts could not be checked::"), result.stderr)
