"""The files that GitHub, Docker and VS Code read, each checked as that program does."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import unittest
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import jsonschema_rs
import yaml
from check_jsonschema import main as check_jsonschema  # type: ignore[import-untyped]
from click.testing import CliRunner

from data_contract_components.contract_definition.spec_problems import SCHEMA_DIRECTORY, find_spec_problems
from data_contract_components.prevention.contract_report.contract_report import (
    ContractReport,
    Outcome,
    from_json,
    to_json,
)
from tests import CONTRACT_TESTS, ROOT, SHARED_DIRECTORY, ProjectTestCase, run_embedded_server
from tests.contracts import chapters_spec
from tests.github_server import Handler, start_github_server

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
DEVCONTAINER_PATH = ROOT / ".devcontainer.json"
DEVCONTAINER_SCHEMA_PATH = SHARED_DIRECTORY / "schemas/devContainer.base.schema.json"
PATH = f"{sysconfig.get_path('scripts')}:{os.environ['PATH']}"
# In place of `docker compose`; the test's variables decide what it does.
DOCKER = """#!/bin/sh
case $2 in
    build) echo 'no matching distribution'; exit $BUILD_STATUS ;;
    up) echo 'dependency failed to start'; exit $UP_STATUS ;;
    cp) cp "container/${3##*/}" . ;;
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
        absent = ("alembic", "codeowners", "jsonschema_rs", "pandas", "psycopg2", "sqlalchemy", "tqdm")
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
        lines = [line for script in scripts for line in script.splitlines() if "pip" in line]
        self.assertEqual(len(lines), 2)
        for line in lines:
            self.assertIn(f" --require-hashes --only-binary :all: --requirement .github/{path.name}", line)


class TestContainerCommand(ProjectTestCase):
    def test_it_checks_the_contracts_compares_them_with_the_base_and_returns_the_result_as_its_status(self) -> None:
        compose = yaml.safe_load((ROOT / "docker-compose.test.yml").read_text())
        command = compose["services"]["devcontainer"]["command"][-1].replace("$$", "$").replace("/workspace/", "./")
        git = ["git", "-c", "user.name=A", "-c", "user.email=a@example.org"]
        run_embedded_server(self.project)
        for arguments in (["init", "-q"], ["add", "--all"], ["commit", "-q", "-m", "The project"]):
            subprocess.run([*git, *arguments], cwd=self.project, check=True)

        def check(base: str, loosened: str = "fail", head: str = "") -> tuple[int, Any]:
            """The exit status and the report."""
            environment = {"PATH": PATH, "PR_BASE": base, "PR_HEAD": head, "LOOSENED": loosened}
            result = subprocess.run(["sh", "-c", command], cwd=self.project, env=environment, capture_output=True)
            path = self.project / "contract_report.json"
            return result.returncode, json.loads(path.read_text()) if path.exists() else None

        status, report = check("HEAD", "Report")
        self.assertEqual((status, report["outcome"]), (2, "could not check"))
        self.assertIn("LOOSENED_CONTRACTS", report["error"])
        status, report = check("nosuch")
        self.assertEqual((status, report["outcome"], report["error"]), (2, "could not check", None))
        status, report = check("HEAD")
        self.assertEqual((status, report["outcome"], report["comparison"]["error"]), (0, "passed", None))
        self.assertTrue((self.project / "contract_report.html").exists())
        self.assertEqual((self.project / "test_output.log").read_text().splitlines()[-1], "OK")
        # The report of the last run is still there, as a committed one would be.
        path = next((self.project / "data_contract_components").rglob("versions/*.py"))
        lines = path.read_text().count("\n")
        with path.open("a") as file:
            file.write("\nraise RuntimeError('a broken migration')\n")
        subprocess.run([*git, "commit", "-q", "-a", "-m", "A broken migration"], cwd=self.project, check=True)
        status, report = check("HEAD^1", head="HEAD")
        self.assertEqual((status, report["outcome"]), (2, "could not check"))
        self.assertEqual(
            (report["place"]["path"], report["place"]["line"]), (str(path.relative_to(self.project)), lines + 2)
        )
        self.assertIn("a broken migration", report["error"])
        self.assertIn("a broken migration", (self.project / "contract_report.html").read_text())


class TestContainerStatus(unittest.TestCase):
    """The result of the job `test`, by the ways in which its containers can end."""

    def setUp(self) -> None:
        self.directory = Path(self.enterContext(tempfile.TemporaryDirectory()))
        (self.directory / "pyproject.toml").write_text("[tool.data_contracts]\n")

    def run_step(self, name: str, shell: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
        job = yaml.safe_load((ROOT / ".github/workflows/docker-image.yml").read_text())["jobs"]["test"]
        (step,) = (step for step in job["steps"] if step.get("name") == name)
        self.assertEqual(step.get("shell"), "bash" if "pipefail" in shell else None)
        command = [*shell, "-c", step["run"]]
        return subprocess.run(command, cwd=self.directory, env=environment, capture_output=True, text=True)

    def run_containers(
        self, outcome: Outcome | None = None, *, build: int = 0, up: int = 0, has_log: bool = True
    ) -> tuple[int, str, str]:
        """The exit status, the report's outcome or reason, and the log that goes into the comment.

        The container leaves a report with `outcome`, if it is not None. The pull request has committed such files.
        """
        container = self.directory / "container"
        shutil.rmtree(container, ignore_errors=True)
        container.mkdir()
        for name in ("test_output.log", "contract_report.json", "contract_report.html"):
            (self.directory / name).write_text("committed\n")
        if has_log:
            (container / "test_output.log").write_text("of the tests\n")
        if outcome:
            (container / "contract_report.json").write_text(to_json(ContractReport(outcome)))
        docker = self.directory / "docker"
        docker.write_text(DOCKER)
        docker.chmod(0o755)
        result = self.run_step(
            "Test the contracts",
            ["bash", "--noprofile", "--norc", "-eo", "pipefail"],  # GitHub's "bash"
            PATH=f"{self.directory}:{PATH}",
            PYTHONPATH=str(ROOT),
            PR_BASE="",
            PR_HEAD="",
            BUILD_STATUS=str(build),
            UP_STATUS=str(up),
        )
        report = from_json((self.directory / "contract_report.json").read_text())
        self.assertFalse((self.directory / "contract_report.html").exists())
        # What people read is after the containers' output, which is folded.
        _, output = result.stdout.split("::endgroup::\n")
        self.assertTrue(output.startswith(f"{report.outcome}: "), result.stdout + result.stderr)
        log = (self.directory / "test_output.log").read_text()
        return result.returncode, (report.error or report.outcome).partition("\n")[0], log

    def test_it_is_the_status_of_the_container_that_wrote_a_report_and_else_that_nothing_was_checked(self) -> None:
        outcomes: tuple[Outcome, ...] = ("passed", "violations", "could not check")
        for status, outcome in enumerate(outcomes):
            found, text, log = self.run_containers(outcome, up=status)
            self.assertEqual((found, log), (status, "of the tests\n"))
            self.assertIn(text, (outcome, "no reason given"))
        for status in (0, 1, 2):
            reason = "The containers did not start, or did not finish"
            self.assertEqual(self.run_containers(up=status), (2, reason, "of the tests\n"))
            self.assertEqual(self.run_containers(up=status, has_log=False), (2, reason, "dependency failed to start\n"))
        unbuilt = (2, "The image could not be built", "no matching distribution\n")
        self.assertEqual(self.run_containers(build=1), unbuilt)
        # Of an earlier run of the container.
        self.assertEqual(self.run_containers("passed", build=1), unbuilt)

    def tell(self, summary: str = "summary.md") -> subprocess.CompletedProcess[str]:
        return self.run_step(
            "Summarize and annotate",
            ["bash", "-e"],  # GitHub's shell where none is named
            PATH=PATH,
            PYTHONPATH=str(ROOT),
            HEAD_SHA="c" * 40,
            GITHUB_STEP_SUMMARY=str(self.directory / summary),
        )

    def test_without_a_report_summary_and_annotations_report_that(self) -> None:
        result = self.tell()
        self.assertIn("contract_report.json cannot be read", (self.directory / "summary.md").read_text())
        self.assertIn("\n::error title=Data contracts could not be checked::", result.stdout, result.stderr)

    def test_a_summary_that_cannot_be_written_is_a_warning_and_the_annotations_are_made(self) -> None:
        error = to_json(ContractReport("could not check", "no database"))
        (self.directory / "contract_report.json").write_text(error)
        result = self.tell("nosuch/summary.md")
        self.assertEqual(result.returncode, 0)
        self.assertTrue(result.stdout.startswith("::warning title=The summary is not complete::"), result.stdout)
        self.assertIn("\n::error title=Data contracts could not be checked::no database", result.stdout)

    def test_packages_for_the_comment_that_cannot_be_installed_are_a_warning(self) -> None:
        (self.directory / "pip").write_text("#!/bin/sh\nexit 1\n")
        (self.directory / "pip").chmod(0o755)
        result = self.run_step("Comment on the pull request", ["bash", "-e"], PATH=f"{self.directory}:{PATH}")
        self.assertEqual(result.returncode, 0)
        self.assertTrue(result.stdout.startswith("::warning title=The comment on the pull request could not be"))


@unittest.skipUnless(shutil.which("curl"), "curl is not installed")
class TestForkComment(unittest.TestCase):
    def test_a_run_that_left_no_artifact_is_a_line_and_no_failure(self) -> None:
        github = start_github_server(self)
        directory = Path(self.enterContext(tempfile.TemporaryDirectory()))
        job = yaml.safe_load((ROOT / ".github/workflows/fork-comment.yml").read_text())["jobs"]["comment"]
        (look,) = (step for step in job["steps"] if step.get("id") == "artifact")
        bash = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", look["run"]]
        outputs = directory / "outputs"
        environment = github.environment(PATH=PATH, RUN_ID="42", GITHUB_OUTPUT=str(outputs))
        for content, text in ((b'{"total_count": 0}', "count=0\n"), (b'{"total_count": 1}', "count=1\n"), (b"", "")):
            outputs.write_text("")
            github.scripts = []
            github.script("GET .*/actions/runs/42/artifacts", partial(Handler.send, status=200, answer=content))
            result = subprocess.run(bash, env=environment, capture_output=True, text=True)
            self.assertEqual((outputs.read_text(), result.returncode == 0), (text, bool(text)), result.stderr)
        self.assertEqual(github.seen[0].query, {"name": "contract-report"})
        conditions = {step.get("name", "download"): step["if"] for step in job["steps"] if "if" in step}
        found = "steps.artifact.outputs.count != '0'"
        none = "steps.artifact.outputs.count == '0'"
        self.assertEqual(
            conditions, {"Report that there is none": none, "download": found, "Comment on the pull request": found}
        )


class TestTriggers(unittest.TestCase):
    """When the workflows run, and what they compare with."""

    def test_a_required_check_is_reported_for_each_pull_request_and_in_a_merge_queue(self) -> None:
        for name in ("docker-image.yml", "tests.yml"):
            triggers = yaml.safe_load((ROOT / ".github/workflows" / name).read_text())[True]  # YAML 1.1: on is true
            self.assertEqual({key for key, value in triggers.items() if value is None}, set(triggers) - {"push"})
            self.assertLessEqual({"pull_request", "merge_group", "workflow_dispatch"}, set(triggers))
