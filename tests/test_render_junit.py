import unittest
from collections import Counter
from dataclasses import replace
from xml.etree import ElementTree

from data_contract_components.detection.migration_changes.changes import ContractChange, Place
from data_contract_components.prevention.contract_report.contract_report import (
    COULD_NOT_CHECK,
    ContractReport,
    FileProblem,
    ReportedClause,
    ReportSource,
)
from data_contract_components.prevention.renderings.junit import render_junit
from tests.example_report import (
    CAUSE,
    CONTRACT,
    MIGRATION,
    example_comparison,
    example_contract,
    example_report,
    example_violation,
    missing_column,
    report_with,
)

# What Jenkins' xUnit plugin accepts (its junit-10.xsd), and `file` and `line` of a case, which GitLab and others read.
ATTRIBUTES = {
    "testsuites": {"name", "tests", "failures", "errors", "time"},
    "testsuite": {"name", "tests", "failures", "errors", "time", "skipped", "timestamp"},
    "testcase": {"classname", "name", "time", "file", "line"},
    "failure": {"message"},
    "error": {"message"},
    "skipped": {"message"},
}
CHILDREN = {"testsuites": {"testsuite"}, "testsuite": {"testcase"}, "testcase": {"failure", "error", "skipped"}}
HOSTILE = (
    "]]> <failure/> &amp; \" ' <!-- -->",
    "\x00\x01\x08\x0b\x0c\x1b[31m\x7f\x85\ufffe\uffff\ud800\u202e",
    "a\r\nb\tc\n::error::x\n##[error]",
    "x" * 1_000_000,
)


class TestJUnit(unittest.TestCase):
    def parse(self, report: ContractReport, *, are_names_unique: bool = True) -> ElementTree.Element:
        """The document, which is well-formed, and has the elements, attributes and counts that servers expect."""
        root = ElementTree.fromstring(render_junit(report).encode())
        for element in root.iter():
            self.assertLessEqual(set(element.keys()), ATTRIBUTES[element.tag], element.tag)
            self.assertLessEqual({child.tag for child in element}, CHILDREN.get(element.tag, set()))
        for element in (root, *root.iter("testsuite")):
            for name, tag in {"tests": "testcase", "failures": "failure", "errors": "error"}.items():
                self.assertEqual(int(element.attrib[name]), len(list(element.iter(tag))), name)
        for suite in root.iter("testsuite"):
            self.assertEqual(int(suite.attrib["skipped"]), len(list(suite.iter("skipped"))))
        cases = Counter((case.attrib["classname"], case.attrib["name"]) for case in root.iter("testcase"))
        self.assertTrue(not are_names_unique or set(cases.values()) <= {1}, cases)
        return root

    def find_results(self, report: ContractReport) -> dict[str, str]:
        """By name, the message of each case that is not passed, after the kind of its result."""
        return {
            case.attrib["name"]: f"{result.tag}: {result.attrib['message']}"
            for case in self.parse(report).iter("testcase")
            for result in case
        }

    def test_a_clause_is_a_case_and_a_broken_one_a_failure_with_values_lines_and_owner(self) -> None:
        violation = example_violation(cause=CAUSE)
        root = self.parse(example_report(violations=(violation,)))
        self.assertEqual((root.attrib["tests"], root.attrib["failures"]), ("2", "1"))
        broken, kept = root.iter("testcase")
        self.assertEqual((list(kept), kept.attrib["name"]), ([], "object_id is_nullable"))
        self.assertEqual(
            broken.attrib,
            {
                "classname": "object_images_contract_spec",
                "name": "object_id data_type",
                "file": CONTRACT,
                "line": "26",
                "time": "0",
            },
        )
        (failure,) = broken
        self.assertEqual(failure.attrib["message"], "object_id: Data Type: expected integer, found bigint")
        self.assertEqual(
            failure.text,
            f"expected: integer\nfound: bigint\npromised in {CONTRACT}:26\n"
            f"broken by {MIGRATION}:120, revision 00e9b3375a5f\nowner: Data Engineering Team, data-eng@museum.org",
        )

    def test_of_a_missing_column_or_table_only_that_it_is_missing_is_a_failure(self) -> None:
        names = ("column_name", "data_type")
        clauses = tuple(ReportedClause("image", key, "text", line, "missing") for line, key in enumerate(names, 1))
        report = example_report(clauses=clauses, violations=(missing_column("image"),))
        self.assertEqual(
            self.find_results(report),
            {
                "image column_name": "failure: Column 'image' is defined in contract but missing from data catalog",
                "image data_type": "skipped: not compared, as the column is missing",
            },
        )
        clauses = (ReportedClause("(table)", "table_name", "object_images", 18, "missing"), *clauses)
        report = example_report(clauses=clauses, violations=(missing_column("image"),), is_table_missing=True)
        results = self.find_results(report)
        self.assertEqual(
            results.pop("(table) table_name"),
            "failure: Table 'public.object_images' is defined in contract but missing from data catalog",
        )
        self.assertEqual(set(results.values()), {"skipped: not compared, as the table is missing"})

    def test_columns_that_are_not_allowed_are_one_failure(self) -> None:
        violations = tuple(
            example_violation(
                column_name=name, key="additionalColumns", expected=None, found=name, message=f"{name} is"
            )
            for name in ("a", "b")
        )
        clause = ReportedClause("(table)", "additionalColumns", False, 20, "broken")
        results = self.find_results(example_report(clauses=(clause,), violations=violations))
        self.assertEqual(results, {"(table) additionalColumns": "failure: a is; b is"})
        # The clause may stand in no list, as in a report of another version.
        self.assertEqual(self.find_results(example_report(clauses=(), violations=violations)), results)

    def test_a_broken_clause_without_a_violation_is_a_failure_too(self) -> None:
        clause = ReportedClause("object_id", "data_type", "integer", 26, "broken")
        self.assertEqual(
            self.find_results(example_report(clauses=(clause,), violations=())),
            {"object_id data_type": "failure: broken"},
        )

    def test_clauses_of_drafts_are_skipped_with_the_reason(self) -> None:
        results = self.find_results(example_report("passed", enforcement="reported", status="draft"))
        reason = "skipped: the contract is not enforced (draft)"
        self.assertEqual(
            results,
            {
                "object_id data_type": f"{reason}: object_id: Data Type: expected integer, found bigint",
                "object_id is_nullable": f"{reason}: kept",
            },
        )

    def test_a_broken_promise_is_an_error_and_only_skipped_where_it_fails_nothing(self) -> None:
        comparison = replace(example_comparison("x"), contract_changes=())
        kept = example_contract(violations=(), clauses=())
        for outcome, tag in (("violations", "error"), ("passed", "skipped"), ("could not check", "error")):
            report = ContractReport(outcome, contracts=(kept,), comparison=comparison)  # type: ignore[arg-type]
            (result,) = self.find_results(report).values()
            head = f"{tag}: the contract was loosened; the database breaks the old promise: x: x; it seems renamed"
            self.assertTrue(result.startswith(head), result)

    def test_a_contract_that_promises_less_is_skipped_and_names_the_owner(self) -> None:
        change = ContractChange(
            "a_contract_spec", Place("a.json", 3), "$.schema", "loosened", 1, 2, "Data Engineering", "de@museum.org"
        )
        comparison = example_comparison(broken_promises=(), contract_changes=(change,))
        report = replace(example_report("passed", violations=(), clauses=()), comparison=comparison)
        (result,) = self.find_results(report).values()
        self.assertTrue(result.startswith("skipped: the owner must agree: a_contract_spec, $.schema: loosened"), result)
        self.assertIn("Data Engineering", result)

    def test_what_could_not_be_checked_or_compared_is_an_error(self) -> None:
        place = Place("versions/b.py", 9, "b")
        report = ContractReport(COULD_NOT_CHECK, "revision b fails\nFix it.", place)
        (case,) = self.parse(report).iter("testcase")
        self.assertEqual((case.attrib["file"], case.attrib["line"]), ("versions/b.py", "9"))
        self.assertEqual(case[0].text, "revision b fails\nFix it.")
        problems = (FileProblem("a.json", 2, "is no JSON"), FileProblem("a.json", 3, "is no JSON"))
        report = ContractReport(COULD_NOT_CHECK, "invalid contract files", problems=problems)
        self.assertEqual(
            self.find_results(report),
            {"line 2: is no JSON": "error: is no JSON", "line 3: is no JSON": "error: is no JSON"},
        )
        comparison = replace(example_comparison(), base="main", base_commit=None, error="no such commit")
        comparison = replace(comparison, broken_promises=(), contract_changes=())
        report = replace(example_report(COULD_NOT_CHECK, violations=(), clauses=()), comparison=comparison)
        self.assertEqual(self.find_results(report), {"comparison with main": "error: no such commit"})

    def test_the_date_of_the_check_is_that_of_each_suite(self) -> None:
        source = ReportSource("2026-11-26T12:30:00Z", None, None, None, None)
        (suite,) = self.parse(replace(example_report(), source=source))
        self.assertEqual(suite.attrib["timestamp"], "2026-11-26T12:30:00")

    def test_no_text_adds_an_element_or_is_no_xml(self) -> None:
        expected = [element.tag for element in self.parse(report_with("harmless"), are_names_unique=False).iter()]
        for text in HOSTILE:
            with self.subTest(text[:40]):
                report = report_with(text)
                xml = render_junit(report)
                self.assertLess(len(xml), 400_000)
                self.assertNotRegex(xml, r"(?m)^\s*::|##\[")
                found = [element.tag for element in self.parse(report, are_names_unique=False).iter()]
                self.assertEqual(found, expected)
