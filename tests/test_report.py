import json
import subprocess
import sys
import unittest
from dataclasses import replace

from data_contract_components.prevention.contract_report.contract_report import (
    ContractReport,
    FileProblem,
    Table,
    from_json,
    to_json,
)
from data_contract_components.prevention.renderings.annotations import render_annotations
from data_contract_components.prevention.renderings.text import render_text
from tests import CONTRACT_TESTS, DatabaseTestCase, ProjectTestCase, run
from tests.example_report import CAUSE, CONTRACT, MIGRATION, example_report, example_violation

REPORT = ["data_contract_components.prevention.report"]
CONTRACTS = "data_contract_components/contract_definition"
CONSUMER = {"name": "Data Science", "role": "reader", "reason": "trains the model", "columns": ["primary_image"]}


class TestReport(DatabaseTestCase, ProjectTestCase):
    """Each test has a copy of the project, and a database of its own that is under contract there."""

    def setUp(self) -> None:
        DatabaseTestCase.setUp(self)
        ProjectTestCase.setUp(self)
        path = self.project / CONTRACT
        path.write_text(
            path.read_text().replace('"table_catalog": "postgres"', f'"table_catalog": "{self.database_name}"')
        )

    def report(self, *arguments: str) -> tuple[int, str]:
        result = run([*REPORT, *arguments], self.project, self.url)
        self.assertNotIn("Traceback", result.stdout)
        return result.returncode, result.stdout

    def rendered(self, rendering: str) -> str:
        return self.report("--from", "contract_report.json", "--format", rendering)[1]

    def read(self) -> ContractReport:
        return from_json((self.project / "contract_report.json").read_text())

    def line_of(self, text: str) -> int:
        lines = (self.project / CONTRACT).read_text().splitlines()
        return next(number for number, line in enumerate(lines, start=1) if text in line)

    def test_a_check_passes_when_all_contracts_are_kept(self) -> None:
        status, output = self.report()
        self.assertEqual((status, output.splitlines()[0]), (0, "passed: 1 contract kept"))
        report = self.read()
        self.assertEqual({clause.state for clause in report.contracts[0].clauses}, {"kept"})
        self.assertEqual(len(report.contracts[0].clauses), 26)
        self.assertEqual(len(report.tables_without_contract), 7)
        self.assertIn("1 of 8 tables under contract", output)

    def test_a_violation_has_contract_owner_clause_and_line(self) -> None:
        self.database.query("alter table object_images rename primary_image to image")
        status, output = self.report()
        self.assertEqual((status, output.splitlines()[0]), (1, "violations: 1 of 1 contract broken"))
        contract = self.read().contracts[0]
        self.assertEqual((contract.path, contract.owner.email), (CONTRACT, "data-eng@museum.org"))
        (violation,) = contract.violations
        self.assertEqual((violation.column_name, violation.key), ("primary_image", "column_name"))
        self.assertEqual(violation.line, self.line_of('"primary_image": {'))
        missing = {clause.column_name for clause in contract.clauses if clause.state == "missing"}
        self.assertEqual(missing, {"primary_image"})
        self.assertIn("Data Engineering Team, data-eng@museum.org", output)
        self.assertIn(f"{CONTRACT}:{violation.line}", output)

    def test_a_missing_table_is_one_annotation(self) -> None:
        self.database.query("drop table object_images")
        self.assertEqual(self.report()[0], 1)
        contract = self.read().contracts[0]
        self.assertTrue(contract.is_table_missing)
        self.assertEqual(len(contract.violations), 4)
        self.assertEqual({clause.state for clause in contract.clauses}, {"missing"})
        self.assertIn("0 of 7 tables under contract", self.rendered("text"))
        (annotation,) = self.rendered("annotations").splitlines()
        line = self.line_of('"table_name"')
        self.assertIn(f"file={CONTRACT},line={line},", annotation)
        self.assertIn("Table 'public.object_images' is defined in contract but missing", annotation)

    def test_what_could_not_be_checked_is_neither_passed_nor_a_violation(self) -> None:
        (self.project / CONTRACT).write_text('{\n  "spec-version": "1.0.0",\n  "nam": "x"\n}\n')
        status, output = self.report()
        self.assertEqual((status, output.splitlines()[0][:16]), (2, "could not check:"))
        report = self.read()
        self.assertEqual((report.outcome, report.contracts), ("could not check", ()))
        self.assertIn(FileProblem(CONTRACT, 3, '$.nam: unknown key "nam"; did you mean "name"?'), report.problems)
        self.assertNotIn(str(self.project), to_json(report))
        self.assertIn(f"::error file={CONTRACT},line=3,", self.rendered("annotations"))

    def test_every_rendering_names_a_report_that_cannot_be_read(self) -> None:
        (self.project / "broken.json").write_text("[")
        (self.project / "partial.json").write_text('{"outcome": "passed", "contracts": [{}]}')
        for name, rendering, words in (
            ("missing.json", "summary", "missing.json cannot be read"),
            ("broken.json", "html", "broken.json cannot be read"),
            ("partial.json", "annotations", 'partial.json cannot be read: $: the key "error" is missing'),
        ):
            with self.subTest(rendering, name=name):
                status, output = self.report("--from", name, "--format", rendering)
                self.assertEqual(status, 2)
                self.assertIn(words, output)
                self.assertNotIn("passed", output)

    def test_a_report_is_rendered_where_nothing_is_installed_and_the_page_names_what_it_needs(self) -> None:
        self.report()
        arguments = ["--from", "contract_report.json", "--format"]
        for rendering, status, error in (
            ("text", 0, ""),
            ("annotations", 0, ""),
            ("summary", 0, ""),
            ("junit", 0, ""),
            ("html", 2, f"the package jinja2 is not installed for {sys.executable}\n"),
        ):
            # -S: without the packages that are installed
            command = [sys.executable, "-S", "-m", *REPORT, *arguments, rendering]
            result = subprocess.run(command, cwd=self.project, capture_output=True, text=True)
            self.assertEqual((result.returncode, result.stderr.partition("Activate")[0]), (status, error))

    def test_a_column_may_have_the_name_that_stands_for_the_whole_table(self) -> None:
        path = self.project / CONTRACT
        path.write_text(path.read_text().replace('"primary_image"', '"(table)"'))
        self.assertEqual(self.report()[0], 1)
        (violation,) = self.read().contracts[0].violations
        self.assertEqual((violation.column_name, violation.line), ("(table)", self.line_of('"(table)": {')))

    def test_a_report_that_cannot_be_written_is_not_a_violation(self) -> None:
        (self.project / "contract_report.json").mkdir()
        status, output = self.report()
        self.assertEqual((status, "contract_report.json" in output), (2, True))
        self.assertEqual(self.report("--format", "html")[0], 2)
        self.assertIn(
            "--base, --today, --migrate and --not-checked are for a check",
            self.report("--from", "contract_report.json", "--base", "main")[1],
        )

    def test_a_comparison_that_fails_is_not_passed_and_hides_no_violation(self) -> None:
        for base, reason in (("nosuch", "git finds no repository"), ("", "git finds no repository")):
            with self.subTest(base=base):
                status, output = self.report("--base", base)
                self.assertEqual((status, self.read().outcome), (2, "could not check"))
                self.assertIn(
                    "could not compare: 1 contract kept, but what changed since the base is not known", output
                )
                self.assertIn(f'could not compare with "{base}": {reason}', output)
                self.assertIn("1 of 8 tables under contract", output)
                summary = self.rendered("summary")
                head = "⚠️ All current contracts pass, but they could not be compared with those of the base:\n\n"
                self.assertTrue(summary.startswith(f"{head}Could not compare with `{base or ' '}`:\n"))
                self.assertNotIn("passed", summary)
                self.assertIn("::error title=Could not compare with the base::", self.rendered("annotations"))
                self.assertIn("Could not compare: 1 contract kept, but", self.rendered("html"))
        self.database.query("alter table object_images drop created_at")
        status, output = self.report("--base", "nosuch")
        self.assertEqual((status, self.read().outcome), (1, "violations"))
        self.assertIn('could not compare with "nosuch"', output)
        self.assertIn("Could not compare with `nosuch`", self.rendered("summary"))
        (self.project / CONTRACT).unlink()
        self.assertEqual(self.report("--base", "nosuch")[0], 2)
        self.assertIn("⚠️ Data contracts could not be checked:", self.rendered("summary"))

    def test_the_report_names_an_unknown_value_of_loosened(self) -> None:
        status, output = self.report("--base", "main", "--loosened", "Report")
        self.assertEqual(status, 2)
        self.assertIn('--loosened is "Report"; write fail or report.', str(self.read().error))
        self.assertIn('is "Report"; write fail or report.', output)

    def test_a_run_that_crashes_leaves_no_report_of_an_earlier_one(self) -> None:
        self.report()
        self.report("--from", "contract_report.json", "--format", "html", "--output", "contract_report.html")
        self.assertTrue((self.project / "contract_report.html").exists())
        path = self.project / "data_contract_components/prevention/contract_report/get_contract_report.py"
        path.write_text(path.read_text().replace("    try:\n", "    import os; os._exit(9)\n    try:\n", 1))
        self.assertEqual(self.report()[0], 9)
        self.assertEqual(list(self.project.glob("contract_report.*")), [])
        self.assertEqual(self.report("--from", "contract_report.json")[0], 2)

    def test_in_another_database_only_the_name_of_the_database_is_reported(self) -> None:
        path = self.project / CONTRACT
        path.write_text(path.read_text().replace(self.database_name, "postgres"))
        status, output = self.report()
        self.assertEqual(status, 1)
        self.assertIn("1 of 8 tables under contract", output)
        words = f"Table Catalog: expected postgres, found {self.database_name} (nothing else was"
        self.assertIn(words, " ".join(output.split()))
        (contract,) = self.read().contracts
        self.assertFalse(contract.is_table_missing)
        states = {clause.key: clause.state for clause in contract.clauses}
        self.assertEqual((states.pop("table_catalog"), set(states.values())), ("broken", {"unchecked"}))
        tests = run(["unittest", CONTRACT_TESTS], self.project, self.url).stdout
        self.assertIn('leave "table_catalog" out, with "spec-version": "1.2.0"', tests)
        self.assertNotIn("Missing", tests)

    def test_a_draft_is_reported_and_fails_nothing_but_only_drafts_are_could_not_check(self) -> None:
        path = self.project / CONTRACT
        spec = json.loads(path.read_text())
        spec |= {"spec-version": "1.1.0", "name": "draft", "status": "draft", "consumers": [CONSUMER]}
        spec["schema"]["properties"]["primary_image"]["constraints"]["data_type"] = "integer"
        draft = self.project / CONTRACTS / "drafts/draft_contract_spec.json"
        draft.parent.mkdir()
        draft.write_text(json.dumps(spec, indent=2))
        status, output = self.report()
        self.assertEqual(status, 0)
        self.assertIn("passed: 1 contract kept\n", output)
        for is_alone in (False, True):
            if is_alone:
                path.unlink()
                status, output = self.report()
                self.assertEqual(status, 2)
                self.assertIn("could not check: no contract is enforced", output)
                self.assertIn("  draft_contract_spec: draft", output)
            self.assertIn("primary_image: Data Type: expected integer, found text", output)
            self.assertIn("promised in data_contract_components/contract_definition/drafts/draft_contract_spec", output)
            summary = self.rendered("summary")
            self.assertIn("are not enforced", summary)
            self.assertIn("trains the model", summary)
            self.assertIn(f"::warning file={CONTRACTS}/drafts/draft_contract_spec.json,", self.rendered("annotations"))
        tests = run(["unittest", CONTRACT_TESTS], self.project, self.url).stdout
        self.assertIn("FAILED (errors=2)", tests)
        self.assertIn("no contract is enforced", tests)


class TestAnnotations(unittest.TestCase):
    def test_one_column_is_one_annotation_with_all_that_is_wrong(self) -> None:
        second = example_violation(key="is_nullable", line=28, message="Is Nullable: expected false, found true")
        report = example_report(violations=(example_violation(), second))
        self.assertEqual(
            render_annotations(report),
            f"::error file={CONTRACT},line=26,title=Data contract violation::object_images_contract_spec "
            "(owner: Data Engineering Team, data-eng@museum.org) is broken:"
            "%0Aobject_id: Data Type: expected integer, found bigint"
            "%0Aobject_id: Is Nullable: expected false, found true\n",
        )

    def test_the_line_of_the_migration_comes_before_that_of_the_contract(self) -> None:
        for cause, place in (
            (CAUSE, f"file={MIGRATION},line=120,"),
            (replace(CAUSE, line=None), f"file={CONTRACT},line=26,"),
        ):
            violation = example_violation(cause=cause)
            self.assertIn(place, render_annotations(example_report(violations=(violation,))))

    def test_at_most_ten_are_shown_and_the_rest_is_counted(self) -> None:
        for number in (10, 11, 300):
            violations = tuple(example_violation(column_name=f"c{index}", line=1 + index) for index in range(number))
            lines = render_annotations(example_report(violations=violations)).splitlines()
            self.assertEqual(len(lines), 10)
            self.assertEqual(f"{number - 9} more" in lines[-1], number > 10)


class TestText(unittest.TestCase):
    def test_many_tables_without_a_contract_are_counted(self) -> None:
        tables = tuple(Table("public", f"t{number}") for number in range(5000))
        text = render_text(replace(example_report(), tables_without_contract=tables))
        self.assertIn("1 of 5001 tables under contract", text)
        self.assertLess(len(text), 2000)
