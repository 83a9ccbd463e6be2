"""What each rendering says in each situation: dropped, renamed, changed, contract first, loosened, broken before."""

import re
import unittest
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

from data_contract_components.contract_definition.contract_spec import WHOLE_TABLE
from data_contract_components.detection.migration_changes.changes import ContractChange, Place, SchemaChange
from data_contract_components.prevention.contract_report.contract_report import (
    COULD_NOT_CHECK,
    BrokenPromise,
    ChangedFile,
    CheckedContract,
    Comparison,
    ContractReport,
    FileProblem,
    LineRange,
    Owner,
    ReportedClause,
    ReportedViolation,
    ReportSource,
)
from data_contract_components.prevention.renderings import words
from data_contract_components.prevention.renderings.annotations import render_annotations
from data_contract_components.prevention.renderings.html_page import OUTCOME_STATES, render_html
from data_contract_components.prevention.renderings.junit import render_junit
from data_contract_components.prevention.renderings.markdown import render_comment, render_summary
from data_contract_components.prevention.renderings.next_steps import find_next_steps
from data_contract_components.prevention.renderings.text import WIDTH, render_text
from tests.example_report import (
    CAUSE,
    COMMIT,
    CONTRACT,
    MIGRATION,
    RUN,
    example_contract,
    example_violation,
    missing_column,
)

OWNER = "the owner, Data Engineering Team (data-eng@museum.org)"
NEW = "object_images_normalized_contract_spec"
KEPT = example_contract(violations=(), clauses=(ReportedClause("object_id", "data_type", "integer", 26, "kept"),))


def contract_change(json_path: str, kind: Any, before: Any, after: Any, name: str = KEPT.contract_name) -> Any:
    place = Place(CONTRACT.replace(KEPT.contract_name, name), 18)
    return ContractChange(name, place, json_path, kind, before, after, "Data Engineering Team", "data-eng@museum.org")


def schema_change(change: Any, column_name: str | None, **values: Any) -> SchemaChange:
    given = {"key": None, "before": None, "after": None} | values
    table = ("public", "object_images", column_name)
    return SchemaChange(change, *table, **given, is_certain=True, contract_names=(KEPT.contract_name,), place=CAUSE)


def violations(*found: ReportedViolation, **comparison: Any) -> ContractReport:
    contracts = (example_contract(violations=found),)
    return ContractReport("violations", contracts=contracts, comparison=Comparison("main", COMMIT, **comparison))


def loosened(*changes: ContractChange, **values: Any) -> ContractReport:
    comparison = Comparison("main", COMMIT, contract_changes=changes)
    return replace(ContractReport("passed", contracts=(KEPT,), comparison=comparison), **values)


# The chapter's first edit: a column that seems renamed, and one that is gone.
EDIT = violations(
    missing_column("primary_image", cause=CAUSE, renamed_to="image"),
    missing_column("additional_images", cause=CAUSE),
    changes=(
        schema_change("removed", "additional_images"),
        schema_change("added", "is_primary_image"),
        schema_change("renamed", "primary_image", after="image"),
    ),
)
RETYPED = violations(example_violation(cause=CAUSE))
UNIQUE_GONE = violations(example_violation(column_name=WHOLE_TABLE, key="unique[0]", cause=CAUSE))
NOT_ALLOWED = violations(example_violation(column_name="size", key="additionalColumns", found="size", cause=CAUSE))
DROPPED = violations(missing_column("caption", cause=CAUSE), changes=(schema_change("removed", "caption"),))
DROPPED_TABLE = replace(
    DROPPED, contracts=(example_contract(is_table_missing=True, violations=(missing_column("a", cause=CAUSE),)),)
)
# The chapter's second step: the contract of a table that no migration creates yet.
NEW_CONTRACT = example_contract(
    contract_name=NEW,
    path=CONTRACT.replace(KEPT.contract_name, NEW),
    table_name="object_images_normalized",
    is_table_missing=True,
    violations=(missing_column("object_id"), missing_column("image")),
)
CONTRACT_FIRST = replace(
    loosened(contract_change("$", "added", None, "object_images_normalized", NEW)),
    outcome="violations",
    contracts=(KEPT, NEW_CONTRACT),
)
NEW_COLUMN = violations(
    missing_column("caption"),
    contract_changes=(contract_change("$.schema.properties.caption", "added", None, {"constraints": {}}),),
)
STRICTER = violations(
    example_violation(key="is_nullable", expected=False, found=True),
    contract_changes=(
        contract_change("$.schema.properties.object_id.constraints.is_nullable", "tightened", True, False),
    ),
)
LOOSENED = loosened(contract_change("$.schema.properties.primary_image", "removed", {"description": "URL"}, None))
DELETED = loosened(contract_change("$", "removed", "object", None, "object_contract_spec"))
PROMISE = BrokenPromise(
    contract_name=KEPT.contract_name,
    path=CONTRACT,
    line=18,
    owner=Owner("Data Engineering Team", "data-eng@museum.org"),
    table_schema="public",
    table_name="object_images",
    is_table_missing=False,
    violations=(missing_column("primary_image", cause=CAUSE),),
    is_deleted=False,
)
ONLY_REPORTED = replace(
    LOOSENED,
    comparison=Comparison(
        "main",
        COMMIT,
        contract_changes=LOOSENED.comparison.contract_changes if LOOSENED.comparison else (),
        broken_promises=(PROMISE,),
    ),
)
LOOSENED_AND_BROKEN = replace(ONLY_REPORTED, outcome="violations")
EARLIER = violations(example_violation(is_earlier=True))
NOT_COMPARED = replace(EDIT, comparison=None, contracts=(example_contract(violations=(missing_column("a"),)),))
UNEXPLAINED = violations(missing_column("a"))
DRAFT = replace(
    CONTRACT_FIRST, outcome="passed", contracts=(KEPT, replace(NEW_CONTRACT, enforcement="reported", status="draft"))
)
PASSED = loosened(contract_change("$.doc", "metadata", "a", "b"))
NO_CONTRACT = ContractReport(
    COULD_NOT_CHECK,
    "contracts: holds no contract (*_contract_spec.json)",
    problems=(FileProblem("contracts", None, "holds no contract (*_contract_spec.json)"),),
)
NO_DATABASE = ContractReport(COULD_NOT_CHECK, "no database")
NO_BASE = replace(PASSED, outcome=COULD_NOT_CHECK, comparison=Comparison("main", error="no such commit"))
ALL = {name: report for name, report in vars().items() if isinstance(report, ContractReport)}


def steps_of(report: ContractReport) -> list[str]:
    """All steps, and before them the title of their group if there are several."""
    groups = find_next_steps(report)
    titles = [[f"{group.title}:"] if len(groups) > 1 else [] for group in groups]
    return [
        line
        for title, group in zip(titles, groups, strict=True)
        for line in (*title, *group.steps, group.alternative)
        if line
    ]


def situation_of(contract: CheckedContract, violation: ReportedViolation, comparison: Comparison | None) -> str:
    (situation,) = words.find_situations(replace(contract, violations=(violation,)), comparison).values()
    return situation


class TestNextSteps(unittest.TestCase):
    maxDiff = None

    def test_the_chapters_edit_keeps_the_old_columns_beside_the_new_ones(self) -> None:
        self.assertEqual(
            steps_of(EDIT),
            [
                f"Talk to {OWNER}, about the consumers of the table.",
                "Keep the name of object_images.primary_image, and add image beside it.",
                "Keep object_images.additional_images, and put the change beside it, into a new column, or a new table "
                "with a contract of its own.",
                "When all consumers have moved, remove the old part from the contract, and then from the database.",
                "Or change the contract together: when the owner and the consumers agree, change it in a pull request "
                "of its own, and merge that one first.",
            ],
        )

    def test_each_way_to_break_a_promise_has_its_own_way_to_keep_it(self) -> None:
        for report, step in (
            (RETYPED, "Leave object_images.object_id as promised, and put the change beside it, into a new column."),
            (UNIQUE_GONE, "Leave public.object_images as promised, and put the change into a new table."),
            (NOT_ALLOWED, "Put object_images.size into another table: the contract allows no other columns."),
            (DROPPED, "Keep object_images.caption until all consumers have moved."),
            (DROPPED_TABLE, "Keep public.object_images until all consumers have moved."),
            (
                replace(DROPPED_TABLE, comparison=Comparison("main", COMMIT, changes=(schema_change("added", None),))),
                "Keep public.object_images, and put the change into a new table with a contract of its own.",
            ),
        ):
            self.assertEqual(steps_of(report)[1], step)
            self.assertIn("Subject: A change to public.object_images would break", render_comment(report, "", RUN))

    def test_where_nothing_was_added_the_message_offers_nothing_new(self) -> None:
        for report, part in ((DROPPED, "column"), (DROPPED_TABLE, "table")):
            self.assertIn(
                f"How should we proceed? I could keep the {part} until all consumers have moved,\n"
                "or we could change the contract together.\n",
                render_comment(report, "", RUN),
            )
        self.assertIn("I could leave the table as it is and put the change\ninto", render_comment(EDIT, "", RUN))

    def test_the_alternative_is_not_one_of_the_numbered_steps(self) -> None:
        text = "Or change the contract together: when the owner"
        self.assertRegex(render_comment(EDIT, "", RUN), rf"\n4\. When all .*\n\n{text}")
        self.assertRegex(render_text(EDIT), rf"\n  4\. When all .*\n.*\n  {text}")
        self.assertIn(f"</ol>\n<p>{text}", render_html(EDIT))

    def test_where_no_contract_is_left_one_is_to_be_restored(self) -> None:
        step = "Restore a contract, or write one: the check needs at least one."
        self.assertEqual(steps_of(NO_CONTRACT), [step])
        self.assertIn(f"1. {step}\n", render_summary(NO_CONTRACT, "", RUN))
        self.assertIn(f"1. {step}\n", render_text(NO_CONTRACT))
        self.assertIn(f"<li>{step}</li>", render_html(NO_CONTRACT))
        self.assertEqual(
            render_annotations(replace(NO_CONTRACT, diff=(ChangedFile(CONTRACT, (LineRange(1, 2),)),))),
            "::error title=Contract file to fix::holds no contract (*_contract_spec.json)%0Ain contracts\n",
        )

    def test_a_contract_that_comes_first_asks_for_the_migration_and_nobody_for_anything(self) -> None:
        for report, migration, other in (
            (CONTRACT_FIRST, "creates public.object_images_normalized", "Or, if the table is to come later, give"),
            (NEW_COLUMN, "adds object_images.caption", "Or correct the contract"),
            (STRICTER, "makes object_images.object_id what the contract promises", "Or correct the contract"),
        ):
            with self.subTest(migration):
                first, second = steps_of(report)
                self.assertIn(f"Write the migration that {migration}, in this pull request.", first)
                self.assertTrue(second.startswith(other), second)
                comment, page = render_comment(report, "", RUN), render_html(report)
                self.assertTrue(comment.startswith("❌ Data contract violations detected:\n"))
                for text in (comment, page):
                    self.assertIn("Promised, not built yet: the migration is missing.", text)
                    self.assertNotIn("A message to the owner", text)
                for text in (comment, page, render_text(report), render_summary(report, "", RUN)):
                    self.assertNotIn("would break", text)
                    self.assertNotIn("consumers have moved", text)
                self.assertIn("Not built yet: ", page)
                verdict = "is promised, not built yet: the migration is missing:"
                self.assertIn(verdict, render_annotations(report))
                self.assertIn("not built yet\n", render_text(report).splitlines(keepends=True)[0])

    def test_what_a_branch_adds_and_drops_or_changes_again_is_not_contract_first(self) -> None:
        (caption,) = NEW_COLUMN.contracts[0].violations
        dropped = replace(caption, cause=CAUSE)
        comparison = NEW_COLUMN.comparison
        self.assertEqual(situation_of(KEPT, dropped, comparison), "dropped")
        other_type = replace(dropped, key="data_type", message="Data Type: expected text, found json")
        self.assertEqual(situation_of(KEPT, other_type, comparison), "promised")
        (nullable,) = STRICTER.contracts[0].violations
        self.assertEqual(situation_of(KEPT, replace(nullable, cause=CAUSE), STRICTER.comparison), "changed")
        # Another clause of the same column, and another contract.
        self.assertEqual(situation_of(KEPT, replace(nullable, key="data_type"), STRICTER.comparison), "not known")
        self.assertEqual(situation_of(NEW_CONTRACT, nullable, STRICTER.comparison), "not known")

    def test_a_draft_that_becomes_active_before_its_table_is_there_is_contract_first(self) -> None:
        report = violations(missing_column("a"), contract_changes=(contract_change("$.status", "tightened", "", ""),))
        self.assertEqual(words.render_outcome(report), "violations: 1 of 1 contract not built yet")

    def test_a_loosened_contract_asks_its_owner_and_once_it_is_broken_it_fails(self) -> None:
        self.assertEqual(
            steps_of(LOOSENED),
            [
                f"Ask {OWNER}, to approve this pull request: only the owner may change the contract.",
                "When the owner and the consumers agree, merge it, before any migration that needs it.",
                "If they do not agree, take the change of the contract back.",
            ],
        )
        self.assertIn(f"Ask {OWNER}: only the owner may change the contract.", steps_of(LOOSENED_AND_BROKEN)[0])
        self.assertIn(f"Ask {OWNER}, to approve this pull request", steps_of(ONLY_REPORTED)[0])
        for report in (LOOSENED_AND_BROKEN, ONLY_REPORTED):
            self.assertIn("Subject: May I loosen object_images_contract_spec?\n", render_comment(report, "", RUN))

    def test_what_the_base_breaks_is_fixed_there_and_asks_nobody(self) -> None:
        self.assertEqual(
            steps_of(EARLIER),
            [
                "Fix object_images.object_id in the base first, in a pull request of its own: by a migration, or by a "
                f"change of the contract together with {OWNER}.",
                "Then merge the base into this branch.",
            ],
        )
        self.assertNotIn("A message to the owner", render_comment(EARLIER, "", RUN))

    def test_without_a_comparison_nobody_is_said_to_have_changed_anything(self) -> None:
        self.assertIn("Find out what changed: with --base", steps_of(NOT_COMPARED)[0])
        self.assertIn("no migration and no contract of this branch explains", steps_of(UNEXPLAINED)[0])
        failed = replace(NOT_COMPARED, comparison=Comparison("main", error="no such commit"))
        self.assertIn("Fix the comparison with the base first", steps_of(failed)[0])
        for report in (NOT_COMPARED, UNEXPLAINED, failed):
            comment = render_comment(report, "", RUN)
            self.assertIn("Subject: public.object_images does not keep object_images_contract_spec\n", comment)
            self.assertNotIn("My change", comment)

    def test_a_draft_asks_for_nothing(self) -> None:
        self.assertEqual(steps_of(DRAFT), [])
        self.assertNotIn("A message to the owner", render_summary(DRAFT, "", RUN))

    def test_several_situations_have_a_title_each(self) -> None:
        report = replace(
            CONTRACT_FIRST, contracts=(*CONTRACT_FIRST.contracts, *EARLIER.contracts, *RETYPED.contracts, NEW_CONTRACT)
        )
        titles = [
            "a migration breaks a promise",
            "the migration is missing",
            "a contract is already broken in the base",
        ]
        self.assertEqual([group.title for group in find_next_steps(report)], titles)
        comment, text, page = render_comment(report, "", RUN), render_text(report), render_html(report)
        for title in titles:
            self.assertIn(f"**What to do next: {title}**\n\n1. ", comment)
            self.assertIn(f"what to do next, as {title}:\n  1. ", text)
            self.assertIn(f"<h3>{title.capitalize()}</h3>\n<ol>", page)

    def test_many_names_and_owners_are_counted(self) -> None:
        found = tuple(missing_column(f"c{number}", cause=CAUSE) for number in range(1000))
        contracts = tuple(
            example_contract(violations=found, owner=Owner(f"Team {number}", f"{number}@museum.org"))
            for number in range(50)
        )
        steps = steps_of(replace(EDIT, contracts=contracts))
        self.assertIn("Talk to the owners, Team 0 (0@museum.org), ", steps[0])
        self.assertIn("Team 4 (4@museum.org) and 45 more, about", steps[0])
        self.assertIn("object_images.c4 and 995 more, and put", steps[1])
        steps = steps_of(replace(DROPPED, contracts=contracts))
        self.assertIn("object_images.c4 and 995 more until all", steps[1])

    def test_a_step_is_one_line_of_a_comment(self) -> None:
        for name, report in ALL.items():
            comment = render_comment(report, "", RUN)
            for group in find_next_steps(report):
                for start, steps in ((r"\d\. ", group.steps), ("", (group.alternative,))):
                    for step in steps:
                        with self.subTest(name, step=step):
                            self.assertRegex(comment, rf"(?m)^{start}{re.escape(step)}$")


class TestOneOutcome(unittest.TestCase):
    def test_all_renderings_have_the_same_outcome(self) -> None:
        marks: dict[str, tuple[str, ...]] = {
            "passed": ("✅",),
            "violations": ("❌",),
            "could not check": ("⚠️",),
            "could not compare": ("⚠️",),
            "asks": ("❓", "⚠️ All current contracts pass, but one was loosened, and its old promises are broken:"),
        }
        for name, report in ALL.items():
            with self.subTest(name):
                conclusion, outcome = report.conclusion, words.render_outcome(report)
                self.assertEqual(report.asks, conclusion == "asks")
                self.assertTrue(render_summary(report, "", RUN).startswith(marks[conclusion]))
                if conclusion != "passed":
                    self.assertTrue(render_comment(report, "", RUN).startswith(marks[conclusion]))
                self.assertIn(outcome, " ".join(render_text(report).split()))
                head = f'<p class="outcome state {OUTCOME_STATES[conclusion]}">{outcome.capitalize()}</p>'
                self.assertIn(head, render_html(report))
                is_passed = report.outcome == "passed"
                root = ElementTree.fromstring(render_junit(report))
                self.assertEqual(root.attrib["failures"] == root.attrib["errors"] == "0", is_passed)
                annotations = render_annotations(report)
                if report is not EARLIER:  # a warning, as the line is none of the pull request's
                    self.assertEqual("::error " not in annotations, is_passed, annotations)

    def test_a_passed_report_asks_only_if_something_is_promised_less(self) -> None:
        column = "$.schema.properties.object_id"
        for change, asks in (
            (contract_change(f"{column}.constraints.is_nullable", "loosened", False, True), True),
            (contract_change(column, "removed", {}, None), True),
            (contract_change("$", "removed", "object", None, "object_contract_spec"), True),
            (contract_change("$.status", "loosened", "active", "draft"), True),
            (contract_change("$", "added", None, "object", NEW), False),
            (contract_change(f"{column}.constraints.is_nullable", "tightened", True, False), False),
            (contract_change("$", "metadata", "a", "b"), False),
        ):
            report = loosened(change)
            self.assertEqual(report.asks, asks, change)
            self.assertEqual("must agree:" in render_summary(report, "", RUN).splitlines()[0], asks)
        self.assertFalse(replace(LOOSENED, outcome="violations").asks)

    def test_a_contract_that_the_base_does_not_enforce_may_be_loosened_or_deleted_without_asking(self) -> None:
        for change in (
            contract_change("$.status", "loosened", "draft", "retired"),
            contract_change("$.schema.properties.object_id", "removed", {}, None),
            contract_change("$", "removed", "object", None, "object_contract_spec"),
        ):
            self.assertTrue(loosened(change).asks)
            self.assertFalse(loosened(replace(change, was_binding=False)).asks)

    def test_the_question_to_the_owner_names_change_line_and_consumers(self) -> None:
        comment = render_comment(LOOSENED, "the log", RUN)
        self.assertTrue(
            comment.startswith(
                "❓ All data contracts are kept, but one promises less than before; its owner must agree:"
            )
        )
        self.assertIn("### `object_images_contract_spec`, loosened\n\nOwner: **Data Engineering Team**", comment)
        line = rf"- column primary_image is no longer promised, \[line 18\]\(.*{CONTRACT}#L18\)\n"
        self.assertRegex(comment, line)
        self.assertIn("- **Data Science** (reader, ds@museum.org): trains the model", comment)
        self.assertIn("To: data-eng@museum.org\nSubject: May I loosen object_images_contract_spec?\n", comment)
        self.assertNotIn("the log", comment)
        self.assertNotIn("resolved", comment)
        comment = render_comment(DELETED, "", RUN)
        self.assertTrue(
            comment.startswith("❓ All data contracts are kept, but one was deleted; its owner must agree:")
        )
        self.assertIn("`object_contract_spec`, deleted", comment)
        self.assertIn("\nMy pull request would delete your data contract object_contract_spec.\n\nThe", comment)
        self.assertIn("2 promise less; their owners must agree:", render_comment(_both(LOOSENED, DELETED), "", RUN))

    def test_the_question_names_the_pull_request(self) -> None:
        source = ReportSource("2026-11-26T12:30:00Z", "a" * 40, "b", "the embedded PostgreSQL 18", 7)
        comment = render_comment(replace(LOOSENED, source=source), "", RUN)
        self.assertIn("\nThe pull request: https://github.example/museum/guide/pull/7\n", comment)


def _both(one: ContractReport, other: ContractReport) -> ContractReport:
    assert one.comparison and other.comparison
    return loosened(*one.comparison.contract_changes, *other.comparison.contract_changes)


class TestLoosened(unittest.TestCase):
    def test_a_contract_whose_old_promise_is_broken_is_counted_once_and_not_as_kept(self) -> None:
        other = replace(KEPT, contract_name=NEW, path=NEW_CONTRACT.path)
        deleted = replace(PROMISE, path="gone_contract_spec.json", is_deleted=True)
        for contracts, promises, outcome in (
            ((KEPT,), (PROMISE,), "1 of 1 contract loosened, and its old promise is broken"),
            ((KEPT, other), (PROMISE,), "1 of 2 contracts loosened, and its old promise is broken"),
            ((other,), (deleted,), "1 of 2 contracts deleted, and its old promise is broken"),
            ((KEPT,), (PROMISE, deleted), "1 of 2 contracts loosened, 1 deleted, and their old promises are broken"),
        ):
            comparison = Comparison("main", COMMIT, broken_promises=promises)
            report = ContractReport("violations", contracts=contracts, comparison=comparison)
            self.assertEqual(words.render_outcome(report), f"violations: {outcome}")
        self.assertEqual(words.render_outcome(DELETED), "passed: 1 contract kept; 1 was deleted: its owner must agree")
        self.assertEqual(
            words.render_outcome(LOOSENED),
            "passed: 1 contract kept; 1 promises less than in the base: its owner must agree",
        )
        self.assertEqual(
            words.render_outcome(_both(LOOSENED, DELETED)),
            "passed: 1 contract kept; 1 promises less than in the base and 1 was deleted: their owners must agree",
        )

    def test_the_page_says_that_it_is_kept_only_as_it_is_now_and_counts_it(self) -> None:
        state = '<span class="state loosened">Kept as it is now; breaks what it promised in the base</span>'
        page = render_html(LOOSENED_AND_BROKEN)
        self.assertIn(f"<dt>{state}</dt><dd>1</dd>", page)
        self.assertIn(f"<p>{state}</p>", page)
        self.assertNotIn("Kept as it is now", render_html(LOOSENED))

    def test_what_is_only_reported_is_no_violation(self) -> None:
        self.assertIn("title=Data contract violation::", render_annotations(LOOSENED_AND_BROKEN))
        self.assertIn("title=Data contract loosened::", render_annotations(ONLY_REPORTED))
        self.assertNotIn("violation", render_annotations(ONLY_REPORTED))

    def test_a_file_that_is_gone_has_no_column_of_lines(self) -> None:
        gone = replace(PROMISE, is_deleted=True, line=None, violations=(missing_column("a", line=None),))
        comparison = Comparison("main", COMMIT, broken_promises=(gone,))
        comment = render_comment(replace(LOOSENED_AND_BROKEN, comparison=comparison), "", RUN)
        self.assertIn("| column | key | expected | found |\n| --- | --- | --- | --- |\n| `a` |", comment)

    def test_a_new_contract_is_not_among_the_changed_ones(self) -> None:
        summary = render_summary(CONTRACT_FIRST, "", RUN)
        self.assertIn(f"**New contracts**\n\n- {NEW} is new (owner: ", summary)
        self.assertNotIn("Changed contracts", summary)


class TestContractChange(unittest.TestCase):
    def test_what_is_promised_of_a_column_is_said_in_words(self) -> None:
        column = "$.schema.properties.object_id"
        for json_path, kind, before, after, text in (
            (column, "removed", {"description": "ID"}, None, "column object_id is no longer promised"),
            (column, "added", None, {}, "column object_id is now promised"),
            (column, "loosened", None, {}, "column object_id is now allowed"),
            (
                f"{column}.constraints.numeric_precision",
                "removed",
                32,
                None,
                "column object_id: numeric_precision is no longer promised, was 32",
            ),
            (
                f"{column}.constraints.data_type",
                "added",
                None,
                "text",
                "column object_id: data_type is now promised: text",
            ),
            (
                f"{column}.constraints.data_type",
                "loosened",
                "integer",
                "bigint",
                "column object_id: data_type loosened, was integer, is bigint",
            ),
            (
                f"{column}.constraints.character_maximum_length",
                "loosened",
                9,
                None,
                "column object_id: character_maximum_length loosened, was 9, is null",
            ),
            (f"{column}.description", "metadata", "a", "b", f"{column}.description: metadata, was a, is b"),
            ("$.doc", "metadata", "a", "b", "$.doc: metadata, was a, is b"),
        ):
            self.assertEqual(contract_change(json_path, kind, before, after).text, text)


class TestAnnotationPlaces(unittest.TestCase):
    def test_what_is_shown_on_the_same_line_is_one_annotation(self) -> None:
        diff = (ChangedFile(MIGRATION, (LineRange(100, 130),)),)
        (command,) = render_annotations(replace(EDIT, diff=diff, comparison=None)).splitlines()
        self.assertTrue(command.startswith(f"::error file={MIGRATION},line=120,title=Data contract violation::"))
        self.assertIn("Column 'primary_image' is", command)
        self.assertIn("%0AColumn 'additional_images' is", command)

    def test_a_problem_is_shown_on_the_changed_line_that_is_nearest(self) -> None:
        diff = (ChangedFile(CONTRACT, (LineRange(2, 3), LineRange(20, 22), LineRange(90, 95))),)
        for line, shown in ((1, 2), (10, 3), (15, 20), (21, 21), (25, 22), (80, 90), (100, 95)):
            problem = FileProblem(CONTRACT, line, "is wrong")
            report = ContractReport(COULD_NOT_CHECK, "is wrong", problems=(problem,), diff=diff)
            self.assertIn(f"file={CONTRACT},line={shown},", render_annotations(report))


class TestText(unittest.TestCase):
    def test_a_line_fits_into_a_terminal_unless_it_is_a_path(self) -> None:
        for name, report in ALL.items():
            for line in render_text(report).splitlines():
                if len(line) > WIDTH:
                    with self.subTest(name):
                        self.assertRegex(line, r"^    (promised in|loosened in|broken by) \S+:\d+$")

    def test_it_says_how_to_compare_where_nothing_was_compared(self) -> None:
        hint = (
            "not compared: what changed in migrations and contracts was not looked at; to\ncompare with the branch main"
        )
        self.assertIn(hint, render_text(NOT_COMPARED))
        self.assertIn(hint, render_text(replace(PASSED, comparison=None)))
        self.assertNotIn("not compared", render_text(PASSED))
        self.assertNotIn("not compared", render_text(NO_DATABASE))

    def test_each_broken_contract_has_its_owner(self) -> None:
        self.assertIn(
            "object_images_contract_spec, the contract of public.object_images\n"
            "  owner: Data Engineering Team, data-eng@museum.org\n"
            "  Column 'primary_image' is defined in contract but missing from data catalog;\n"
            "    it seems renamed to 'image'\n",
            render_text(EDIT),
        )
