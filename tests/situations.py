"""Pull requests, each with what people see of it: for tests/test_situations.py and tests/test_github_runner.py."""

import json
import re
import subprocess
import unittest
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tests import CONTRACTS, VERSIONS
from tests.repositories import CONTRACT, NEW_BLOCK, SEED, render_revision

Edit = Callable[[Path], None]
OWNER = "Data Engineering Team"
VIOLATIONS = "❌ Data contract violations detected:"
NOT_CHECKED = "⚠️ Data contracts could not be checked:"
KEPT = "✅ All data contracts are kept."
DELETED = "❓ All data contracts are kept, but one was deleted; its owner must agree:"
ASKS = "❓ All data contracts are kept, but one promises less than before; its owner must agree:"
LOOSENED = "⚠️ All current contracts pass, but one was loosened, and its old promises are broken:"
TAGS_CONTRACT = CONTRACTS / "object_tags_contract_spec.json"
NEW_CONTRACT = CONTRACTS / "object_images_normalized_contract_spec.json"
DROP = VERSIONS / "c0de_drop_primary_image.py"


@dataclass(frozen=True)
class Expected:
    """An annotation with `text` in it, on a line of the branch with `line_text`; without a line, `path` is None."""

    level: str
    text: str
    path: Path | None = None
    line_text: str = ""


@dataclass(frozen=True)
class Annotation:
    """An annotation as it was made."""

    level: str
    text: str
    path: str | None
    line: int


@dataclass(frozen=True)
class Situation:
    """A pull request: what `main` has, what the branch changes, what `main` got since then; and what people see.

    `comment` and `summary` are their first lines; there is no comment where it is "". `texts` are in the summary, and
    in the comment if there is one. `annotations` are those that are not just notices.
    """

    name: str
    edits: tuple[Edit, ...]
    status: int
    summary: str
    comment: str = ""
    texts: tuple[str, ...] = ()
    annotations: tuple[Expected, ...] = ()
    base: tuple[Edit, ...] = ()
    later: tuple[Edit, ...] = ()
    loosened: str = "fail"


@dataclass(frozen=True)
class Shown:
    """What people see; `comment` is without its hidden line, and "" if there is none."""

    status: int
    summary: str
    comment: str
    annotations: tuple[Annotation, ...]


class SituationTestCase(unittest.TestCase):
    """Each test has a repository at `root`; a subclass fills it, and shows what becomes of its pull request."""

    root: Path

    def show(self, situation: Situation) -> Shown:
        raise NotImplementedError

    def git(self, *arguments: str) -> str:
        command = ["git", *arguments]
        return subprocess.run(command, cwd=self.root, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, edits: tuple[Edit, ...]) -> None:
        for edit in edits:
            edit(self.root)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message=A change")

    def make_branches(self, situation: Situation) -> None:
        """The repository has `main`, and `feature` is checked out."""
        self.git("init", "--quiet", "--initial-branch=main")
        self.commit(situation.base)
        self.git("checkout", "--quiet", "-b", "feature")
        self.commit(situation.edits)
        if situation.later:
            self.git("checkout", "--quiet", "main")
            self.commit(situation.later)
            self.git("checkout", "--quiet", "feature")

    def find_lines_of_diff(self) -> set[tuple[str, int]]:
        """The lines of the branch that GitHub shows: the changed ones, and three before and after each."""
        lines, path = set(), ""
        for line in self.git("diff", "main...feature").splitlines():
            if line.startswith("+++ "):
                path = line.removeprefix("+++ b/")
            elif match := re.match(r"@@ -\S+ \+(\d+)(?:,(\d+))? @@", line):
                lines |= {(path, int(match[1]) + number) for number in range(int(match[2] or 1))}
        return lines

    def assert_shown(self, situation: Situation, shown: Shown) -> None:
        self.assertEqual(shown.status, situation.status, shown)
        self.assertEqual(shown.summary.partition("\n")[0], situation.summary)
        self.assertEqual(shown.comment.partition("\n")[0], situation.comment)
        for text in situation.texts:
            for place in (shown.summary, *([shown.comment] if shown.comment else [])):
                self.assertIn(text, place)
        of_diff = self.find_lines_of_diff()
        self.assertEqual([a for a in shown.annotations if a.path and (a.path, a.line) not in of_diff], [])
        grave = [annotation for annotation in shown.annotations if annotation.level != "notice"]
        self.assertEqual(len(grave), len(situation.annotations), grave)
        for annotation, expected in zip(grave, situation.annotations, strict=True):
            path = str(expected.path) if expected.path else None
            self.assertEqual((annotation.level, annotation.path), (expected.level, path), annotation)
            self.assertIn(expected.text, annotation.text)
            if path:
                line = self.git("show", f"feature:{path}").splitlines()[annotation.line - 1]
                self.assertIn(expected.line_text, line)


C = TypeVar("C", bound=type[SituationTestCase])


def with_a_test_of_each_situation(test_case: C) -> C:
    def make_test(situation: Situation) -> Callable[[SituationTestCase], None]:
        return lambda test: test.assert_shown(situation, test.show(situation))

    for situation in SITUATIONS:
        setattr(test_case, f"test_{re.sub(r'[^a-z]+', '_', situation.name.lower())}", make_test(situation))
    return test_case


def write(path: Path, text: str) -> Edit:
    def edit(root: Path) -> None:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)

    return edit


def delete(path: Path) -> Edit:
    return lambda root: (root / path).unlink()


def replace(path: Path, old: str, new: str) -> Edit:
    def edit(root: Path) -> None:
        text = (root / path).read_text()
        assert old in text, f"{path} has no {old!r}"
        (root / path).write_text(text.replace(old, new))

    return edit


def change_contract(change: Callable[[Any], Any], path: Path = CONTRACT, source: Path = CONTRACT) -> Edit:
    """The contract at `path` is that at `source`, after `change` was called with it."""

    def edit(root: Path) -> None:
        spec = json.loads((root / source).read_text())
        change(spec)
        (root / path).write_text(json.dumps(spec, indent=2) + "\n")

    return edit


def rename_as_in_the_chapter(root: Path) -> None:
    text = (root / SEED).read_text()
    start = text.rindex("        sa.Column(", 0, text.index('"primary_image",', text.index('"object_images",')))
    end = text.index("        sa.Column(", text.index('"additional_images",', start))
    (root / SEED).write_text(text[:start] + NEW_BLOCK + text[end:])


def add_lines_above(root: Path) -> None:
    text = (root / SEED).read_text()
    (root / SEED).write_text(text.replace("\nrevision", "\n" + "# A line.\n" * 21 + "\nrevision", 1))


def revision(body: str, path: Path = DROP) -> Edit:
    return write(path, render_revision("c0de", "00e9b3375a5f", body))


def name_table(name: str) -> Callable[[Any], None]:
    """A contract becomes one of another table, which promises its key only."""

    def change(spec: Any) -> None:
        spec["name"] = f"{name}-contract-spec".replace("_", "-")
        spec["schema"]["table_name"] = name
        spec["schema"]["properties"] = {"object_id": spec["schema"]["properties"]["object_id"]}

    return change


def loosen(spec: Any) -> None:
    del spec["schema"]["properties"]["primary_image"]


def make_draft(spec: Any) -> None:
    spec["spec-version"] = "1.1.0"
    spec["status"] = "draft"


ADD_NOTE = write(Path("docs/note.md"), "A note.\n")
DROP_COLUMN = revision('op.drop_column("object_images", "primary_image")')
DROPPED = Expected("error", "Column 'primary_image' is defined in contract but missing", DROP, "op.drop_column")
ADD_TAGS_CONTRACT = change_contract(name_table("object_tags"), TAGS_CONTRACT)
RENAMED = (
    # One cause, one annotation.
    Expected("error", "it seems renamed to 'image'\nColumn 'additional_images' is", SEED, '"image",'),
)

SITUATIONS = (
    Situation("nothing that a contract is about", (ADD_NOTE,), 0, KEPT),
    Situation(
        "a column dropped by a new revision",
        (DROP_COLUMN,),
        1,
        VIOLATIONS,
        VIOLATIONS,
        (OWNER, "object_images_contract_spec"),
        (DROPPED,),
    ),
    Situation(
        "the chapter's rename in the old revision",
        (rename_as_in_the_chapter,),
        1,
        VIOLATIONS,
        VIOLATIONS,
        (OWNER,),
        RENAMED,
    ),
    Situation(
        "the same while main moves on in the same file",
        (rename_as_in_the_chapter,),
        1,
        VIOLATIONS,
        VIOLATIONS,
        (OWNER,),
        RENAMED,
        later=(add_lines_above,),
    ),
    Situation(
        "a column retyped",
        (revision('op.alter_column("object_images", "primary_image", type_=sa.String(200))'),),
        1,
        VIOLATIONS,
        VIOLATIONS,
        (OWNER,),
        (Expected("error", "expected text, found character varying", DROP, "op.alter_column"),),
    ),
    Situation("a contract loosened alone", (change_contract(loosen),), 0, ASKS, ASKS, (OWNER,)),
    Situation(
        "a contract loosened together with its table",
        (change_contract(loosen), DROP_COLUMN),
        1,
        VIOLATIONS,
        VIOLATIONS,
        (OWNER,),
        (DROPPED,),
    ),
    Situation(
        "the same where the repository only reports it",
        (change_contract(loosen), DROP_COLUMN),
        0,
        LOOSENED,
        LOOSENED,
        (OWNER,),
        (Expected("warning", DROPPED.text, DROP, DROPPED.line_text),),
        loosened="report",
    ),
    Situation(
        "a contract of a table that is not there yet",
        (change_contract(name_table("object_images_normalized"), NEW_CONTRACT),),
        1,
        VIOLATIONS,
        VIOLATIONS,
        (OWNER,),
        (Expected("error", "object_images_normalized", NEW_CONTRACT, '"table_name": "object_images_normalized"'),),
    ),
    Situation(
        "a contract that the base breaks already",
        (ADD_NOTE,),
        1,
        VIOLATIONS,
        VIOLATIONS,
        (OWNER,),
        (Expected("warning", "Already broken in the base"),),
        base=(DROP_COLUMN,),
    ),
    Situation(
        "a contract deleted together with its table",
        (delete(TAGS_CONTRACT), revision('op.drop_table("object_tags")')),
        1,
        VIOLATIONS,
        VIOLATIONS,
        (OWNER,),
        (Expected("error", "object_tags", DROP, "op.drop_table"),),
        base=(ADD_TAGS_CONTRACT,),
    ),
    Situation(
        "a contract deleted alone", (delete(TAGS_CONTRACT),), 0, DELETED, DELETED, (OWNER,), base=(ADD_TAGS_CONTRACT,)
    ),
    Situation(
        "a draft broken",
        (change_contract(name_table("nosuch"), NEW_CONTRACT), change_contract(make_draft, NEW_CONTRACT, NEW_CONTRACT)),
        0,
        KEPT,
        annotations=(Expected("warning", "not enforced (draft)", NEW_CONTRACT, '"table_name": "nosuch"'),),
    ),
    Situation(
        "a migration with a syntax error",
        (write(DROP, "def upgrade(:\n    pass\n"),),
        2,
        NOT_CHECKED,
        NOT_CHECKED,
        (DROP.name,),
        (Expected("error", "invalid syntax", DROP, "def upgrade(:"),),
    ),
    Situation(
        "a migration that fails in SQL",
        (revision('op.drop_column("object_images", "nosuch")'),),
        2,
        NOT_CHECKED,
        NOT_CHECKED,
        (DROP.name,),
        (Expected("error", "nosuch", DROP, "op.drop_column"),),
    ),
    Situation(
        "a contract file that is not JSON",
        (write(CONTRACT, "{\n  nothing\n"),),
        2,
        NOT_CHECKED,
        NOT_CHECKED,
        (CONTRACT.name,),
        (Expected("error", "not valid JSON", CONTRACT, "nothing"),),
    ),
    Situation(
        "a variable of the repository with a typo",
        (ADD_NOTE,),
        2,
        NOT_CHECKED,
        NOT_CHECKED,
        ("LOOSENED_CONTRACTS", '"Report"'),
        (Expected("error", "LOOSENED_CONTRACTS", Path("docs/note.md"), "A note."),),
        loosened="Report",
    ),
)
