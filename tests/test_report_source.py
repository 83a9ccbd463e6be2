import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

from tests import ROOT

CODE = (
    "import json, os, sys; from data_contract_components.prevention.contract_report.report_source import "
    "get_report_source; print(json.dumps(vars(get_report_source(os.environ, *sys.argv[1:]))))"
)
VARIABLES = ("GITHUB_HEAD_REF", "GITHUB_REF_NAME", "GITHUB_REF", "DATABASE_URL", "PGHOST", "PGPORT")


class TestReportSource(unittest.TestCase):
    """A project in a git repository of its own."""

    def setUp(self) -> None:
        self.root = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.root)
        (self.root / "pyproject.toml").write_text("[tool.data_contracts]\n")
        environment = {name: value for name, value in os.environ.items() if name not in VARIABLES}
        environment |= {"PYTHONPATH": str(ROOT), "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
        environment |= {f"GIT_{role}_NAME": "Somebody" for role in ("AUTHOR", "COMMITTER")}
        environment |= {f"GIT_{role}_EMAIL": "somebody@museum.org" for role in ("AUTHOR", "COMMITTER")}
        self.enterContext(mock.patch.dict(os.environ, environment, clear=True))

    def git(self, *arguments: str) -> str:
        command = ["git", *arguments]
        return subprocess.run(command, cwd=self.root, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, message: str = "A change") -> str:
        self.git("add", "--all")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def source(self, *head: str, **variables: str) -> dict[str, Any]:
        command = [sys.executable, "-c", CODE, *head]
        environment = os.environ | variables
        result = subprocess.run(command, cwd=self.root, env=environment, check=True, capture_output=True, text=True)
        source: dict[str, Any] = json.loads(result.stdout)
        self.assertRegex(source.pop("date"), re.compile(r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$"))
        return source

    def test_a_pull_request_has_its_branch_number_and_last_commit_and_no_password(self) -> None:
        self.git("init", "-q", "-b", "main")
        self.commit()
        self.git("checkout", "-q", "-b", "feature")
        head = self.commit("Of the pull request")
        self.git("checkout", "-q", "main")
        self.commit()
        self.git("checkout", "-q", "--detach")
        self.git("merge", "-q", "--no-ff", "-m", "Merge", "feature")
        source = self.source(
            "HEAD^2",
            GITHUB_HEAD_REF="feature",
            GITHUB_REF_NAME="7/merge",
            GITHUB_REF="refs/pull/7/merge",
            DATABASE_URL="postgresql://museum:s3cret@db.museum.org:5433/guide?sslmode=require",
        )
        self.assertEqual(
            source,
            {
                "commit": head,
                "branch": "feature",
                "pull_request": 7,
                "database": 'PostgreSQL at host "db.museum.org", port 5433, database "guide"',
            },
        )
        self.assertEqual(self.source(GITHUB_REF_NAME="7/merge", GITHUB_REF="refs/pull/7/merge")["branch"], None)

    def test_a_push_has_its_branch_and_no_pull_request(self) -> None:
        self.git("init", "-q", "-b", "main")
        commit = self.commit()
        self.git("checkout", "-q", "--detach")
        # Compose passes on what is not set as an empty text.
        source = self.source(GITHUB_HEAD_REF="", GITHUB_REF_NAME="release", GITHUB_REF="refs/heads/release")
        self.assertEqual((source["commit"], source["branch"], source["pull_request"]), (commit, "release", None))

    def test_on_ones_own_machine_it_is_the_current_branch_and_the_embedded_server(self) -> None:
        self.git("init", "-q", "-b", "my-change")
        commit = self.commit()
        embedded = {"branch": "my-change", "database": "the embedded PostgreSQL 18", "pull_request": None}
        self.assertEqual(self.source(), {"commit": commit} | embedded)
        self.assertFalse((self.root / ".postgres").exists())
        self.assertEqual(self.source("nosuch"), {"commit": None} | embedded)

    def test_without_a_repository_or_git_there_is_no_commit(self) -> None:
        self.assertEqual(self.source()["commit"], None)
        self.git("init", "-q", "-b", "main")
        self.assertEqual(self.source()["commit"], None)
        self.commit()
        self.assertEqual(self.source(PATH="/nonexistent")["commit"], None)

    def test_a_url_that_cannot_be_read_is_no_database(self) -> None:
        for url in ("mysql://museum:s3cret@host/guide", "postgresql://museum:s3/cr@et@host/guide"):
            self.assertIsNone(self.source(DATABASE_URL=url)["database"])
