import re
import unittest
from typing import Any

from data_contract_components.data_assets._query_postgres_helper import PostgresDB
from data_contract_components.detection.failed_query import FailedQuery
from data_contract_components.prevention.contract_report.contract_report import ReportedViolation
from data_contract_components.prevention.renderings.annotations import render_annotations
from data_contract_components.prevention.renderings.html_page import render_html
from data_contract_components.prevention.renderings.junit import render_junit
from data_contract_components.prevention.renderings.markdown import render_comment
from data_contract_components.prevention.renderings.text import render_text
from data_contract_components.prevention.renderings.words import quote_query
from tests import CONTRACT_TESTS, run
from tests.example_report import RUN
from tests.repositories import CONTRACT, SEED, setUpModule
from tests.test_report_changes import PullRequestTestCase

__all__ = ["setUpModule"]

TRAINING = """\
-- What the model is trained on
select object_id, primary_image
from object_images
where created_at > %(since)s
"""


class QueryReportTestCase(PullRequestTestCase):
    def write_queries(self, role: str = "reader", rows: str = "", **queries: str) -> None:
        """The contract has one consumer of these queries, by name."""
        consumer = {"name": "Data Science", "role": role, "reason": "They train a model."}
        consumer["queries"] = [f"queries/{name}.sql" for name in queries]  # type: ignore[assignment]
        for name, text in queries.items():
            self.write(CONTRACT.parent / f"queries/{name}.sql", text)
        if rows:
            consumer["rows"] = "queries/rows.txt.sql"
            self.write(CONTRACT.parent / consumer["rows"], rows)

        def change(spec: Any) -> None:
            spec |= {"spec-version": "1.2.0", "consumers": [consumer]}
            del spec["schema"]["properties"]["additional_images"]

        self.write_contract(change)

    def cause_of(self, violation: ReportedViolation) -> tuple[str, int | None] | None:
        return (violation.cause.path, violation.cause.line) if violation.cause else None


class TestQuotedLine(unittest.TestCase):
    def test_the_mark_is_below_the_place_also_in_a_part_of_a_long_line(self) -> None:
        for line, column in (("select b", 8), ("\tb", 2), ("b" + "x" * 200, 1), ("x" * 100 + "b" + "x" * 100, 101)):
            with self.subTest(line):
                text, mark = quote_query(FailedQuery("a", "q.sql", 1, column, line))
                self.assertEqual(text[mark.index("^")], "b")
                self.assertLess(len(text), 80)
                self.assertEqual(text.endswith("…"), len(line) > 100)


class TestReadersQueries(QueryReportTestCase):
    def test_the_change_that_breaks_a_query_is_named_in_every_rendering(self) -> None:
        self.write_queries(
            training=TRAINING,
            everything="select * from object_images",
            harmless="select object_id, additional_images from object_images where object_id in %s",
        )
        self.commit_to_main()
        path = self.write_revision(
            "b", '    op.alter_column("object_images", "primary_image", new_column_name="image")'
        )
        status, report = self.report()
        self.assertEqual((status, report.outcome), (1, "violations"))
        (contract,) = report.contracts
        violations = {violation.column_name: violation for violation in contract.violations}
        training, everything = violations["queries/training.sql"], violations["queries/everything.sql"]
        line = self.line_of(path, "op.alter_column")
        for violation in (training, everything):
            self.assertEqual(self.cause_of(violation), (path.as_posix(), line))
            self.assertEqual(violation.line, self.line_of(CONTRACT, f'"{violation.column_name}"'))
        query = training.query
        assert query
        self.assertEqual((query.consumer, query.sql_state, query.line, query.column), ("Data Science", "42703", 2, 19))
        words = "fails: column \"primary_image\" does not exist (SQL state 42703); it was renamed to 'image'"
        self.assertIn(words, " ".join(render_text(report).split()))
        self.assertEqual(
            everything.message,
            "Result of query queries/everything.sql of Data Science has new image text; "
            "no longer has primary_image text",
        )
        # "select *" reads whatever there is.
        self.assertEqual(contract.relied_on_columns, ["additional_images", "image"])
        # What a refused query read in the base is still read.
        self.assertEqual(contract.unread_columns, [])
        for text in (render_text(report), render_comment(report, "", RUN), render_annotations(report)):
            self.assertIn("queries/training.sql:2, column 19", text.replace("\\", ""))
            self.assertIn("select object_id, primary_image", text)
            self.assertIn("Data Engineering Team", text)
            self.assertNotIn("without breaking a clause", text)
        self.assertIn(f"file={path},line={line},", render_annotations(report))
        page = re.sub("<[^>]*>", "", render_html(report))
        self.assertIn("select object_id, primary_image\n                  ^", page)
        self.assertIn("relied on, not promised: additional_images, image", page)
        self.assertIn("select object_id, primary_image", render_junit(report))
        result = run(["unittest", CONTRACT_TESTS.removesuffix(".py").replace("/", ".")], self.root, self.url).stdout
        place = "data_contract_components/contract_definition/queries/training.sql:2:19"
        self.assertIn(f"(SQL state 42703), {place}\n", result)
        self.assertIn("   Column: queries/training.sql\n", result)

    def test_the_chapters_edit_breaks_the_training_query_on_its_line(self) -> None:
        self.write_queries(training=TRAINING)
        self.commit_to_main()
        self.replace_block()
        _, report = self.report()
        violation = report.contracts[0].violations[-1]
        self.assertEqual(violation.column_name, "queries/training.sql")
        self.assertEqual(self.cause_of(violation), (SEED.as_posix(), self.line_of(SEED, '"image",')))
        self.assertEqual((violation.renamed_to, violation.is_rename_certain), ("image", False))

    def test_a_new_column_that_makes_a_name_ambiguous_is_the_cause(self) -> None:
        self.write_queries(titles="select title from object join object_images using (object_id)")
        self.commit_to_main()
        path = self.write_revision("b", '    op.add_column("object_images", sa.Column("title", sa.Text))')
        (violation,) = self.report()[1].contracts[0].violations
        self.assertEqual(violation.found, 'column reference "title" is ambiguous')
        self.assertEqual(self.cause_of(violation), (path.as_posix(), self.line_of(path, "op.add_column")))

    def test_a_new_table_breaks_no_query(self) -> None:
        self.write_queries(training=TRAINING)
        self.commit_to_main()
        self.write_revision("b", '    op.create_table("images", sa.Column("primary_image", sa.Text))')
        status, report = self.report()
        self.assertEqual((status, report.outcome), (0, "passed"))

    def test_a_change_of_no_column_is_found_by_its_name(self) -> None:
        function = "create function since() returns date language sql as 'select current_date'"
        self.write_revision("a", f'    op.execute("{function}")')
        self.write_queries(training=TRAINING.replace("%(since)s", "since()"))
        self.commit_to_main()
        path = self.write_revision("b", '    op.execute("drop function since()")', "a")
        self.write(path, self.read(path) + f'\n\ndef downgrade():\n    op.execute("{function}")\n')
        (violation,) = self.report()[1].contracts[0].violations
        self.assertEqual(violation.found, "function since() does not exist")
        self.assertEqual(self.cause_of(violation), (path.as_posix(), self.line_of(path, "since()")))

    def test_a_query_that_is_edited_with_its_table_was_promised_in_the_base(self) -> None:
        self.write_queries(training=TRAINING)
        self.commit_to_main()
        path = self.write_revision("b", '    op.drop_column("object_images", "primary_image")')
        self.write_queries(training=TRAINING.replace(", primary_image", ""))
        status, report = self.report()
        self.assertEqual((status, report.outcome), (1, "violations"))
        (promise,) = report.broken_promises
        violations = {violation.column_name: violation for violation in promise.violations}
        violation = violations["queries/training.sql"]
        self.assertEqual(violation.found, 'column "primary_image" does not exist')
        self.assertEqual(self.cause_of(violation), (path.as_posix(), self.line_of(path, "op.drop_column")))
        self.assertEqual(violation.line, self.line_of(CONTRACT, '"queries/training.sql"'))

    def test_a_query_that_the_base_refuses_too_is_told_as_such(self) -> None:
        self.write_queries(training=TRAINING.replace("primary_image", "picture"))
        self.commit_to_main()
        self.write_revision("b", '    op.drop_column("object_images", "additional_images")')
        (violation,) = self.report()[1].contracts[0].violations
        self.assertTrue(violation.is_earlier)
        self.assertIsNone(violation.cause)

    def test_a_new_query_waits_for_its_migration(self) -> None:
        self.write_queries(training=TRAINING)
        self.commit_to_main()
        self.write_queries(training=TRAINING, more="select caption from object_images")
        self.write_revision("b", '    op.create_table("images", sa.Column("image", sa.Text))')
        _, report = self.report()
        (violation,) = report.contracts[0].violations
        self.assertEqual((violation.column_name, violation.is_earlier), ("queries/more.sql", False))
        self.assertIsNone(violation.cause)
        self.assertIn("Write the migration that lets queries/more.sql work,", render_text(report))
        self.assertIn("Or correct the query, if", render_text(report))
        self.write_queries(training="select caption from object_images")
        text = render_text(self.report()[1])
        self.assertIn("Write the migration", text)
        self.assertNotIn("See how the checked database was built", text)


class TestWritersQueries(QueryReportTestCase):
    def test_what_the_base_accepts_and_this_checkout_refuses_is_a_violation(self) -> None:
        self.write_queries(
            "writer",
            rows="insert into object (object_id) values (1);",
            insert="insert into object_images (object_id) values (1)",
            other="update object_images set primary_image = 'x' where object_id = 2",
            asking="insert into object_images (object_id) values (%s)",
            wrong="insert into object_images (object_id) values (null)",
        )
        self.commit_to_main()
        path = self.write_revision(
            "b",
            '    op.add_column("object_images", sa.Column("licence", sa.Text, nullable=False))\n'
            '    op.drop_column("object", "title")',
        )
        status, report = self.report()
        self.assertEqual((status, report.outcome), (1, "violations"))
        (contract,) = report.contracts
        (violation,) = contract.violations
        self.assertEqual(
            (violation.column_name, violation.query and violation.query.sql_state), ("queries/insert.sql", "23502")
        )
        self.assertEqual(self.cause_of(violation), (path.as_posix(), self.line_of(path, "op.add_column")))
        step = "Let queries/insert.sql work as before: keep what is used there, and put the change beside it."
        self.assertIn(step, " ".join(render_text(report).split()))
        self.assertEqual(
            {query.name: query.reason for query in contract.untried_queries},
            {
                "queries/asking.sql": "its parameters have no values",
                "queries/wrong.sql": 'the base refuses it: null value in column "object_id" of relation '
                '"object_images" violates not-null constraint (SQL state 23502)',
            },
        )
        roles = PostgresDB(self.url).query("select rolname from pg_roles where rolname ~ '^contracts_'")
        self.assertEqual(list(roles["rolname"]), [])

    def test_a_column_that_a_writer_does_not_write_is_named_with_its_migration(self) -> None:
        self.write_queries("writer")

        def change(spec: Any) -> None:
            spec |= {"spec-version": "1.2.0"}
            spec["consumers"] = [{"name": "Ingest", "role": "writer", "reason": "It loads.", "columns": ["object_id"]}]

        self.write_contract(change)
        self.commit_to_main()
        path = self.write_revision(
            "b", '    op.add_column("object_images", sa.Column("licence", sa.Text, nullable=False))'
        )
        _, report = self.report()
        (violation,) = report.contracts[0].violations
        self.assertEqual(violation.message, "writer Ingest does not write it, and it is NOT NULL and has no default")
        self.assertEqual(violation.column_name, "licence")
        self.assertEqual(self.cause_of(violation), (path.as_posix(), self.line_of(path, "op.add_column")))
        self.assertEqual(violation.line, self.line_of(CONTRACT, '"consumers"') + 1)
        steps = " ".join(render_text(report).split())
        self.assertIn("give object_images.licence a default or allow NULL where they do not write it", steps)
        self.assertNotIn("as promised", steps)
        self.assertNotIn("remove the old part", steps)

    def test_a_column_that_a_writer_writes_is_missed_although_the_contract_does_not_promise_it(self) -> None:
        def change(spec: Any) -> None:
            del spec["schema"]["properties"]["additional_images"]
            writer = {"name": "Ingest", "role": "writer", "reason": "It loads.", "columns": ["additional_images"]}
            spec |= {"spec-version": "1.2.0", "consumers": [writer]}

        self.write_contract(change)
        self.commit_to_main()
        self.assertEqual(self.report()[0], 0)
        path = self.write_revision("b", '    op.drop_column("object_images", "additional_images")')
        status, report = self.report()
        (violation,) = report.contracts[0].violations
        self.assertEqual((status, violation.message), (1, "writer Ingest writes it, and it does not exist"))
        self.assertEqual(self.cause_of(violation), (path.as_posix(), self.line_of(path, "op.drop_column")))

    def test_a_writer_that_this_checkout_adds_is_its_own_promise(self) -> None:
        self.write_contract(lambda spec: spec.update({"spec-version": "1.2.0"}))
        self.write_revision("a", '    op.add_column("object_images", sa.Column("licence", sa.Text, nullable=False))')
        self.commit_to_main()
        writer = {"name": "Ingest", "role": "writer", "reason": "It loads.", "columns": ["primary_image"]}
        self.write_contract(lambda spec: spec.update({"spec-version": "1.2.0", "consumers": [writer]}))
        _, report = self.report()
        self.assertEqual([(v.column_name, v.key) for v in report.contracts[0].violations], [("licence", "consumers")])
        text = " ".join(render_text(report).split())
        self.assertIn("Or correct the contract, if the table is right as it is.", text)
        self.assertNotIn("See how the checked database was built", text)
