import datetime
import json
import os
import re
import unittest
from dataclasses import replace
from pathlib import Path
from typing import Any

import sqlalchemy
from alembic.migration import MigrationContext
from alembic.operations import Operations

from data_contract_components.contract_definition.contract_spec import Contract
from data_contract_components.data_assets._query_postgres_helper import PostgresDB
from data_contract_components.detection._get_data_catalog import get_data_catalog
from data_contract_components.detection._get_data_migration_changes import render_table
from data_contract_components.detection.contract_violation_detector import ContractViolationDetector, render_finding
from data_contract_components.detection.migration_changes.changes import LOOSENED, UnmovedConsumers
from data_contract_components.detection.migration_changes.comparison import MigrationComparison
from data_contract_components.detection.migration_changes.contract_changes import match_contracts
from data_contract_components.detection.migration_changes.transitions import (
    find_differences,
    find_short_notices,
    find_unmoved_consumers,
    render_drop_call,
)
from data_contract_components.prevention.contract_report.contract_report import (
    CheckedContract,
    Comparison,
    ContractReport,
)
from data_contract_components.prevention.renderings.annotations import render_annotations
from data_contract_components.prevention.renderings.html_page import render_html
from data_contract_components.prevention.renderings.junit import render_junit
from data_contract_components.prevention.renderings.markdown import render_comment, render_summary
from data_contract_components.prevention.renderings.sentence import render_sentence
from data_contract_components.prevention.renderings.text import render_text
from data_contract_components.prevention.renderings.words import find_findings
from tests import run
from tests.contracts import chapters_spec
from tests.example_report import CAUSE, RUN, example_contract, example_violation, missing_column
from tests.repositories import CONTRACT, setUpModule
from tests.test_report_changes import PullRequestTestCase

__all__ = ["setUpModule"]

TODAY = datetime.date(2026, 11, 26)
NEW_CONTRACT = CONTRACT.parent / "object_images_normalized_contract_spec.json"
TESTS = "data_contract_components.prevention.test_data_contract_violations"
NEW_TABLE = """
op.create_table(
    "object_images_normalized",
    sa.Column("object_id", sa.Integer, primary_key=True),
    sa.Column("image", sa.Text),
)
"""


def day(days: int) -> str:
    return (TODAY + datetime.timedelta(days)).isoformat()


def contract_of(**changes: Any) -> Contract:
    """The chapter's contract with other values; None takes the key out."""
    spec = {key: value for key, value in chapters_spec(**changes).items() if value is not None}
    return Contract(spec, Path("a_contract_spec.json"), json.dumps(spec, indent=2))  # type: ignore[arg-type]


class TestNotice(unittest.TestCase):
    def found(self, before: dict[str, Any], after: dict[str, Any] | None) -> list[tuple[str, str]]:
        """What is expected and found of the contract that is `before` in the base; None: it is deleted."""
        base = {"a": contract_of(**before)}
        head = {} if after is None else {"a": contract_of(**after)}
        notices = find_short_notices(base, head, match_contracts(base, head), TODAY)
        return [(notice.expected, notice.found) for notice in notices]

    def test_a_contract_ends_after_its_days_of_notice(self) -> None:
        thirty, deprecated = {"noticeDays": 30}, {"status": "deprecated", "noticeDays": 30}
        first = f"{day(30)} or later (30 days of notice)"
        for status in ("retired", "draft"):
            self.assertEqual(self.found(thirty, {"status": status}), [(first, status)])
        self.assertEqual(self.found(thirty, None), [(first, "deleted")])
        self.assertEqual(self.found(thirty, deprecated | {"sunset": day(29)}), [(first, day(29))])
        self.assertEqual(self.found(thirty, deprecated | {"sunset": day(30)}), [])
        self.assertEqual(self.found(thirty, thirty), [])

    def test_a_sunset_may_be_moved_earlier_up_to_the_notice_and_later_always(self) -> None:
        late, near = ({"status": "deprecated", "noticeDays": 30, "sunset": day(days)} for days in (90, 10))
        self.assertEqual(self.found(late, late | {"sunset": day(30)}), [])
        self.assertEqual(self.found(late, near), [(f"{day(30)} or later (30 days of notice)", day(10))])
        until_now = f"{day(10)} or later (the sunset until now)"
        self.assertEqual(self.found(near, near | {"sunset": day(9)}), [(until_now, day(9))])
        self.assertEqual(self.found(near, near | {"status": "retired"}), [(until_now, "retired")])
        today = near | {"sunset": day(0)}
        self.assertEqual(self.found(today, None), [(f"{day(0)} or later (the sunset until now)", "deleted")])
        self.assertEqual(self.found(near, late), [])
        self.assertEqual(self.found(near, {}), [])

    def test_the_greater_number_of_days_counts_and_none_asks_for_nothing(self) -> None:
        soon = {"status": "deprecated", "sunset": day(0)}
        self.assertEqual(self.found({}, soon), [])
        self.assertEqual(self.found({}, None), [])
        for before, after in ((1, 0), (0, 1), (None, 1), (1, None)):
            found = self.found({"noticeDays": before}, soon | {"noticeDays": after})
            self.assertEqual(found, [(f"{day(1)} or later (1 day of notice)", day(0))])

    def test_a_contract_that_does_not_bind_in_the_base_may_end_at_once(self) -> None:
        for before in ({"status": "draft"}, {"status": "retired"}, {"status": "deprecated", "sunset": day(-1)}):
            self.assertEqual(self.found(before | {"noticeDays": 30}, None), [])

    def test_the_last_days_of_the_calendar_are_no_error(self) -> None:
        base = {"a": contract_of(noticeDays=3650)}
        (notice,) = find_short_notices(base, {}, {}, datetime.date(9999, 12, 1))
        self.assertIn("9999-12-31 or later", notice.expected)

    def test_a_comparison_with_such_a_contract_fails_whatever_happens_to_loosened_ones(self) -> None:
        base = {"a": contract_of(noticeDays=30)}
        notices = tuple(find_short_notices(base, {}, {}, TODAY))
        others = [replace(notice, key="data_type") for notice in notices]
        for promises, fails in ((notices, [True, True]), (others, [True, False])):
            comparison = MigrationComparison("main", "a", (), (), (), (), broken_promises=tuple(promises))
            self.assertEqual([comparison.fails(loosened) for loosened in LOOSENED], fails)
            self.assertEqual("Contracts that end without enough notice" in render_table(comparison), fails[1])


class TestDifferences(unittest.TestCase):
    def test_columns_and_clauses_are_named_each_on_a_line(self) -> None:
        before, after = chapters_spec(), chapters_spec(doc="Another.")
        old, new = before["schema"], after["schema"]
        new["table_name"] = "other"
        new["properties"]["image"] = new["properties"].pop("primary_image")
        new["properties"]["object_id"]["constraints"]["data_type"] = "bigint"
        new["properties"]["object_id"]["description"] = "Another."
        del new["properties"]["created_at"]["constraints"]["is_nullable"]
        old["unique"], new["unique"] = [["object_id"]], [["image"]]
        new["additionalColumns"] = False
        specs = (contract_of(**spec) for spec in (before, after))
        self.assertEqual(
            sorted(find_differences(*specs)),
            [
                "$.schema.additionalColumns: tightened, was true, is false",
                '$.schema.unique: removed, was ["object_id"]',
                '$.schema.unique[0]: added, is ["image"]',
                "column created_at: is_nullable is no longer promised, was false",
                "column image is now promised",
                "column object_id: data_type loosened, was integer, is bigint",
                "column primary_image is no longer promised",
            ],
        )


class TestReplacement(unittest.TestCase):
    def setUp(self) -> None:
        self.database = PostgresDB(os.environ["DATABASE_URL"])
        self.addCleanup(self.database.query, "drop schema public cascade; create schema public")

    def test_it_is_an_active_contract_whose_table_is_there(self) -> None:
        self.database.query("create table old (id integer); create table new (id integer)")

        def found(today: int = 0, table_name: str = "new", **changes: Any) -> list[str]:
            schema = {"table_schema": "public", "table_name": "old", "properties": {}}
            old = contract_of(status="deprecated", sunset=day(0), replacedBy="new", schema=schema)
            new = contract_of(name="new", schema=schema | {"table_name": table_name}, **changes)
            catalog_df = get_data_catalog(self.database, {old.table, new.table})
            today_and_later = TODAY + datetime.timedelta(today)
            detector = ContractViolationDetector({"a": old, "b": new}, catalog_df, None, today_and_later)
            return list(map(render_finding, detector.find_violations("binding", "reported")))

        words = "a, old.(table): Replaced By: expected new, found"
        self.assertEqual(found(), [])
        self.assertEqual(found(table_name="nosuch"), [f"{words} no table public.nosuch"])
        self.assertEqual(found(status="draft"), [f"{words} a draft"])
        self.assertEqual(found(status="deprecated", sunset=day(9)), [f"{words} a deprecated contract"])
        self.assertEqual(found(status="retired"), [f"{words} a retired contract"])
        self.assertEqual(found(today=1, status="draft"), [])

    def test_alembic_runs_the_call_that_drops_the_table(self) -> None:
        tables = {
            ("public", "view"): "VIEW",
            ("public", "View"): "MATERIALIZED VIEW",
            ('Some "schema', "it's"): "BASE TABLE",
            ("public", "t"): "BASE TABLE",
        }
        self.database.query("""
            create schema "Some ""schema"; create table "Some ""schema"."it's" (id integer);
            create table t (id integer); create view view as select 1; create materialized view "View" as select 1
        """)
        self.assertEqual(render_drop_call(("public", "t"), "BASE TABLE"), 'op.drop_table("t")')
        with sqlalchemy.create_engine(os.environ["DATABASE_URL"], poolclass=sqlalchemy.NullPool).begin() as connection:
            operations = Operations(MigrationContext.configure(connection))
            for table, table_type in tables.items():
                exec(render_drop_call(table, table_type), {"op": operations})
        left = "select relname from pg_class where relname in ('view', 'View', 'it''s', 't')"
        self.assertEqual(list(self.database.query(left)["relname"]), [])
        self.database.query('drop schema "Some ""schema"')


class TestPair(unittest.TestCase):
    def test_of_contracts_for_the_same_table_it_is_not_known_who_has_moved(self) -> None:
        old = contract_of(status="deprecated", sunset=day(0), replacedBy="new")
        new = contract_of(name="new")
        self.assertEqual(list(find_unmoved_consumers({"a": old, "b": new}, {}, {})), [])
        new.spec["schema"]["table_name"] = "other"
        self.assertEqual(list(find_unmoved_consumers({"a": old, "b": new}, {}, {})), [("a", UnmovedConsumers((), ()))])

    def test_a_missing_table_hides_neither_the_end_nor_what_takes_over(self) -> None:
        violations = [missing_column("a"), missing_column("b")]
        for key in ("sunset", "replacedBy"):
            wrong = example_violation(column_name="(table)", key=key)
            contract = example_contract(violations=(*violations, wrong), is_table_missing=True)
            self.assertEqual([finding.key for finding in find_findings(contract)], ["table_name", key])

    def test_who_breaks_a_deprecated_contract_may_wait_for_its_sunset(self) -> None:
        for status, is_told in (("deprecated", True), ("active", False)):
            violation = example_violation(cause=CAUSE)
            contract = example_contract(status=status, sunset=day(9), violations=(violation,))
            report = ContractReport("violations", contracts=(contract,), comparison=Comparison("main", "a" * 7))
            self.assertEqual(f"Or wait: after its sunset, {day(9)}," in render_text(report), is_told)


class TestSunsetNotes(unittest.TestCase):
    def contract(self, **changes: Any) -> CheckedContract:
        contract = example_contract(
            violations=(), clauses=(), status="deprecated", sunset=day(-1), enforcement="reported"
        )
        return replace(contract, **{"days_past_sunset": 1, "drop_call": "op.drop_table('a')", **changes})

    def test_the_summary_says_what_is_left_to_do_only_after_a_while(self) -> None:
        for days, is_told in ((30, False), (31, True)):
            report = ContractReport("passed", contracts=(self.contract(days_past_sunset=days),))
            self.assertEqual("op.drop&#95;table" in render_summary(report, "", None).replace("_", "&#95;"), is_told)
            for text in (render_text(report), render_html(report)):
                self.assertIn("may be dropped now: op.drop", text)

    def test_a_long_call_stays_on_one_line(self) -> None:
        call = 'op.execute(\'DROP MATERIALIZED VIEW "public"."object_images_with_everything_that_is_known"\')'
        self.assertIn(
            f"\n  may be dropped now: {call}\n",
            render_text(ContractReport("passed", contracts=(self.contract(drop_call=call),))),
        )

    def test_where_the_table_is_gone_the_contract_is_left_to_be_retired(self) -> None:
        text = render_text(ContractReport("passed", contracts=(self.contract(drop_call=None),)))
        self.assertNotIn("dropped", text)
        self.assertIn('\n  set "status" to "retired" in\n', text)


class TestLadder(PullRequestTestCase):
    """A contract from active to retired, by a table that takes over."""

    def setUp(self) -> None:
        super().setUp()
        self.write_revision("b", NEW_TABLE)
        self.write(CONTRACT.parent / "training.sql", "select primary_image from object_images")
        self.write(CONTRACT.parent / "shop.sql", "select object_id from object_images")
        self.write(CONTRACT.parent / "load.sql", "update object_images set primary_image = null")
        self.write_new_contract()
        self.write_old_contract()
        self.commit_to_main()

    def write_old_contract(self, **changes: Any) -> None:
        readers = {"Training": {"queries": ["training.sql"]}, "Website": {}}
        consumers = [{"name": name, "role": "reader", "reason": "", **queries} for name, queries in readers.items()]
        consumers.append({"name": "Loader", "role": "writer", "reason": "", "queries": ["load.sql"]})

        def change(spec: Any) -> None:
            spec |= {"spec-version": "1.2.0", "noticeDays": 30, "consumers": consumers, **changes}

        self.write_contract(change)

    def write_new_contract(self, **changes: Any) -> None:
        consumer = {"name": "Shop", "role": "reader", "reason": "It sells.", "queries": ["shop.sql"]}

        def change(spec: Any) -> None:
            spec |= {"spec-version": "1.2.0", "name": "new", "consumers": [consumer], **changes}
            column = spec["schema"]["properties"].pop("object_id")
            spec["schema"] |= {"table_name": "object_images_normalized", "properties": {"object_id": column}}

        self.write_contract(change, NEW_CONTRACT)

    def deprecate(self, sunset: int, **changes: Any) -> None:
        self.write_old_contract(status="deprecated", sunset=day(sunset), replacedBy="new", **changes)

    def check(self, days: int = 0, loosened: str = "fail") -> tuple[int, ContractReport, str]:
        """Exit status, report, and its text on one line, on a day after TODAY."""
        status, report = self.report("--base", "main", "--today", day(days), "--loosened", loosened)
        return status, report, " ".join(render_text(report).split())

    def test_a_contract_is_deprecated_with_notice_kept_until_its_sunset_dropped_and_retired(self) -> None:
        self.deprecate(29)
        status, report, text = self.check(loosened="report")
        self.assertEqual((status, report.outcome), (1, "violations"))
        (promise,) = report.broken_promises
        (violation,) = promise.violations
        expected = f"{day(30)} or later (30 days of notice)"
        self.assertEqual((violation.expected, violation.found, violation.cause), (expected, day(29), None))
        self.assertEqual((promise.path, violation.line), (CONTRACT.as_posix(), self.line_of(CONTRACT, '"sunset"')))
        self.assertIn("violations: 1 of 2 contracts without enough notice of the end", text)
        self.assertIn(
            "object_images ends without enough notice (table): Sunset: expected",
            text.replace(" owner: Data Engineering Team, data-eng@museum.org", ""),
        )
        self.assertIn(f'set "status" to "deprecated" and "sunset" to {expected}.', text)
        comment = render_comment(report, "", RUN)
        for words in (
            "`public.object_images`, ends without enough notice\n",
            "When may object_images_contract_spec end?",
        ):
            self.assertIn(words, comment)
        for rendered in (text, comment, render_html(report), render_junit(report), render_annotations(report)):
            self.assertNotIn("old promise", rendered)
        self.assertIn(f"::error file={CONTRACT},line={violation.line},", render_annotations(report))
        self.assertIn("Ends without enough notice", render_html(report))
        self.assertIn('<error message="the contract ends without enough notice: (table): Sunset:', render_junit(report))
        self.assertEqual(
            render_sentence(report),
            "1 contract without enough notice of the end: object_images_contract_spec (owner: Data Engineering Team)",
        )

        self.deprecate(30)
        status, report, text = self.check()
        self.assertEqual((status, report.conclusion), (0, "asks"))
        transition = report.contracts[0].transition
        assert transition
        self.assertEqual((transition.contract_name, transition.path), (NEW_CONTRACT.stem, NEW_CONTRACT.as_posix()))
        self.assertEqual(transition.unmoved, UnmovedConsumers(("Training", "Shop"), ("Website", "Loader")))
        summary = render_summary(report, "", None)
        page = re.sub("<[^>]*>", "", render_html(report))
        for rendered in (text, page, summary.replace("&#95;", "_")):
            self.assertIn(
                "object_images_normalized_contract_spec, the contract of public.object_images_normalized", rendered
            )
            self.assertIn("column primary_image is no longer promised", rendered)
            self.assertIn("not moved, a query reads public.object_images: Training, Shop", rendered)
            self.assertIn("not known whether moved: Website, Loader", rendered)
        self.commit_to_main()

        # As on the last day: neither earlier, nor without the table.
        self.deprecate(28)
        dropping = self.write_revision("c", 'op.drop_table("object_images")', "b")
        status, report, text = self.check(20)
        self.assertEqual((status, report.outcome), (1, "violations"))
        self.assertIn(f"expected {day(30)} or later (the sunset until now), found {day(28)}", text)
        self.assertIn("Table 'public.object_images' is defined in contract but missing", text)
        self.deprecate(30)
        status, report, text = self.check(30)
        self.assertEqual((status, len(report.broken_promises)), (1, 0))
        result = run([TESTS, "--today", day(30)], self.root, self.url)
        self.assertEqual(result.returncode, 1, result.stdout)
        self.assertIn("Column: primary_image", result.stdout)

        # Afterwards it may go, when the consumers have moved.
        (self.root / dropping).unlink()
        self.write(CONTRACT.parent / "training.sql", "select image from object_images_normalized")
        self.write(CONTRACT.parent / "shop.sql", "select object_id from object_images_normalized")
        self.commit_to_main()
        self.write_revision("c", 'op.drop_table("object_images")', "b")
        status, report, text = self.check(31)
        self.assertEqual((status, report.outcome, report.contracts[0].drop_call), (0, "passed", None))
        self.assertIn("no query reads public.object_images not known whether moved: Website, Loader", text)
        self.assertIn(f'set "status" to "retired" in {CONTRACT}', text)
        result = run([TESTS, "--today", day(31)], self.root, self.url)
        self.assertEqual((result.returncode, result.stdout.split()[-1]), (0, "OK"))
        self.commit_to_main()
        self.deprecate(30)
        self.replace(CONTRACT, '"deprecated"', '"retired"')
        status, report, text = self.check(32)
        self.assertEqual((status, report.conclusion), (0, "passed"))
        self.assertEqual(report.contracts[0].transition, None)

    def test_without_notice_a_contract_is_neither_retired_nor_deleted(self) -> None:
        self.write_old_contract(status="retired")
        status, report, text = self.check(loosened="report")
        self.assertEqual((status, report.broken_promises[0].violations[0].found), (1, "retired"))
        self.assertEqual(report.broken_promises[0].violations[0].line, self.line_of(CONTRACT, '"status"'))
        (self.root / CONTRACT).unlink()
        self.write_revision("c", 'op.drop_table("object_images")', "b")
        status, report, text = self.check()
        (promise,) = report.broken_promises
        self.assertEqual((status, promise.is_deleted, promise.violations[-1].found), (1, True, "deleted"))
        for words in (
            "was deleted; the database breaks the old promise",
            "Table 'public.object_images' is defined in contract but missing",
            "30 days of notice), found deleted",
            f'Restore {CONTRACT}, and set "status" to "deprecated" and "sunset" to',
            "Keep the table until that day.",
        ):
            self.assertIn(words, text)
        self.assertNotIn("Merge that one, then this one with the migration", text)
        self.assertIn("When may object_images_contract_spec end?", render_comment(report, "", RUN))

    def test_a_deprecated_contract_loses_no_clause_before_its_sunset(self) -> None:
        self.deprecate(30)
        self.commit_to_main()
        self.replace(CONTRACT, '"additional_images": {', '"another": {')
        renaming = 'op.alter_column("object_images", "additional_images", new_column_name="another")'
        self.write_revision("c", renaming, "b")
        for days, status in ((30, 1), (31, 0)):
            found, report, text = self.check(days, loosened="report")
            self.assertEqual(found, status)
        self.assertEqual(report.broken_promises, ())
        found, report, text = self.check(30, loosened="report")
        (promise,) = report.broken_promises
        violation = promise.violations[-1]
        self.assertEqual(violation.expected, f"{day(30)} or later, for each clause")
        self.assertEqual(violation.found, "column additional_images is no longer promised")
        self.assertIn(f"Take back what {CONTRACT} loses: each clause is promised until the sunset.", text)

    def test_what_takes_over_is_built_and_active(self) -> None:
        self.deprecate(40)
        self.write_new_contract(status="draft")
        status, report, text = self.check(1)
        self.assertEqual((status, report.outcome), (1, "violations"))
        (violation,) = report.contracts[0].violations
        self.assertEqual((violation.expected, violation.found), ("new", "a draft"))
        self.assertEqual(violation.line, self.line_of(CONTRACT, '"replacedBy"'))
        self.assertIn('Let "replacedBy" of object_images_contract_spec name an active contract', text)
        self.assertIn("Replaced By: expected new, found a draft", render_junit(report))
        self.assertNotIn("waivers", render_comment(report, "", RUN))
        self.write_new_contract()
        self.write_revision("b", "pass")
        self.write(CONTRACT.parent / "shop.sql", "select 1")
        status, report, text = self.check(1)
        self.assertEqual(status, 1)
        self.assertIn("Replaced By: expected new, found no table public.object_images_normalized", text)

    def test_past_the_sunset_the_table_may_be_dropped_unless_another_contract_promises_it(self) -> None:
        self.deprecate(30)
        self.commit_to_main()
        status, report, text = self.check(31)
        self.assertEqual((status, report.outcome), (0, "passed"))
        later = 'its sunset is over; when they have moved, drop it: op.drop_table("object_images")'
        self.assertIn(f'{later} then set "status" to "retired"', text)
        self.write_contract(lambda spec: spec.update(name="again"), CONTRACT.parent / "again_contract_spec.json")
        status, report, text = self.check(31)
        self.assertNotIn("may be dropped", text)
        self.assertIn(f'set "status" to "retired" in {CONTRACT}', text)
