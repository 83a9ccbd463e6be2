"""The workflows by a real runner and in real containers: what people see of each pull request, and what may fail.

Run only on request, as it takes half an hour: RUNNER="…/run" python -m unittest tests.test_github_runner

RUNNER is a command that runs the workflows of a checkout, and prints what GitHub would show: jobs with their steps,
annotations, and what became of comments. Its options are --workflow, --job, --head, --fork, --user, --of, --var, --env,
--api, --state and --out, then the event. What it writes is kept in the directory that RUNNER_OUTPUT names.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import unittest
from dataclasses import dataclass
from pathlib import Path

from tests import MUSEUM, ROOT, copy_repository
from tests.repositories import CONTRACT, SEED
from tests.repositories import setUpModule as setUpModule
from tests.situations import (
    ADD_NOTE,
    DROP_COLUMN,
    DROPPED,
    KEPT,
    NOT_CHECKED,
    OWNER,
    VIOLATIONS,
    Annotation,
    Edit,
    Expected,
    Shown,
    Situation,
    SituationTestCase,
    delete,
    rename_as_in_the_chapter,
    replace,
    with_a_test_of_each_situation,
    write,
)
from tests.test_package import CONTRACT as SHOP_CONTRACT
from tests.test_package import DROP as SHOP_DROP
from tests.test_package import DROP_TEXT, SETTINGS

RUNNER = shlex.split(os.environ.get("RUNNER", ""))
OUTPUT = os.environ.get("RUNNER_OUTPUT")
ARTIFACT = ["contract_report.html", "contract_report.json", "test_output.log"]
ANNOTATION = re.compile(r"^  (error|warning|notice): (?:([^\s:]+):(\d+): )?(.*)$")
IN_DIFF = re.compile(r" \[[a-z ]+ the diff\]$")
COMMENT = re.compile(r"^comment on pull request \d+, (?:posted|edited|as it was): .*\n  (.*)$", re.MULTILINE)
STEP = re.compile(r"^  (success|failure|skipped) +([0-9.]+) s  (.*)$", re.MULTILINE)
NOT_OF_AN_ACTION = (".github", "tests", "docs", "benchmarks")
KEEP = "Keep log, report and page"
WORKFLOW_OF_A_PROJECT = """\
name: Data contracts
on: pull_request
permissions: {}
jobs:
  contracts:
    runs-on: ubuntu-24.04
    permissions: {checks: write, contents: read, pull-requests: write}
    steps:
      - uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1
        with: {fetch-depth: 2, persist-credentials: false}
      # What the action uses, for the runner:
      # uses: SETUP_PYTHON
      # uses: UPLOAD_ARTIFACT
      - uses: ./data-contracts
        with: {requirements: "asyncpg sqlalchemy[asyncio]"}
"""


@dataclass(frozen=True)
class Run(Shown):
    """What the runner printed and wrote; `steps` have their result by their name, `artifact` is its files."""

    output: str
    directory: Path
    steps: dict[str, str]
    artifact: list[str]


@unittest.skipUnless(RUNNER, "RUNNER does not say how to run workflows")
class RunnerTestCase(SituationTestCase):
    workflow, job = "docker-image.yml", "test"

    def setUp(self) -> None:
        directory = Path(tempfile.mkdtemp(prefix="runner-", dir=OUTPUT))
        if not OUTPUT:
            self.addCleanup(shutil.rmtree, directory)
        self.root, self.outputs = directory / "project", directory
        self.fill()

    def fill(self) -> None:
        copy_repository(self.root)

    def run_workflow(self, *options: str, event: str = "pull_request") -> Run:
        out = self.outputs / f"out-{len(list(self.outputs.iterdir()))}"
        command = [*RUNNER, f"--workflow={self.workflow}", f"--job={self.job}", f"--out={out}"]
        command += [f"--state={self.outputs / 'state.json'}", *options, event]
        result = subprocess.run(command, cwd=self.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        (self.outputs / f"{out.name}.txt").write_text(result.stdout)
        self.assertTrue((out / "act.log").exists(), result.stdout)
        artifacts = out / "artifacts/contract-report"
        comments = [Path(path).read_text() for path in COMMENT.findall(result.stdout)]
        summary = out / "summary.md"
        return Run(
            result.returncode,
            summary.read_text() if summary.exists() else "",
            "".join(comment.partition("\n")[2] for comment in comments),
            tuple(self.find_annotations(result.stdout)),
            result.stdout,
            out,
            {name: status for status, _, name in STEP.findall(result.stdout)},
            sorted(path.name for path in artifacts.iterdir()) if artifacts.exists() else [],
        )

    def find_annotations(self, output: str) -> list[Annotation]:
        (text,) = re.findall(r"(?m)^annotations: \d+\n((?:  .*\n)*)", output)
        annotations: list[Annotation] = []
        for line in (IN_DIFF.sub("", line) for line in text.splitlines()):
            # A message may have more lines, which are further in.
            if match := ANNOTATION.match(line):
                level, path, number, message = match.groups()
                annotations.append(Annotation(level, message, path, int(number or 0)))
            elif annotations:
                last = annotations.pop()
                annotations.append(Annotation(last.level, f"{last.text}\n{line.strip()}", last.path, last.line))
        return annotations


@with_a_test_of_each_situation
class TestSituations(RunnerTestCase):
    """One violation is one step that failed: the one which holds the report's text."""

    def show(self, situation: Situation) -> Shown:
        self.make_branches(situation)
        run = self.run_workflow(f"--var=LOOSENED_CONTRACTS={situation.loosened}")
        self.assertEqual(run.status, min(situation.status, 1), run.output)
        self.assertNotIn("not in the diff", run.output)
        self.assertEqual(run.artifact, ARTIFACT)
        failed = [name for name, result in run.steps.items() if result == "failure"]
        self.assertEqual(failed, ["Test the contracts"] if situation.status else [])
        report = json.loads((run.directory / "artifacts/contract-report/contract_report.json").read_text())
        outcomes = ("passed", "violations", "could not check")
        return Shown(outcomes.index(report["outcome"]), run.summary, run.comment, run.annotations)


class TestFailures(RunnerTestCase):
    """What fails beside the check, or before it."""

    def check(self, situation: Situation, *options: str) -> Run:
        self.make_branches(situation)
        run = self.run_workflow(*options)
        self.assertEqual(run.status, min(situation.status, 1), run.output)
        self.assertNotIn("not in the diff", run.output)
        self.assert_shown(situation, Shown(situation.status, run.summary, run.comment, run.annotations))
        return run

    def check_not_started(self, reason: str, text: str, *edits: Edit) -> None:
        situation = Situation(reason, edits, 2, NOT_CHECKED, NOT_CHECKED, (reason, text), (Expected("error", text),))
        self.make_branches(situation)
        run = self.run_workflow()
        self.assertEqual((run.status, run.steps["Test the contracts"]), (1, "failure"), run.output)
        self.assertIn(reason, run.comment)
        self.assertIn(text, run.comment)
        self.assertIn(text, run.summary)
        self.assertEqual(run.artifact, ARTIFACT[1:])
        (annotation,) = run.annotations
        self.assertIn(text, annotation.text)
        if annotation.path:
            self.assertIn((annotation.path, annotation.line), self.find_lines_of_diff())

    def test_a_requirement_that_does_not_exist(self) -> None:
        edit = replace(Path("pyproject.toml"), "dependencies = [", 'dependencies = ["no-such-package-of-this-test",')
        self.check_not_started("The image could not be built", "no-such-package-of-this-test", edit)

    def test_a_container_that_does_not_start(self) -> None:
        edit = replace(Path("docker-compose.test.yml"), "fsync=off", "nosuch=off")
        self.check_not_started("The containers did not start", "postgres", edit)

    def test_an_api_that_does_not_answer(self) -> None:
        run = self.check(
            Situation("", (ADD_NOTE,), 0, KEPT, annotations=(Expected("warning", "could not be written"),)),
            "--api=http://127.0.0.1:9",
        )
        self.assertEqual(run.artifact, ARTIFACT)

    def test_an_upload_that_fails(self) -> None:
        self.make_branches(Situation("", (ADD_NOTE,), 0, KEPT))
        run = self.run_workflow("--env=STANDIN_ARTIFACTS=/proc/nosuch")
        self.assertEqual((run.status, run.steps[KEEP], run.artifact), (0, "failure", []), run.output)
        self.assertIn("The artifact could not be kept", run.annotations[-1].text)
        self.assertEqual(run.annotations[-1].level, "warning")

    def test_a_comment_is_resolved_when_the_contracts_are_kept_again(self) -> None:
        broken = Situation("", (DROP_COLUMN,), 1, VIOLATIONS, VIOLATIONS, (OWNER,), (DROPPED,))
        self.check(broken)
        assert DROPPED.path
        self.commit((delete(DROPPED.path), ADD_NOTE))
        run = self.run_workflow()
        self.assertEqual((run.status, run.annotations), (0, ()), run.output)
        self.assertIn(", edited: ✅ Data contract violations resolved in ", run.output)

    def test_dependabot_gets_no_comment(self) -> None:
        self.check(Situation("", (DROP_COLUMN,), 1, VIOLATIONS, "", (OWNER,), (DROPPED,)), "--user=dependabot[bot]")

    def test_other_events_are_checked(self) -> None:
        self.make_branches(Situation("", (DROP_COLUMN,), 1, VIOLATIONS))
        run = self.run_workflow(event="merge_group")
        self.assertEqual((run.status, run.comment), (1, ""), run.output)
        self.assertIn("c0de, line", run.summary)  # the cause, as it is compared with the group's base
        self.git("checkout", "--quiet", "main")
        self.git("merge", "--quiet", "--ff-only", "feature")
        run = self.run_workflow(event="push")
        self.assertEqual((run.status, run.comment), (1, ""), run.output)
        self.assertTrue(run.summary.startswith(VIOLATIONS))


class TestFork(RunnerTestCase):
    def test_it_gets_its_comment_by_the_other_workflow(self) -> None:
        self.make_branches(Situation("", (DROP_COLUMN,), 1, VIOLATIONS))
        fork = self.run_workflow("--fork=stranger/data-contracts", "--user=stranger")
        self.assertEqual((fork.status, fork.comment, fork.artifact), (1, "", ARTIFACT), fork.output)
        self.git("checkout", "--quiet", "main")
        self.workflow, self.job = "fork-comment.yml", "comment"
        options = (f"--of={fork.directory}", "--var=COMMENT_ON_FORKS=true")
        run = self.run_workflow(*options, event="workflow_run")
        self.assertEqual((run.status, run.annotations), (0, ()), run.output)
        self.assertTrue(run.comment.startswith(VIOLATIONS), run.comment)
        # As if the run had been stopped before it kept anything.
        shutil.rmtree(fork.directory / "artifacts")
        run = self.run_workflow(*options, event="workflow_run")
        self.assertEqual(run.status, 0, run.output)
        (annotation,) = run.annotations
        self.assertEqual(annotation.level, "notice")
        self.assertIn("left no artifact", annotation.text)


class TestBuild(RunnerTestCase):
    job = "build"

    def test_a_sample_that_no_longer_fits_is_a_notice_and_a_migration_that_fails_is_an_error(self) -> None:
        self.make_branches(Situation("", (rename_as_in_the_chapter,), 0, ""))
        run = self.run_workflow()
        self.assertEqual(run.status, 0, run.output)
        (annotation,) = run.annotations
        self.assertEqual(annotation.level, "notice")
        self.assertIn("The sample no longer fits the tables", annotation.text)
        self.assertIn("object_images.primary_image", annotation.text)
        self.commit((replace(SEED, "def upgrade() -> None:", "def upgrade() -> None:\n    op.drop_table('nosuch')"),))
        run = self.run_workflow()
        self.assertEqual((run.status, run.steps["Bring the sandbox up"]), (1, "failure"), run.output)


class TestAction(RunnerTestCase):
    """action.yml in another project's workflow, which has the action in a directory of its own."""

    workflow, job = "contracts.yml", "contracts"

    def fill(self) -> None:
        shutil.copytree(ROOT / "tests/own_project", self.root)
        ignored = shutil.ignore_patterns(*NOT_OF_AN_ACTION, ".git", ".venv", ".postgres", "__pycache__", ".*_cache")
        shutil.copytree(ROOT, self.root / "data-contracts", ignore=ignored)
        of_name = dict(re.findall(r"uses: (actions/([a-z-]+)@\S+)", (ROOT / "action.yml").read_text()))
        text = WORKFLOW_OF_A_PROJECT
        for use, name in of_name.items():
            text = text.replace(name.upper().replace("-", "_"), use)
        write(Path(".github/workflows/contracts.yml"), text)(self.root)
        with (self.root / "pyproject.toml").open("a") as file:
            file.write(SETTINGS)
        spec = json.loads((MUSEUM / CONTRACT).read_text())
        spec["schema"] |= {"table_schema": "shop", "table_name": "customers"}
        spec["schema"]["properties"] = {"balance": {"constraints": {"data_type": "numeric"}}}
        write(Path(SHOP_CONTRACT), json.dumps(spec, indent=2))(self.root)

    def check(self, edit: Edit, status: int, head: str, *failed: str) -> Run:
        """The run, in which the steps of the action with these ids failed. Its summary begins with `head`."""
        self.make_branches(Situation("", (edit,), status, head))
        run = self.run_workflow()
        self.assertEqual(run.status, min(status, 1), run.output)
        self.assertNotIn("not in the diff", run.output)
        # The runner prints neither the steps inside of an action nor their summary.
        lines = (run.directory / "act.jsonl").read_text().splitlines()
        entries = [json.loads(line) for line in lines if line.startswith("{")]
        (summary,) = (entry["content"] for entry in entries if entry.get("command") == "summary")
        self.assertTrue(summary.startswith(head), summary)
        of_steps = [entry for entry in entries if len(entry.get("stepID", ())) == 2]
        self.assertEqual([e["stepID"][1] for e in of_steps if e.get("stepResult") == "failure"], list(failed))
        return run

    def test_a_dropped_column_gets_comment_annotation_and_artifact(self) -> None:
        run = self.check(write(Path(SHOP_DROP), DROP_TEXT), 1, VIOLATIONS, "contracts")
        self.assertTrue(run.comment.startswith(VIOLATIONS), run.comment)
        (annotation,) = run.annotations
        self.assertEqual((annotation.level, annotation.path, annotation.line), ("error", SHOP_DROP, 8))
        self.assertEqual(run.artifact, ARTIFACT)

    def test_kept_contracts_are_green(self) -> None:
        run = self.check(ADD_NOTE, 0, KEPT)
        self.assertEqual((run.comment, run.annotations, run.artifact), ("", (), ARTIFACT))

    def test_a_requirement_that_does_not_exist(self) -> None:
        edit = replace(Path(".github/workflows/contracts.yml"), "asyncpg", "no-such-package-of-this-test")
        run = self.check(edit, 2, NOT_CHECKED, "packages")
        self.assertIn("The packages could not be installed", run.comment)
        self.assertIn("no-such-package-of-this-test", run.comment)
        self.assertEqual(run.artifact, ARTIFACT[1:])
