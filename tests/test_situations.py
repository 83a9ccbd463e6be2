"""What people see of each pull request of tests/situations.py, with a server of the tests in place of GitHub's.

tests/test_github_runner.py has the same by the workflow, a real runner and real containers.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from data_contract_components.data_assets._query_postgres_helper import PostgresDB
from tests import ENV_TEXT, MUSEUM, ROOT, WAIT_SECONDS
from tests.github_server import start_github_server
from tests.repositories import CONFIG, CONTRACT, ENV, SEED
from tests.repositories import setUpModule as setUpModule
from tests.situations import Annotation, Shown, Situation, SituationTestCase, with_a_test_of_each_situation

# In one process what the workflow's steps do in several, as each takes a second to start.
STEPS = """
import sys
from data_contract_components.prevention import post_pull_request_comment, report

status = report.main(sys.argv[1:])
for name in ("summary", "annotations"):
    report.main(["--from", report.REPORT_NAME, "--format", name, "--output", name])
post_pull_request_comment.main([])
sys.exit(status)
"""
COMMAND = re.compile(r"::(\w+) (?:file=([^,]+),line=(\d+),)?title=([^:]*)::(.*)")


@with_a_test_of_each_situation
class TestSituations(SituationTestCase):
    def setUp(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="situation-"))
        self.addCleanup(shutil.rmtree, self.root)
        for path in (SEED, CONTRACT):
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(MUSEUM / path, self.root / path)
        (self.root / ENV).write_text(ENV_TEXT)
        shutil.copy(ROOT / CONFIG, self.root / CONFIG)

    def show(self, situation: Situation) -> Shown:
        self.make_branches(situation)
        head = self.git("rev-parse", "HEAD")
        self.git("checkout", "--quiet", "--detach", "main")
        self.git("merge", "--quiet", "--no-ff", "--message=Merge", "feature")
        return self.run_steps(head, "--migrate", "--base=HEAD^1", "--head=HEAD^2", f"--loosened={situation.loosened}")

    def run_steps(self, head: str, *arguments: str) -> Shown:
        # Not another database: a contract names it.
        for statement in ("drop schema public cascade", "create schema public"):
            PostgresDB().query(statement)
        github = start_github_server(self)
        result = subprocess.run(
            [sys.executable, "-P", "-c", STEPS, *arguments],
            cwd=self.root,
            env=os.environ | github.environment() | {"PYTHONPATH": str(ROOT), "GITHUB_SHA": head},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=WAIT_SECONDS,
        )
        self.assertNotRegex(result.stdout, "Traceback|::warning")
        self.assertEqual(len(github.checks), 1)
        summary = (self.root / "summary").read_text()
        commands = COMMAND.findall((self.root / "annotations").read_text())
        annotations = [
            Annotation(level, f"{title}: {text}".replace("%0A", "\n"), path or None, int(line or 0))
            for level, path, line, title, text in commands
        ]
        comments = [comment["body"].partition("\n")[2] for comment in github.comments]
        return Shown(result.returncode, summary, "".join(comments), tuple(annotations))
