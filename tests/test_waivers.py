import datetime
import itertools
import json
import re
from collections.abc import Callable, Iterable
from typing import Any

from data_contract_components.detection._consumer_queries import ConsumerState, Refusal, Verdict
from data_contract_components.detection._get_data_catalog import get_data_catalog
from data_contract_components.detection._get_data_contract_specs import get_data_contract_specs
from data_contract_components.detection.contract_coverage_detector import ContractCoverageDetector
from data_contract_components.detection.contract_violation_detector import (
    ContractViolationDetector,
    UnneededWaiverError,
    Violation,
)
from tests import DatabaseTestCase
from tests.contracts import ContractsTestCase, chapters_spec

UNTIL = datetime.date(2026, 12, 10)
DAY = datetime.timedelta(days=1)
COLUMNS = "$.schema.properties"
PRIMARY, ADDITIONAL = f"{COLUMNS}.primary_image", f"{COLUMNS}.additional_images"
AGREED = "agreed by Jane Doe: the app moves"


def waiver(clause: str, until: datetime.date = UNTIL) -> dict[str, str]:
    return {"clause": clause, "reason": "the app moves", "agreedBy": "Jane Doe", "until": until.isoformat()}


def with_waivers(*clauses: str, **changes: Any) -> dict[str, Any]:
    return chapters_spec(**{"spec-version": "1.2.0", "waivers": list(map(waiver, clauses))} | changes)


def without_waivers(spec: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in spec.items() if key != "waivers"}


class TestWrongWaivers(ContractsTestCase):
    def test_a_waiver_is_for_one_clause_that_the_contract_has(self) -> None:
        consumer = {"name": "App", "role": "writer", "reason": "x", "columns": ["primary_image"]}
        for clause, message in {
            f"{COLUMNS}.primary_imag": f'names no clause of this contract; did you mean "{PRIMARY}"?',
            "schema.table_name": 'names no clause of this contract; did you mean "$.schema.table_name"?',
            "nothing of the kind": "names no clause of this contract",
            "$.consumers[1]": 'names no clause of this contract; did you mean "$.consumers[0]"?',
            "$.schema.table_catalog": "of another database, nothing is checked; leave",
            "$.consumers[0].columns[0]": "",
            "$.consumers[0]": "",
            f"{ADDITIONAL}.array_element.data_type": "",
        }.items():
            with self.subTest(clause):
                self.write("a", with_waivers(clause, consumers=[consumer]))
                if message:
                    (problem,) = self.problems()
                    self.assertRegex(problem, r"^a_contract_spec\.json:\d+: \$\.waivers\[0\]\.clause: ")
                    self.assertIn(message, problem)
                else:
                    self.assertEqual(len(get_data_contract_specs(self.directory)), 1)

    def test_a_clause_has_one_waiver(self) -> None:
        self.write("a", with_waivers(PRIMARY, ADDITIONAL, PRIMARY))
        (problem,) = self.problems()
        self.assertIn("$.waivers[2].clause: $.waivers[0] is for the same clause: keep one of them", problem)

    def test_a_waiver_says_why_who_and_until_when(self) -> None:
        for key, value in (("reason", " "), ("agreedBy", ""), ("until", "2026-02-30"), ("until", None)):
            entry = {name: text for name, text in (waiver(PRIMARY) | {key: value}).items() if text is not None}
            self.write("a", chapters_spec(**{"spec-version": "1.2.0", "waivers": [entry]}))
            with self.subTest(key=key, value=value):
                (problem,) = self.problems()
                self.assertIn(key, problem)


class TestWaivedViolations(ContractsTestCase, DatabaseTestCase):
    """Three broken clauses: a column is missing, and another one is nullable and has another type."""

    def setUp(self) -> None:
        super().setUp()
        self.database.query(
            "alter table object_images drop column primary_image;"
            "alter table object_images alter created_at drop not null, alter created_at type text"
        )

    def detector(self, spec: dict[str, Any], today: datetime.date = UNTIL) -> ContractViolationDetector:
        spec["schema"]["table_catalog"] = self.database_name
        self.write("a", spec)
        catalog_df = get_data_catalog(self.database)
        return ContractViolationDetector(get_data_contract_specs(self.directory), catalog_df, None, today)

    def render(self, violations: Iterable[Violation]) -> list[str]:
        return [f"{violation.column_name} {violation.key}" for violation in violations]

    def test_a_waiver_excuses_exactly_its_clause_until_its_last_day(self) -> None:
        all_violations = self.render(self.detector(chapters_spec()).find_violations("binding"))
        self.assertEqual(len(all_violations), 4)  # with the precision, which a text has not
        for clause, waived in {
            PRIMARY: "primary_image column_name",
            f"{COLUMNS}.created_at.constraints.is_nullable": "created_at is_nullable",
            f"{COLUMNS}.created_at.constraints.data_type": "created_at data_type",
        }.items():
            with self.subTest(clause):
                detector = self.detector(with_waivers(clause))
                self.assertEqual(self.render(detector.find_violations("waived")), [waived])
                others = [violation for violation in all_violations if violation != waived]
                self.assertEqual(self.render(detector.find_violations("binding")), others)
                after = self.detector(with_waivers(clause), UNTIL + DAY)
                self.assertEqual(self.render(after.find_violations("binding")), all_violations)

    def test_who_agreed_and_until_when_is_said_before_and_after_the_end(self) -> None:
        spec = with_waivers(PRIMARY)
        for days, text in {
            15: f"waived until 2026-12-10, {AGREED}",
            14: f"waived until 2026-12-10 (ends in 14 days), {AGREED}",
            1: f"waived until 2026-12-10 (ends in 1 day), {AGREED}",
            0: f"waived until 2026-12-10 (its last day), {AGREED}",
            -1: f"its waiver ended on 2026-12-10, {AGREED}",
        }.items():
            first = self.detector(spec, UNTIL - days * DAY).find_violations("binding", "waived")[0]
            self.assertEqual(str(first.waiver), text)
        first_text = self.detector(spec, UNTIL + DAY).detect_constraint_violations()[0]["violations"]
        self.assertTrue(first_text.endswith(f"missing from data catalog; its waiver ended on 2026-12-10, {AGREED}"))

    def test_a_waiver_of_a_kept_clause_is_an_error_with_the_lines_to_delete(self) -> None:
        kept = f"{COLUMNS}.object_id.constraints.is_nullable"
        for clauses, message in {
            (kept,): r"\$\.waivers\[0\]: no longer needed, as \S+ is kept: delete lines 3 to 10$",
            (kept, PRIMARY): r"delete lines 4 to 9$",
            (PRIMARY, kept): r"\$\.waivers\[1\]: .* delete lines 10 to 15, and the comma before$",
        }.items():
            spec = with_waivers(*clauses)
            spec = {"spec-version": "1.2.0", "waivers": spec.pop("waivers")} | spec
            with self.subTest(clauses=clauses):
                detector = self.detector(spec)
                (problem,) = detector.find_unneeded_waivers()
                self.assertRegex(str(problem), message)
                with self.assertRaisesRegex(UnneededWaiverError, "waivers that are no longer needed:\na_contract_spec"):
                    detector.ensure_waivers_are_needed()
        self.detector(with_waivers(PRIMARY)).ensure_waivers_are_needed()

    def test_what_is_to_be_deleted_leaves_a_valid_contract_in_each_layout(self) -> None:
        kept = [f"{COLUMNS}.object_id.constraints.{key}" for key in ("is_nullable", "data_type", "primaryKey")]
        layouts: dict[str, Callable[[Any], str]] = {
            "lines": lambda spec: json.dumps(spec, indent=2),
            "one line": json.dumps,
            "a line per key": lambda spec: (
                "{" + ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in spec.items()) + "}"
            ),
            "brackets together": lambda spec: re.sub(
                r"\[\s+{", "[{", re.sub(r"}\s+\]", "}]", json.dumps(spec, indent=2))
            ),
        }
        for clauses in ([kept[0]], [PRIMARY, *kept], [kept[0], PRIMARY], [kept[0], PRIMARY, kept[1]], kept):
            for is_last_key in (False, True):
                spec = with_waivers(*clauses)
                spec["schema"]["table_catalog"] = self.database_name
                if not is_last_key:
                    spec = {"waivers": spec.pop("waivers")} | spec
                for layout, render in layouts.items():
                    with self.subTest(layout, clauses=clauses, is_last_key=is_last_key):
                        self.write("a", render(spec))
                        contracts = get_data_contract_specs(self.directory)
                        detector = ContractViolationDetector(contracts, get_data_catalog(self.database), None, UNTIL)
                        text, waivers = render(spec), spec["waivers"]
                        # Those beside each other are deleted together.
                        groups = itertools.groupby(waivers, lambda one: one["clause"] == PRIMARY)
                        parts = [list(group) for is_needed, group in groups if not is_needed]
                        problems = detector.find_unneeded_waivers()
                        deletions = dict.fromkeys(problem.message.rpartition(": delete ")[2] for problem in problems)
                        for deletion, part in reversed(list(zip(deletions, parts, strict=True))):
                            text = self.delete(text, deletion, {"waivers": waivers} if part == waivers else part)
                        left = [waiver(PRIMARY)] if PRIMARY in clauses else []
                        self.assertEqual(json.loads(text), {**spec, "waivers": left} if left else without_waivers(spec))

    def delete(self, text: str, deletion: str, part: Any) -> str:
        """The text after what the message says about a part of it."""
        found = re.fullmatch(r"(it, in )?lines? (\d+)(?: to (\d+))?(?:, and the comma (before|after))?", deletion)
        assert found, deletion
        first, last = int(found[2]), int(found[3] or found[2])
        lines = text.splitlines(keepends=True)
        before, after = "".join(lines[: first - 1]), "".join(lines[last:])
        if found[1]:
            tokens = re.findall(r'"[^"]*"|[^\s"]', json.dumps(part))[1:-1]  # without the brackets around
            place = re.compile(r"\s*".join(map(re.escape, tokens))).search(text)
            assert place
            of_place = [text.count("\n", 0, offset) + 1 for offset in place.span()]
            self.assertEqual(of_place, [first, last])
            before, after = text[: place.start()], text[place.end() :]
        if found[4] == "before":
            before = before.rstrip().removesuffix(",")
        return before + (after.lstrip().removeprefix(",") if found[4] == "after" else after)

    def test_a_waiver_of_another_clause_than_the_broken_one_is_told_which_one_that_is(self) -> None:
        column = f"{COLUMNS}.created_at"
        for clause, broken in (
            (column, f"{column}.constraints.data_type"),
            (f"{PRIMARY}.constraints.data_type", PRIMARY),
        ):
            (problem,) = self.detector(with_waivers(clause)).find_unneeded_waivers()
            self.assertIn(f"excuses nothing, as {broken} is what is broken: delete lines", problem.message)

    def test_what_was_not_compared_or_binds_nobody_makes_no_waiver_superfluous(self) -> None:
        kept = f"{COLUMNS}.object_id.constraints.is_nullable"
        self.assertEqual(self.detector(with_waivers(kept, status="draft")).find_unneeded_waivers(), [])
        spec = with_waivers(kept)
        detector = self.detector(spec)
        spec["schema"]["table_catalog"] = "elsewhere"
        self.write("a", spec)
        detector.contracts = get_data_contract_specs(self.directory)
        self.assertEqual(detector.find_unneeded_waivers(), [])

    def test_a_waiver_of_the_tables_name_excuses_a_missing_table(self) -> None:
        self.database.query("drop table object_images")
        spec = with_waivers("$.schema.table_name")
        detector = self.detector(spec)
        self.assertEqual(detector.find_violations("binding"), [])
        self.assertEqual(len(detector.find_violations("waived")), 4)
        detector.ensure_waivers_are_needed()
        for today, missing in ((UNTIL, []), (UNTIL + DAY, ["object_images"])):
            coverage = ContractCoverageDetector(detector.contracts, detector.catalog_df, None, today)
            self.assertEqual(coverage.detect_coverage_in_data_catalog(), missing)

    def test_a_missing_table_is_excused_by_its_own_waiver_only_and_makes_no_other_superfluous(self) -> None:
        self.database.query("drop table object_images")
        columns = [f"{COLUMNS}.{name}" for name in chapters_spec()["schema"]["properties"]]
        detector = self.detector(with_waivers(*columns))
        coverage = ContractCoverageDetector(detector.contracts, detector.catalog_df, None, UNTIL)
        self.assertEqual(coverage.detect_coverage_in_data_catalog(), ["object_images"])
        self.assertEqual(len(detector.find_violations("binding")), len(columns))
        self.assertEqual(detector.find_unneeded_waivers(), [])
        self.assertEqual(self.detector(with_waivers("$.schema.table_name", *columns)).find_unneeded_waivers(), [])

    def test_a_waiver_of_a_query_excuses_its_refusal_and_is_never_superfluous(self) -> None:
        (self.directory / "q.sql").write_text("select primary_image from object_images")
        consumer = {"name": "App", "role": "reader", "reason": "x", "queries": ["q.sql"]}
        detector = self.detector(with_waivers("$.consumers[0].queries[0]", PRIMARY, consumers=[consumer]))
        (query,) = detector.contracts["a_contract_spec"].queries
        refusal = Refusal("42703", 'column "primary_image" does not exist', None, 0)
        detector.consumer_state = ConsumerState({(query.text, query.rows): Verdict(refusal)})
        waived = self.render(detector.find_violations("waived"))
        self.assertEqual(waived, ["primary_image column_name", "q.sql queries"])
        detector.consumer_state = ConsumerState()
        self.assertEqual(detector.find_unneeded_waivers(), [])
