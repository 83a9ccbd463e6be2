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

from data_contract_components.data_assets._embedded_postgres import stop_embedded_postgres
from tests import ROOT, SHARED_DIRECTORY, copy_repository

# In the order in which a reader comes to them: one clone, in which each page finds what the pages before it left.
PAGES_OF_THE_CLONE = (
    "README.md",
    "docs/tutorial.md",
    "docs/consumer-queries.md",
    "docs/contract-format.md",
    "docs/odcs.md",
    "docs/pull-requests.md",
    "docs/development.md",
    "docs/architecture.md",
    "CONTRIBUTING.md",
)
OWN_PROJECT = "docs/own-project.md"
PAGES = {page: (ROOT / page).read_text(encoding="utf-8") for page in (*PAGES_OF_THE_CLONE, OWN_PROJECT)}
BLOCK = re.compile(r"^(?:<!-- (?P<task>.+?) -->\n)?```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]+\]\((?!https?://)(?P<path>[^)#]*)(?:#(?P<anchor>[^)]+))?\)")
# Whoever runs these tests by `make test` has set more than a reader has.
NOT_A_READERS = ("DATABASE_URL", "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "VENV", "VIRTUAL_ENV")
# What differs from run to run; and what Python 3.13 and newer add below the failing line.
VARYING = {
    r"(?<=tests in )[\d.]+s": "…",
    r"(?<=\()[0-9a-f]{12}(?=\)(?:$|: \d))": "…",
    r"[0-9a-f]{12}(?=_(?:add|drop)_\w+\.py|(?: \(head\))?, (?:add|drop) )": "…",
    r"^ +~+\^+\n": "",
    r"[ \t]+$": "",
}
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


class PageTestCase(unittest.TestCase):
    """A reader with a home of their own, who types what a page says in `clone`."""

    maxDiff = None

    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="docs ", suffix=" of a new user"))
        self.addCleanup(shutil.rmtree, self.directory)
        self.directory.chmod(0o755)  # as a reader's; for root, programs in a closed directory are copied at each start
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
        self.status = result.returncode
        return result.stdout.replace(str(self.clone), "/workspace")

    def edit(self, task: str, text: str, replacement: str) -> None:
        """What a reader does with an editor; the task is in a comment of the page, which is not shown."""
        name = task.split()[-1]
        path = self.clone / name if task.startswith("write to") else next(self.clone.glob(name))
        before = path.read_text() if path.exists() else ""
        if task.startswith("write to"):
            after = text
        elif task.startswith("add to the end"):
            after = f"{before}\n{text}"
        elif task.startswith("add to upgrade()"):
            after = before.replace("\n\n\ndef downgrade()", f"\n{text}\n\ndef downgrade()")
        elif task.startswith("replace the end"):
            after = before[: before.index("def downgrade()")] + text
        else:
            self.assertEqual(before.count(text), 1, f"to be replaced, in {path}:\n{text}")
            after = before.replace(text, replacement)
        self.assertNotEqual(before, after)
        path.write_text(after)

    def follow(self, page: str) -> None:
        """Does what the page says, and compares what is printed."""
        blocks = [Block(**match.groupdict()) for match in BLOCK.finditer(PAGES[page])]
        for block, following in itertools.pairwise([*blocks, Block(None, "", "")]):
            if block.task:
                self.edit(block.task, block.text, following.text)
            if block.language == "shell":
                output = self.shell(block.text)
                if following.language == "text":
                    self.assertEqual(normalized(output), normalized(following.text), f"{page}\n{block.text}")
                else:
                    self.assertEqual(self.status, 0, f"{page}\n{block.text}\n{output}")


class TestPages(PageTestCase):
    def setUp(self) -> None:
        super().setUp()
        copy_repository(self.directory / "source")
        self.shell(
            'cd source && git init -q -b main && git add . && git commit -q -m all && git clone -q --bare . "$FORK"'
        )

    def test_every_command_prints_what_the_page_says(self) -> None:
        for page in PAGES_OF_THE_CLONE:
            self.place = self.directory if page == "README.md" else self.clone
            self.follow(page)
        self.shell("make clean")
        self.assertFalse((self.clone / ".postgres").exists())
        self.assertFalse((self.clone / ".venv").exists())


class TestOwnProject(PageTestCase):
    """The page for a project of its own, whose environment has the package."""

    def test_every_command_prints_what_the_page_says(self) -> None:
        self.clone = self.place = self.directory / "shop"
        shutil.copytree(ROOT / "tests/own_project", self.clone)
        environment = {"PATH": f"{Path(sys.executable).parent}:{self.environment['PATH']}", "PYTHONPATH": str(ROOT)}
        self.environment |= environment
        self.shell("git init -q -b main && git add . && git commit -q -m all")
        self.addCleanup(lambda: stop_embedded_postgres(self.clone / ".postgres"))
        self.follow(OWN_PROJECT)


class TestText(unittest.TestCase):
    def test_each_output_block_follows_the_commands_that_print_it(self) -> None:
        for page, text in PAGES.items():
            languages = [match["language"] for match in BLOCK.finditer(text)]
            self.assertEqual(languages.count("shell"), text.count("```shell\n"), page)
            for before, language in itertools.pairwise(languages):
                if language == "text":
                    self.assertEqual(before, "shell", page)

    def test_each_link_leads_to_a_file_and_a_heading(self) -> None:
        for page, text in PAGES.items():
            for match in LINK.finditer(text):
                with self.subTest(page, link=match[0]):
                    target = (ROOT / page).parent / match["path"] if match["path"] else ROOT / page
                    self.assertTrue(target.exists())
                    if match["anchor"]:
                        headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
                        anchors = [re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings]
                        self.assertIn(match["anchor"], anchors)

    def test_each_file_that_is_named_is_there(self) -> None:
        components = ROOT / "data_contract_components"
        for name in re.findall(r"`([a-z_]+/[\w./]+)`", PAGES["docs/architecture.md"] + PAGES["docs/development.md"]):
            if not name.startswith(("data_assets", "detection", "prevention", "contract_definition", "db_migrations")):
                continue
            with self.subTest(name):
                folder = components / "data_assets" if name.startswith("db_migrations") else components
                self.assertTrue((folder / name).exists())

    @unittest.skipUnless(SHARED_DIRECTORY.exists(), "the chapter is not beside this repository")
    def test_the_chapters_blocks_are_in_it_line_by_line(self) -> None:
        chapter = (SHARED_DIRECTORY / "chapter/chapter-7.txt").read_text(encoding="utf-8")
        text = "\n".join(PAGES.values())
        lines = tuple(collapsed for line in text.splitlines() if len(collapsed := " ".join(line.split())) > 8)
        chapters_lines = [match[0] for match in CHAPTERS_LINES.finditer(chapter)]
        self.assertEqual(len(chapters_lines), 47)
        self.assertEqual([line for line in chapters_lines if not line.startswith(lines)], [])
