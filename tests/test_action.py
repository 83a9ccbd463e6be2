"""action.yml: its form, and its steps run as GitHub runs them, on a project of another shape."""

import json
import os
import re
import subprocess
import sys
import sysconfig
import unittest
from pathlib import Path
from typing import Any

import yaml
from check_jsonschema import main as check_jsonschema  # type: ignore[import-untyped]
from click.testing import CliRunner

from data_contract_components.data_assets._query_postgres_helper import PostgresDB
from tests import ROOT, url_of_database
from tests.test_package import DROP, ShopTestCase

ACTION = ROOT / "action.yml"
WORKFLOW = ROOT / ".github/workflows/docker-image.yml"
USES = r"uses: (\S+)@([0-9a-f]{40}) # (v\S+)"


def read_action() -> Any:
    return yaml.safe_load(ACTION.read_text())


class TestForm(unittest.TestCase):
    def test_it_has_the_form_that_github_demands_and_nothing_in_it_can_be_misused(self) -> None:
        result = CliRunner().invoke(check_jsonschema, ["--builtin-schema=vendor.github-actions", str(ACTION)])
        self.assertEqual(result.exit_code, 0, result.output)
        zizmor = f"{sysconfig.get_path('scripts')}/zizmor"
        command = [zizmor, "--offline", "--persona=auditor", "--no-progress", str(ACTION)]
        checked = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)
        self.assertIn(f"completed {ACTION}", checked.stderr)

    def test_inputs_reach_a_shell_by_variables_only_and_one_step_has_a_token(self) -> None:
        steps = read_action()["runs"]["steps"]
        self.assertEqual([step["name"] for step in steps if "${{" in step.get("run", "")], [])
        self.assertEqual({step["shell"] for step in steps if "run" in step}, {"bash"})
        named = [step["name"] for step in steps if "token" in str(step).lower()]
        self.assertEqual(named, ["Comment on the pull request"])

    def test_it_uses_what_the_workflow_uses_and_ends_with_the_same_steps(self) -> None:
        pinned = set(re.findall(USES, ACTION.read_text()))
        self.assertEqual(len(pinned), ACTION.read_text().count("uses:"))
        self.assertLessEqual(pinned, set(re.findall(USES, WORKFLOW.read_text())))
        conditions = []
        for steps in (read_action()["runs"]["steps"], yaml.safe_load(WORKFLOW.read_text())["jobs"]["test"]["steps"]):
            of_name = {step["name"]: step for step in steps if "name" in step}
            conditions.append(
                {
                    name: " ".join(of_name[name]["if"].split()).replace(" && inputs.comment == 'true'", "")
                    for name in ("Summarize and annotate", "Keep log, report and page", "Report the result")
                }
                | {"comment": of_name["Comment on the pull request"]["if"].replace(" && inputs.comment == 'true'", "")}
            )
        self.assertEqual(*conditions)

    def test_the_workflow_of_the_documents_suits_it(self) -> None:
        page = (ROOT / "docs/own-project.md").read_text()
        (text,) = re.findall(r"(?ms)^```yaml\n(.*?)^```", page)
        (self_check, step) = yaml.safe_load(text)["jobs"]["contracts"]["steps"]
        self.assertEqual(self_check["with"]["fetch-depth"], 2)
        self.assertLessEqual(set(step["with"]), set(read_action()["inputs"]))
        self.assertIn(re.search(USES, text)[0].partition(" #")[0], WORKFLOW.read_text())  # type: ignore[index]
        for name, value in read_action()["inputs"].items():
            self.assertIn(f"| `{name}` | ", page)
            self.assertIn(value["default"], page)


class TestSteps(ShopTestCase):
    def run_step(self, name: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """A step as GitHub runs it, with the packages of this Python and no installed package of ours."""
        (step,) = (step for step in read_action()["runs"]["steps"] if step.get("name") == name)
        place = self.project if "working-directory" in step else self.directory
        variables = {name: value for name, value in os.environ.items() if not name.endswith("DATABASE_URL")}
        path = f"{self.directory}:{sysconfig.get_path('scripts')}:{os.environ['PATH']}"
        variables |= {"PATH": path, "PYTHONPATH": str(ROOT), "GITHUB_ACTION_PATH": str(ROOT)}
        variables |= {"RUNNER_TEMP": str(self.directory), "GITHUB_EVENT_NAME": "push", "BASE": "", "URL": ""}
        variables |= {name: str(self.directory / name) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],  # GitHub's "bash"
            cwd=place,
            env=variables | {"LOOSENED": "fail"} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def outputs(self) -> dict[str, str]:
        path = self.directory / "GITHUB_OUTPUT"
        lines = path.read_text().splitlines()
        path.unlink()
        return dict(line.split("=", 1) for line in lines)

    def check(self, **environment: str) -> dict[str, str]:
        (self.directory / "contract-report").mkdir(exist_ok=True)
        result = self.run_step("Test the contracts", **environment)
        self.assertEqual(result.returncode, 0, result.stdout)
        return self.outputs()

    def tell(self, status: int = 0) -> tuple[str, str]:
        """The summary and the annotations, made by a Python that has no package at all."""
        python = self.directory / "python"
        python.write_text(f'#!/bin/sh\nexec {os.path.realpath(sys.executable)} -S "$@"\n')
        python.chmod(0o755)
        result = self.run_step("Summarize and annotate", HEAD_SHA="c" * 40)
        python.unlink()
        self.assertEqual(result.returncode, status, result.stdout)
        summary = self.directory / "GITHUB_STEP_SUMMARY"
        text = summary.read_text()
        summary.unlink()
        return text, result.stdout

    def read_report(self) -> Any:
        return json.loads((self.directory / "contract-report/contract_report.json").read_text())

    def test_a_pull_request_is_compared_with_the_first_parent_of_its_merge_or_else_with_the_branch(self) -> None:
        self.make_contract()
        self.git("branch", "--quiet", "pull-request")
        self.git("update-ref", "refs/remotes/origin/main", "main")
        self.drop_column()
        pull_request = {"GITHUB_EVENT_NAME": "pull_request", "GITHUB_BASE_REF": "main"}
        self.assertEqual(
            self.check(**pull_request, GITHUB_SHA=self.git("rev-parse", "HEAD")),
            {"status": "1", "outcome": "violations"},
        )
        base = self.git("rev-parse", "main")
        self.assertEqual(self.read_report()["comparison"]["base_commit"], base)
        self.assertFalse((self.project / "contract_report.json").exists())
        self.assertTrue((self.directory / "contract-report/contract_report.html").exists())
        summary, annotations = self.tell()
        self.assertIn("❌ Data contract violations detected:", summary)
        self.assertIn("shop.customers.balance was removed", summary)
        self.assertTrue(annotations.startswith("::error file=migrations/versions/c0de_"), annotations)
        # Another commit was checked out, whose parent is no base.
        self.git("commit", "--quiet", "--allow-empty", "--message=the head of the pull request")
        self.check(**pull_request, GITHUB_SHA=base)
        self.assertEqual(self.read_report()["comparison"]["base_commit"], base)

    def test_a_given_database_is_that_of_the_projects_own_variable(self) -> None:
        name = f"of_the_action_{os.getpid()}"
        PostgresDB().query(f"create database {name}")
        self.addCleanup(PostgresDB().query, f"drop database {name} with (force)")
        self.make_contract()
        path = self.project / "contracts/shop.customers_contract_spec.json"
        path.write_text(path.read_text().replace('"table_catalog": "postgres"', f'"table_catalog": "{name}"'))
        self.assertEqual(self.check(URL=url_of_database(name)), {"status": "0", "outcome": "passed"})
        self.assertIsNone(self.read_report()["comparison"])  # not a pull request, and no base is given
        tables = PostgresDB(url_of_database(name)).query("select tablename from pg_tables where schemaname = 'shop'")
        self.assertIn("customers", list(tables["tablename"]))

    def test_what_keeps_it_from_checking_is_in_the_summary_and_the_outcome(self) -> None:
        self.make_contract()
        # As if it were committed.
        (self.project / "contract_report.json").write_text("{}")
        (self.project / DROP).write_text("raise RuntimeError('a broken migration')\n")
        self.assertEqual(self.check(), {"status": "2", "outcome": "could not check"})
        self.assertFalse((self.directory / "contract-report/contract_report.json").exists())
        summary, annotations = self.tell(2)
        self.assertIn("a broken migration", summary)
        self.assertTrue(annotations.startswith("::error title=Data contracts could not be checked::"), annotations)
        for status in ("0", "1", "2"):
            self.assertEqual(self.run_step("Report the result", STATUS=status).returncode, int(status))
        self.assertEqual(self.run_step("Report the result", STATUS="").returncode, 2)

    def test_the_requirements_are_words_for_pip_of_which_files_are_read(self) -> None:
        python = self.directory / "python"
        python.write_text('#!/bin/sh\nprintf "%s\\n" "$@" >> calls\n[ -z "$FAILING" ] || ! grep -q nosuch calls\n')
        python.chmod(0o755)
        package = f"{ROOT}[embedded,render]"
        pip = ["-m", "pip", "install", "--disable-pip-version-check"]
        calls = Path(self.project, "calls")
        self.run_step("Install what is needed", REQUIREMENTS="-r a.txt  b.txt\n.[a] 'c;d' *", FAILING="")
        words = ["-r", "a.txt", "-r", "b.txt", ".[a]", "'c;d'", "*", package]
        self.assertEqual(calls.read_text().splitlines(), [*pip, *words])
        self.assertEqual(self.outputs(), {"installed": "true"})
        calls.unlink()
        result = self.run_step("Install what is needed", REQUIREMENTS="nosuch", FAILING="yes")
        self.assertNotEqual(result.returncode, 0)
        self.assertEqual(calls.read_text().splitlines()[-1], str(ROOT))
        self.assertFalse((self.directory / "GITHUB_OUTPUT").exists())
