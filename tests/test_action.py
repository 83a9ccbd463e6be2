"""action.yml: its form, and its steps run as GitHub runs them, on a project of another shape."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import unittest
from pathlib import Path
from typing import Any

import yaml
from check_jsonschema import main as check_jsonschema  # type: ignore[import-untyped]
from click.testing import CliRunner

from data_contract_components.data_assets._embedded_postgres import stop_embedded_postgres
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
                    for name in ("Summarize and annotate", "Keep log, report and page", "Report a failed upload")
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

    def check(self, **environment: str) -> tuple[int, str]:
        """The exit status of the step, and the outcome."""
        (self.directory / "contract-report").mkdir(exist_ok=True)
        result = self.run_step("Test the contracts", **environment)
        return result.returncode, self.outputs()["outcome"]

    def tell(self) -> tuple[str, str]:
        """The summary and the annotations, made by a Python that has no package at all."""
        python = self.directory / "python"
        python.write_text(f'#!/bin/sh\nexec {os.path.realpath(sys.executable)} -S "$@"\n')
        python.chmod(0o755)
        result = self.run_step("Summarize and annotate", HEAD_SHA="c" * 40)
        python.unlink()
        self.assertEqual(result.returncode, 0, result.stdout)
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
            (1, "violations"),
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
        self.assertEqual(self.check(URL=url_of_database(name)), (0, "passed"))
        self.assertIsNone(self.read_report()["comparison"])  # not a pull request, and no base is given
        tables = PostgresDB(url_of_database(name)).query("select tablename from pg_tables where schemaname = 'shop'")
        self.assertIn("customers", list(tables["tablename"]))

    def test_of_a_merge_the_lines_are_those_of_the_last_commit_of_the_pull_request(self) -> None:
        path = self.project / "migrations/versions/3c1d_customers.py"
        text = path.read_text()
        self.make_contract()
        self.git("checkout", "--quiet", "-b", "feature")
        path.write_text(text.replace('"balance"', '"credit"'))
        self.commit()
        self.git("checkout", "--quiet", "main")
        path.write_text(f"# A line.\n# A line.\n{text}")
        self.commit()
        self.git("merge", "--quiet", "--no-ff", "--message=merge", "feature")
        environment = {"GITHUB_EVENT_NAME": "pull_request", "GITHUB_SHA": self.git("rev-parse", "HEAD")}
        # As on GitHub, where the database is new.
        stop_embedded_postgres(self.project / ".postgres")
        shutil.rmtree(self.project / ".postgres")
        line = text.partition('"balance"')[0].count("\n") + 1
        for base in ("", "HEAD^1"):
            self.assertEqual(self.check(**environment, BASE=base), (1, "violations"))
            file = f"file=migrations/versions/3c1d_customers.py,line={line},"
            self.assertTrue(self.tell()[1].startswith(f"::error {file}"), self.tell()[1])

    def test_what_keeps_it_from_checking_is_in_the_summary_and_the_outcome(self) -> None:
        self.make_contract()
        # As if it were committed.
        (self.project / "contract_report.json").write_text("{}")
        (self.project / DROP).write_text("\nraise RuntimeError('a broken migration')\n")
        self.assertEqual(self.check(), (2, "could not check"))
        self.assertFalse((self.project / "contract_report.json").exists())
        summary, annotations = self.tell()
        self.assertIn("a broken migration", summary)
        self.assertTrue(
            annotations.startswith(f"::error file={DROP},line=2,title=Data contracts could not"), annotations
        )

    def test_the_requirements_are_words_for_pip_of_which_files_are_read(self) -> None:
        python = self.directory / "python"
        python.write_text('#!/bin/sh\nprintf "%s\\n" "$@" >> calls\n')
        python.chmod(0o755)
        package = f"{ROOT}[embedded,render]"
        pip = ["-m", "pip", "install", "--disable-pip-version-check"]
        calls = Path(self.project, "calls")
        result = self.run_step("Install what is needed", REQUIREMENTS="-r a.txt  b.txt\n.[a] 'c;d' *")
        words = ["-r", "a.txt", "-r", "b.txt", ".[a]", "'c;d'", "*", package]
        self.assertEqual(calls.read_text().splitlines(), [*pip, *words])
        self.assertEqual(result.returncode, 0, result.stdout)

    def test_packages_that_cannot_be_installed_are_reported(self) -> None:
        python = self.directory / "python"
        python.write_text(
            "#!/bin/sh\n"
            f'[ "$2" = pip ] || exec {os.path.realpath(sys.executable)} -S "$@"\n'
            "echo 'ERROR: No matching distribution found for nosuch'; exit 1\n"
        )
        python.chmod(0o755)
        self.git("commit", "--quiet", "--allow-empty", "--message=a project")
        result = self.run_step("Install what is needed", REQUIREMENTS="nosuch")
        self.assertEqual(result.returncode, 2)
        report = self.read_report()
        self.assertEqual(report["outcome"], "could not check")
        reason = "The packages could not be installed\nERROR: No matching distribution found for nosuch"
        self.assertEqual(report["error"], reason)
        self.assertTrue(result.stdout.endswith(f"could not check: {reason}\n"), result.stdout)
        self.assertIn(reason, self.tell()[0])
