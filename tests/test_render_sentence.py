import unittest
from dataclasses import replace

from data_contract_components.detection.migration_changes.changes import ContractChange, Place
from data_contract_components.prevention.contract_report.contract_report import Comparison, ContractReport
from data_contract_components.prevention.renderings.sentence import render_sentence
from tests.example_report import example_comparison, example_contract, example_report, missing_column, report_with

OWNED = "object_images_contract_spec (owner: Data Engineering Team)"


class TestSentence(unittest.TestCase):
    def test_each_outcome_has_its_own(self) -> None:
        kept = example_report("passed", violations=())
        promises = replace(kept, comparison=example_comparison())
        not_compared = replace(kept, outcome="could not check", comparison=Comparison("main", error="no such commit"))
        two = replace(example_report(), contracts=(example_contract(), example_contract(contract_name="another")))
        draft = example_contract(enforcement="reported", status="draft")
        change = ContractChange(draft.contract_name, Place("a.json", 1), "$", "added", None, "object_images", "", "")
        new = example_contract(is_table_missing=True, violations=(missing_column("object_id"),))
        not_built = ContractReport(
            "violations", contracts=(new,), comparison=Comparison("main", contract_changes=(change,))
        )
        for report, sentence in (
            (kept, "1 contract kept"),
            (replace(kept, contracts=(*kept.contracts, draft)), "1 contract kept"),
            (example_report(), f"1 contract broken: {OWNED}"),
            (not_built, f"1 contract not built yet: {OWNED}"),
            (
                replace(not_built, contracts=(example_contract(contract_name="old"), *not_built.contracts)),
                f"1 contract broken: old (owner: Data Engineering Team); 1 contract not built yet: {OWNED}",
            ),
            (two, f"2 contracts broken: {OWNED}, another (owner: Data Engineering Team)"),
            (promises, "1 contract loosened or deleted, and broken: text (owner: text)"),
            (not_compared, "Not compared with the base: no such commit"),
            (ContractReport("could not check", "no database:\n  refused"), "Not checked: no database: refused"),
        ):
            with self.subTest(sentence):
                self.assertEqual(render_sentence(report), sentence)

    def test_what_could_not_be_checked_for_a_line_has_the_line_and_the_reason_first(self) -> None:
        path = "a/long/path/versions/c0de_drop.py"
        error = f"revision c0de of this checkout fails on PostgreSQL at host, {path}:9: column does not exist\nFix it."
        report = ContractReport("could not check", error, Place(path, 9, "c0de"))
        self.assertEqual(render_sentence(report), "Not checked: c0de_drop.py:9: column does not exist Fix it.")

    def test_any_text_is_one_short_line_without_a_command(self) -> None:
        for text in ("\n::error::x", "##[error]x", "\x1b[31m\u2028x", "long " * 1_000, "\ud800"):
            for report in (report_with(text), replace(report_with(text), error=text, outcome="could not check")):
                sentence = render_sentence(report)
                self.assertLessEqual(len(sentence), 140)
                self.assertNotRegex(sentence, r"[\n\x1b\u2028\ud800]|##\[|^\s*::")
