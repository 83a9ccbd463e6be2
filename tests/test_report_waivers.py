import json
import re
from typing import Any

from data_contract_components.prevention.contract_report.contract_report import ContractReport
from data_contract_components.prevention.renderings.annotations import render_annotations
from data_contract_components.prevention.renderings.html_page import render_html
from data_contract_components.prevention.renderings.junit import render_junit
from data_contract_components.prevention.renderings.markdown import render_comment, render_summary
from data_contract_components.prevention.renderings.sentence import render_sentence
from data_contract_components.prevention.renderings.text import render_text
from tests import run
from tests.example_report import RUN
from tests.repositories import CONTRACT, setUpModule
from tests.test_report_changes import PullRequestTestCase
from tests.test_waivers import AGREED, DAY, PRIMARY, UNTIL, waiver

__all__ = ["setUpModule"]


class TestWaiversOfAPullRequest(PullRequestTestCase):
    def renderings(self, report: ContractReport) -> dict[str, str]:
        return {
            "text": " ".join(render_text(report).split()),
            "comment": render_comment(report, "", RUN),
            "summary": render_summary(report, "", RUN),
            "annotations": render_annotations(report),
            "page": render_html(report).replace("<bdi>", "").replace("</bdi>", ""),
            "junit": render_junit(report),
            "sentence": render_sentence(report),
        }

    def test_a_waiver_from_its_pull_request_to_its_end(self) -> None:
        today = ("--today", UNTIL.isoformat())
        # The comment of a violation offers it.
        self.write_revision("b", 'op.drop_column("object_images", "primary_image")')
        status, report = self.report("--base", "main", "--today", "2026-11-26")
        self.assertEqual((status, report.today), (1, "2026-11-26"))
        offer = render_comment(report, "", RUN).split("```text\n")[2].split("```")[0]
        text = self.read(CONTRACT).replace("{", "{\n" + offer.rstrip("\n"), 1).replace('"1.0.0"', '"1.2.0"')
        self.write(CONTRACT, text)
        added = json.loads(text)["waivers"]
        reason = "why it may be broken for a while"
        self.assertEqual(added, [waiver(PRIMARY) | {"reason": reason, "agreedBy": "Data Engineering Team"}])
        # In the same pull request, the owner decides, and the setting.
        self.write(CONTRACT, text.replace(reason, "the app moves").replace("Data Engineering Team", "Jane Doe", 1))
        status, report = self.report("--base", "main", *today)
        self.assertEqual((status, report.outcome), (1, "violations"))
        (promise,) = report.broken_promises
        self.assertEqual(promise.violations[0].line, 3)
        self.assertIn(f"waives {PRIMARY} until 2026-12-10, {AGREED} (owner: Data", self.renderings(report)["text"])
        self.assertIn("Ask the owner, Data Engineering Team", self.renderings(report)["comment"])
        self.assertIn("only the owner may waive a promise", self.renderings(report)["page"])
        status, report = self.report("--base", "main", "--loosened", "report", *today)
        self.assertEqual((status, report.outcome, len(report.broken_promises)), (0, "passed", 1))
        # Afterwards it is seen everywhere, and fails nothing.
        self.commit_to_main()
        status, report = self.report("--base", "main", *today)
        self.assertEqual((status, report.outcome, report.asks), (0, "passed", False))
        for name, text in self.renderings(report).items():
            with self.subTest(name):
                words = "waived until 2026-12-10" + (f" (its last day), {AGREED}" if name != "sentence" else "")
                self.assertIn(words, text.replace("Waived until", "waived until"))
        self.assertRegex(
            self.renderings(report)["annotations"], "(?m)^::notice [^:]*title=Data contract violation waived"
        )
        # The next day it fails again.
        later = ("--today", (UNTIL + DAY).isoformat())
        status, report = self.report("--base", "main", *later)
        self.assertEqual((status, report.outcome), (1, "violations"))
        self.assertTrue(report.contracts[0].violations[0].is_earlier)
        for name, text in self.renderings(report).items():
            if name != "sentence":
                with self.subTest(name):
                    self.assertIn(f"its waiver ended on 2026-12-10, {AGREED}", text.replace("Its", "its"))
        # Who extends it is asked for the owner's agreement.
        self.replace(CONTRACT, '"until": "2026-12-10"', '"until": "2026-12-31"')
        status, report = self.report("--base", "main", *later)
        self.assertEqual((status, report.outcome, report.asks), (0, "passed", True))
        self.assertIn("was 2026-12-10, is 2026-12-31", self.renderings(report)["comment"])
        self.assertIn("to approve this pull request: only the owner may waive", self.renderings(report)["comment"])
        # When the column is back, it has to go.
        self.write_revision("c", 'op.add_column("object_images", sa.Column("primary_image", sa.Text))', "b")
        status, report = self.report("--base", "main", *later)
        self.assertEqual((status, report.outcome), (2, "could not check"))
        for name, text in self.renderings(report).items():
            if name != "sentence":
                with self.subTest(name):
                    self.assertIn("no longer needed, as", text)
                    self.assertIn("delete lines 2 to 9", text)

    def test_a_break_that_was_waived_before_is_shown_in_the_comment_of_the_pull_request_that_makes_it(self) -> None:
        self.write_contract(lambda spec: spec.update({"spec-version": "1.2.0", "waivers": [waiver(PRIMARY)]}))
        self.commit_to_main()
        revision = self.write_revision("b", 'op.drop_column("object_images", "primary_image")')
        status, report = self.report("--base", "main", "--today", UNTIL.isoformat())
        self.assertEqual((status, report.outcome, report.asks), (0, "passed", True))
        comment = self.renderings(report)["comment"]
        self.assertTrue(comment.startswith("✅ All data contracts are kept, but for what is waived:\n"))
        line = self.line_of(revision, "op.drop_column")
        self.assertIn(f"(broken by [b, line {line}](", comment)
        self.assertIn(f"::notice file={revision},line={line},", self.renderings(report)["annotations"])
        result = run(
            ["data_contract_components.detection._get_data_migration_changes", "--base", "main"], self.root, self.url
        )
        self.assertIn("Broken for a while, which was agreed\n  object_images_contract_spec", result.stdout)

    def test_a_contract_whose_owner_github_does_not_ask_is_a_file_to_fix(self) -> None:
        def change(spec: Any) -> None:
            spec["spec-version"], spec["owner"]["github"] = "1.2.0", "@museum/data"

        self.write_contract(change)
        status, report = self.report("--base", "main")
        self.assertEqual((status, report.outcome, report.contracts[0].violations), (1, "violations", ()))
        for name, text in self.renderings(report).items():
            with self.subTest(name):
                self.assertIn("museum/data is not asked", text)
                if name != "sentence":
                    self.assertIn("contract_definition.code_owners", re.sub("<wbr[^>]*>", "", text))
        run(["data_contract_components.contract_definition.code_owners"], self.root, check=True)
        status, report = self.report("--base", "main")
        self.assertEqual((status, report.outcome, report.problems), (0, "passed", ()))
