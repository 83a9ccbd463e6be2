import itertools
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from dataclasses import dataclass
from pathlib import Path

from tests import ROOT, SHARED_DIRECTORY

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^(?:<!-- (?P<task>.+?) -->\n)?```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
NOT_OF_THE_PROJECT = shutil.ignore_patterns(".git", ".venv", ".postgres", "__pycache__", ".*_cache")
# Whoever runs these tests by `make test` has set more than a reader has.
NOT_A_READERS = ("DATABASE_URL", "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "VENV", "VIRTUAL_ENV")
# What differs from run to run; and what Python 3.13 and newer add below the failing line.
VARYING = {r"(?<=tests in )[\d.]+s": "…", r"(?<=since main \()[0-9a-f]{12}": "…", r"^ +~+\^+\n": "", r"[ \t]+$": ""}
# The lines that the chapter's commands print. Its text has lost indentation, and prose may follow on the same line.
CHAPTERS_LINES = re.compile(
    r"^(INFO |test_(?:all|data_contracts)|Test that|FAIL:|FAILED|self\.fail"
    r"|AssertionError|Missing:|\d\. Contract:|Table:|Column:|Issue:).*",
    re.MULTILINE,
)


@dataclass
class Block:
    task: str | None
    language: str
    text: str


def normalized(text: str) -> str:
    for pattern, replacement in VARYING.items():
        text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
    return text.strip("\n")


class TestTutorial(unittest.TestCase):
    maxDiff = None

    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="readme ", suffix=" of a new user"))
        self.addCleanup(shutil.rmtree, self.directory)
        self.directory.chmod(0o755)  # as a reader's; for root, programs in a closed directory are copied at each start
        source = self.directory / "source"
        shutil.copytree(ROOT, source, ignore=NOT_OF_THE_PROJECT)
        self.environment = {name: value for name, value in os.environ.items() if name not in NOT_A_READERS}
        self.environment |= {
            "FORK": str(self.directory / "fork.git"),
            "PYTHON": os.path.realpath(sys.executable),
            # Most of what is installed is never imported, and the rest is compiled when it is.
            "PIP_COMPILE": "no",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_AUTHOR_NAME": "A Reader",
            "GIT_AUTHOR_EMAIL": "reader@example.org",
            "GIT_COMMITTER_NAME": "A Reader",
            "GIT_COMMITTER_EMAIL": "reader@example.org",
        }
        self.place = self.directory
        self.shell(
            'cd source && git init -q -b main && git add . && git commit -q -m all && git clone -q --bare . "$FORK"'
        )
        self.place = self.directory
        self.clone = self.directory / "data-contracts"

    def shell(self, commands: str) -> str:
        """What the commands print; a later call goes on in the directory and the environment where they ended."""
        state = self.directory / "state"
        script = f"{commands}\nstatus=$?\n{{ pwd; printenv PATH; }} > '{state}'\nexit $status"
        result = subprocess.run(
            ["bash", "-c", script],
            cwd=self.place,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        place, path = state.read_text().splitlines()
        self.place = Path(place)
        self.environment["PATH"] = path
        is_failure_told = re.search("FAILED|Error", result.stdout)
        self.assertTrue(result.returncode == 0 or is_failure_told, f"{commands}\n{result.stdout}")
        return result.stdout.replace(f"{self.directory}/data-contracts", "/workspace")

    def edit(self, task: str, text: str, replacement: str) -> None:
        """What a reader does with an editor; the task is in a comment of the README, which is not shown."""
        path = self.clone / task.split()[-1]
        before = path.read_text()
        if task.startswith("write to"):
            after = text
        elif task.startswith("add to upgrade()"):
            after = before.replace("\n\n\ndef downgrade()", f"\n{text}\n\ndef downgrade()")
        elif task.startswith("replace the end"):
            after = before[: before.index("def downgrade()")] + text
        else:
            self.assertEqual(before.count(text), 1, f"to be replaced, in {path}:\n{text}")
            after = before.replace(text, replacement)
        self.assertNotEqual(before, after)
        path.write_text(after)

    def test_every_command_prints_what_the_readme_says(self) -> None:
        blocks = [Block(**match.groupdict()) for match in BLOCK.finditer(README)]
        for block, following in zip(blocks, [*blocks[1:], Block(None, "", "")], strict=True):
            if block.task:
                self.edit(block.task, block.text, following.text)
            if block.language == "shell":
                output = self.shell(block.text)
                if following.language == "text":
                    self.assertEqual(normalized(output), normalized(following.text), block.text)
        self.shell("make clean")
        self.assertFalse((self.clone / ".postgres").exists())
        self.assertFalse((self.clone / ".venv").exists())


class TestReadme(unittest.TestCase):
    def test_each_output_block_follows_the_commands_that_print_it(self) -> None:
        languages = [match["language"] for match in BLOCK.finditer(README)]
        self.assertEqual(languages.count("shell"), README.count("```shell\n"))
        for before, language in itertools.pairwise(languages):
            if language == "text":
                self.assertEqual(before, "shell")

    @unittest.skipUnless(SHARED_DIRECTORY.exists(), "the chapter is not beside this repository")
    def test_the_chapters_blocks_are_in_it_line_by_line(self) -> None:
        chapter = (SHARED_DIRECTORY / "chapter/chapter-7.txt").read_text(encoding="utf-8")
        lines = tuple(collapsed for line in README.splitlines() if len(collapsed := " ".join(line.split())) > 8)
        chapters_lines = [match[0] for match in CHAPTERS_LINES.finditer(chapter)]
        self.assertEqual(len(chapters_lines), 47)
        self.assertEqual([line for line in chapters_lines if not line.startswith(lines)], [])
