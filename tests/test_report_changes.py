import re
from pathlib import Path
from typing import Any

from data_contract_components.data_assets._query_postgres_helper import PostgresDB
from data_contract_components.detection.migration_changes.changes import Place
from data_contract_components.prevention.contract_report.contract_report import ContractReport, from_json
from data_contract_components.prevention.renderings.annotations import render_annotations
from data_contract_components.prevention.renderings.html_page import render_html
from data_contract_components.prevention.renderings.markdown import render_comment, render_summary
from data_contract_components.prevention.renderings.text import WIDTH, render_text
from tests import run
from tests.example_report import RUN
from tests.repositories import CONTRACT, SEED, RepositoryTestCase, setUpModule
from tests.test_contract_report import find_schema_problems

__all__ = ["setUpModule"]


class PullRequestTestCase(RepositoryTestCase):
    """The whole project in a repository, with a database that the migrations of its feature branch build."""

    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(self.empty_database)
        self.copy_project()
        (self.root / ".gitignore").write_text("contract_report.json\n__pycache__/\n")
        self.commit_to_main()

    def empty_database(self) -> None:
        PostgresDB(self.url).query("drop schema public cascade; create schema public")

    def report(self, *options: str) -> tuple[int, ContractReport]:
        """The exit status and the report of a check of the working tree, compared with `main`."""
        self.empty_database()
        run(["alembic", "upgrade", "head"], self.root / "data_contract_components/data_assets", self.url, check=True)
        module = "data_contract_components.prevention.report"
        result = run([module, *(options or ("--base", "main"))], self.root, self.url)
        self.assertNotIn("Traceback", result.stdout)
        text = (self.root / "contract_report.json").read_text()
        self.assertEqual(find_schema_problems(text), [])
        return result.returncode, from_json(text)


class TestReportOfAPullRequest(PullRequestTestCase):
    def test_the_chapters_edit_is_reported_with_owner_line_and_likely_name_until_it_is_reverted(self) -> None:
        self.replace_block()
        self.commit()
        status, report = self.report()
        self.assertEqual((status, report.outcome), (1, "violations"))
        line = self.line_of(SEED, '"image",')
        first, second = report.contracts[0].violations
        assert first.cause and second.cause
        self.assertEqual((first.cause.path, first.cause.line), (SEED.as_posix(), line))
        self.assertEqual((first.renamed_to, first.is_rename_certain), ("image", False))
        self.assertEqual((second.cause.line, second.renamed_to), (line, None))
        comment = render_comment(report, "", RUN)
        for words in (
            "object_images_contract_spec",
            "Data Engineering Team",
            "data-eng@museum.org",
            f"{SEED}#L{line})",
            "missing, seems renamed to `image`",
            "**Changed under contract, without breaking a clause**\n\n"
            "- public.object_images.is_primary_image is new (owner: Data Engineering Team)\n",
        ):
            self.assertIn(words, comment)
        self.assertIn(f"file={SEED},line={line},", render_annotations(report))
        self.assertIn("Likely renamed to <strong>image</strong>", render_html(report))
        self.git("revert", "--no-edit", "HEAD")
        status, report = self.report()
        assert report.comparison
        self.assertEqual((status, report.outcome, report.comparison.changes), (0, "passed", ()))

    def test_a_contract_that_is_loosened_with_its_table_fails_and_names_the_owner(self) -> None:
        path = self.write_revision("b", '    op.drop_column("object_images", "primary_image")')
        self.write_contract(lambda spec: spec["schema"]["properties"].pop("primary_image"))
        status, report = self.report()
        self.assertEqual((status, report.outcome, report.contracts[0].violations), (1, "violations", ()))
        (promise,) = report.broken_promises
        (violation,) = promise.violations
        self.assertEqual(violation.cause and violation.cause.path, path.as_posix())
        comment = render_comment(report, "", RUN)
        title = (
            "`object_images_contract_spec`, the contract of `public.object_images`, was loosened; the database breaks"
        )
        self.assertIn(f"❌ Data contract violations detected:\n\n### {title} the old promise\n", comment)
        self.assertIn("Owner: **Data Engineering Team**, data-eng@museum.org\n", comment)
        self.assertNotIn("without breaking a clause", comment)
        self.assertIn("column primary_image is no longer promised", comment)
        self.assertIn(f"file={path},line=", render_annotations(report))
        self.assertIn("Loosened and broken", render_html(report))
        status, report = self.report("--base", "main", "--loosened", "report")
        self.assertEqual((status, report.outcome), (0, "passed"))
        self.assertEqual(len(report.broken_promises), 1)
        head = "⚠️ All current contracts pass, but one was loosened, and its old promises are broken:\n"
        self.assertTrue(render_summary(report, "", RUN).startswith(head))

    def test_each_loosened_clause_of_a_column_has_its_own_line(self) -> None:
        self.write_revision("b", '    op.alter_column("object_images", "object_id", type_=sa.BigInteger)')
        bigint = {"data_type": "bigint", "numeric_precision": 64}
        self.write_contract(lambda spec: spec["schema"]["properties"]["object_id"]["constraints"].update(bigint))
        _, report = self.report()
        (promise,) = report.broken_promises
        keys = [violation.key for violation in promise.violations]
        self.assertEqual(keys, list(bigint))
        lines = (self.root / CONTRACT).read_text().splitlines()
        self.assertTrue(all(f'"{v.key}"' in lines[(v.line or 0) - 1] for v in promise.violations))

    def test_a_promise_that_only_the_checked_database_breaks_is_broken(self) -> None:
        asked = 'op.get_bind().scalar(sa.text("select current_database()"))'
        self.write_revision("b", f'if {asked} == "postgres":\n    op.drop_column("object_images", "primary_image")')
        self.write_contract(lambda spec: spec["schema"]["properties"].pop("primary_image"))
        status, report = self.report()
        self.assertEqual((status, report.outcome), (1, "violations"))
        (promise,) = report.broken_promises
        self.assertEqual([violation.column_name for violation in promise.violations], ["primary_image"])

    def test_a_contract_that_is_moved_into_a_folder_and_loosened_is_named_by_its_path(self) -> None:
        path = CONTRACT.parent / "met" / CONTRACT.name
        (self.root / path.parent).mkdir()
        (self.root / CONTRACT).unlink()
        self.write_revision("b", '    op.drop_column("object_images", "primary_image")')
        self.write_contract(lambda spec: spec["schema"]["properties"].pop("primary_image"), path)
        status, report = self.report()
        assert report.comparison
        (promise,), (moved, *changes) = report.broken_promises, report.comparison.contract_changes
        self.assertEqual((status, promise.path), (1, path.as_posix()))
        self.assertEqual((moved.before, moved.after), (CONTRACT.as_posix(), path.as_posix()))
        self.assertEqual({change.place.path for change in changes}, {path.as_posix()})

    def test_a_clause_that_the_base_breaks_is_marked_and_so_is_a_certain_rename(self) -> None:
        self.git("checkout", "-q", "main")
        self.write_revision("b", '    op.drop_column("object_images", "created_at")')
        self.commit()
        self.git("checkout", "-q", "-B", "feature")
        self.write_revision("c", '    op.alter_column("object_images", "primary_image", new_column_name="x")', "b")
        status, report = self.report()
        self.assertEqual(status, 1)
        earlier, own = sorted(report.contracts[0].violations, key=lambda violation: violation.column_name)
        self.assertEqual((earlier.column_name, earlier.is_earlier, earlier.cause), ("created_at", True, None))
        self.assertEqual((own.is_earlier, own.renamed_to, own.is_rename_certain), (False, "x", True))
        comment = render_comment(report, "", RUN)
        self.assertIn("| missing, renamed to `x` |", comment)
        self.assertIn("| the base |", comment)

    def promise_constraints(self, spec: Any) -> Any:
        spec["spec-version"] = "1.2.0"
        spec["schema"] |= {
            "primaryKey": ["object_id"],
            "unique": [["primary_image", "created_at"], ["object_id", "created_at"]],
            "checks": ["(primary_image <> ''::text)"],
            "additionalConstraints": False,
        }
        return spec["schema"]

    def test_a_broken_promise_of_the_whole_table_has_the_line_of_the_constraint(self) -> None:
        self.git("checkout", "-q", "main")
        constraints = "add unique (created_at, primary_image), add constraint c check (primary_image <> '')"
        self.write_revision("b", f'    op.execute("""alter table object_images {constraints}""")')
        self.write_contract(self.promise_constraints)
        self.commit()
        self.git("checkout", "-q", "-B", "feature")
        drop = '    op.drop_constraint("object_images_created_at_primary_image_key", "object_images")'
        add = '    op.create_check_constraint("d", "object_images", "object_id > 0")'
        rename = '    op.alter_column("object_images", "object_id", new_column_name="id")'
        path = self.write_revision("c", f"{drop}\n{add}\n{rename}", "b")
        status, report = self.report()
        self.assertEqual((status, report.outcome), (1, "violations"))
        found = [
            (v.key, v.is_earlier, v.cause and v.cause.line, v.renamed_to)
            for v in report.contracts[0].violations
            if v.column_name == "(table)"
        ]
        dropped, added, renamed = (self.line_of(path, line) for line in (drop, add, rename))
        self.assertEqual(
            found,
            [
                ("primaryKey", False, renamed, None),
                ("unique[0]", False, dropped, None),
                ("unique[1]", True, None, None),
                ("additionalConstraints", False, added, None),
            ],
        )
        states = {clause.key: clause.state for clause in report.contracts[0].clauses if clause.column_name == "(table)"}
        self.assertEqual(
            [states[key] for key in ("unique[0]", "checks[0]", "additionalConstraints")], ["broken", "kept", "broken"]
        )
        lines = self.read(CONTRACT).splitlines()
        second = next(v for v in report.contracts[0].violations if v.key == "unique[1]")
        self.assertIn("object_id", lines[second.line or 0])
        for text in (render_comment(report, "", RUN), render_text(report), render_html(report)):
            self.assertIn("primary_image", text)
            self.assertIn("id &gt; 0" if "<html" in text else "id > 0", text)
        self.assertNotIn("without breaking a clause", render_comment(report, "", RUN))
        for line in (dropped, added, renamed):
            self.assertIn(f"file={path},line={line},", render_annotations(report))

    def test_a_promise_of_the_whole_table_that_is_removed_with_its_constraint_is_broken(self) -> None:
        self.git("checkout", "-q", "main")
        self.write_revision(
            "b", '    op.create_unique_constraint("u", "object_images", ["primary_image", "created_at"])'
        )
        self.write_contract(lambda spec: self.promise_constraints(spec)["unique"].pop())
        self.commit()
        self.git("checkout", "-q", "-B", "feature")
        path = self.write_revision("c", '    op.drop_constraint("u", "object_images")', "b")
        self.write_contract(lambda spec: self.promise_constraints(spec).update(unique=[]))
        _, report = self.report()
        (promise,) = report.broken_promises
        (violation,) = (v for v in promise.violations if v.key.startswith("unique"))
        self.assertEqual(violation.cause and violation.cause.path, path.as_posix())
        self.assertIn('"unique"', self.read(CONTRACT).splitlines()[(violation.line or 0) - 1])
        assert report.comparison
        (change,) = report.comparison.contract_changes
        self.assertEqual((change.json_path, change.kind), ("$.schema.unique", "removed"))

    def test_a_head_that_is_not_there_leaves_a_report_that_names_it(self) -> None:
        status, report = self.report("--base", "main", "--head", "nowhere")
        self.assertEqual((status, report.outcome), (2, "could not check"))
        self.assertIn('git knows no commit "nowhere"', str(report.comparison and report.comparison.error))

    def test_a_base_that_cannot_be_compared_with_is_could_not_check(self) -> None:
        for base in ("nowhere", ""):
            status, report = self.report("--base", base)
            self.assertEqual((status, report.outcome), (2, "could not check"))
            self.assertIn(f'git knows no commit "{base}"', str(report.comparison and report.comparison.error))
            self.assertTrue(render_comment(report, "", RUN).startswith("⚠️ All current contracts pass, but they"))

    def test_a_migration_that_fails_on_scratch_databases_hides_no_loosened_contract(self) -> None:
        body = '    if op.get_bind().exec_driver_sql("select current_database()").scalar().startswith("contracts"):\n'
        body += '        raise RuntimeError("not here")\n    op.drop_column("object_images", "primary_image")'
        self.write_revision("b", body)
        self.write_contract(lambda spec: spec["schema"]["properties"].pop("primary_image"))
        status, report = self.report()
        self.assertEqual((status, report.outcome, report.error), (2, "could not check", None))
        self.assertIn("not here", str(report.comparison and report.comparison.error))
        self.assertIn("not here", render_comment(report, "", RUN))

    def test_deleting_the_only_contract_with_its_table_is_could_not_check_and_names_the_owner(self) -> None:
        self.write_revision("b", '    op.drop_table("object_images")')
        (self.root / CONTRACT).unlink()
        status, report = self.report()
        self.assertEqual((status, report.outcome), (2, "could not check"))
        comment = render_comment(report, "", RUN)
        self.assertTrue(comment.startswith("⚠️ Data contracts could not be checked:"))
        self.assertIn("was deleted; the database breaks the old promise", comment)
        self.assertIn("| `(table)` | `table_name` | present | missing |", comment)
        self.assertIn("Owner: **Data Engineering Team**", comment)

    def test_a_renamed_table_is_reported_with_its_new_name(self) -> None:
        self.write_revision("b", '    op.rename_table("object_images", "images")')
        status, report = self.report()
        self.assertEqual(status, 1)
        self.assertIn("| missing, renamed to `public.images` |", render_comment(report, "", RUN))
        self.assertIn("it was renamed to 'public.images'", render_annotations(report))

    def test_a_change_that_breaks_no_clause_has_its_line_in_every_rendering(self) -> None:
        calls = {
            "constraint is new: UNIQUE (created_at, primary_image)": (
                'op.create_unique_constraint("u", "object_images", ["created_at", "primary_image"])'
            ),
            ".size is new": 'op.add_column("object_images", sa.Column("size", sa.Integer))',
            "row security was off, is on": 'op.execute("ALTER TABLE object_images ENABLE ROW LEVEL SECURITY")',
            "is replaced by another table; rows that the migration does not copy are lost": (
                'with op.batch_alter_table("object_images", recreate="always"): pass'
            ),
        }
        lines = [*calls.values(), 'op.create_table("extra", sa.Column("size", sa.Integer))']
        path = self.write_revision("b", "\n".join(lines[::-1]))
        status, report = self.report()
        self.assertEqual((status, report.outcome), (0, "passed"))
        text, page = render_text(report), render_html(report).replace('<wbr aria-hidden="true">', "")
        self.assertLessEqual(max(map(len, text.splitlines())), WIDTH)
        for words, call in calls.items():
            line = self.line_of(path, call)
            self.assertIn(words, " ".join(text.split()))
            self.assertIn(words, page)
            self.assertIn(f"{words} (owner: Data Engineering Team)\n", render_summary(report, "", RUN))
            self.assertRegex(
                render_annotations(report),
                re.escape(f"::notice file={path},line={line},title=Changed under contract::public.object_images")
                + f".*{re.escape(words)}",
            )
        self.assertIn("**New tables without a contract**\n\n- public.extra is new\n", render_summary(report, "", RUN))


class TestCouldNotCheck(PullRequestTestCase):
    """Each failure leaves a report that says why, on the line of the pull request that did it."""

    def check(self, *options: str) -> tuple[int, ContractReport, str]:
        module = "data_contract_components.prevention.report"
        status = run([module, *options, "--base", "main"], self.root, self.url).returncode
        report = from_json((self.root / "contract_report.json").read_text())
        self.assertEqual((report.outcome, report.comparison), ("could not check", None))
        return status, report, render_annotations(report)

    def test_a_migration_that_fails_is_named_with_its_line_and_reason(self) -> None:
        path = self.write_revision("b", 'op.drop_column("object_images", "nosuch")')
        self.commit()
        status, report, annotations = self.check("--migrate")
        self.assertEqual((status, report.place), (2, Place(str(path), 9, "b")))
        self.assertIn('column "nosuch" of relation "object_images" does not exist', str(report.error))
        self.assertTrue(annotations.startswith(f"::error file={path},line=9,"), annotations)
        # It is also why the database is not up to date.
        _, report, _ = self.check()
        self.assertEqual(report.place, Place(str(path), 9, "b"))
        self.assertIn('column "nosuch" of relation "object_images" does not exist', str(report.error))
        self.write(path, self.read(path).replace('"nosuch")', '"nosuch"'))
        status, report, annotations = self.check("--migrate")
        self.assertEqual((status, report.place), (2, Place(str(path), 9, None)))
        self.assertIn("SyntaxError: '(' was never closed", str(report.error))
        self.assertEqual(annotations.count("::error "), 1)

    def test_a_database_of_another_branch_is_no_error_of_a_file(self) -> None:
        PostgresDB(self.url).query(
            "create table alembic_version (version_num text); insert into alembic_version values ('gone')"
        )
        run(["data_contract_components.prevention.report", "--migrate"], self.root, self.url)
        report = from_json((self.root / "contract_report.json").read_text())
        self.assertIn("Can't locate revision", str(report.error))
        self.assertIsNone(report.place)

    def test_migrations_that_can_be_applied_are_checked_at_once(self) -> None:
        run(["data_contract_components.prevention.report", "--migrate"], self.root, self.url)
        report = from_json((self.root / "contract_report.json").read_text())
        self.assertEqual((report.outcome, report.diff), ("passed", None))

    def test_a_broken_contract_file_is_reported_once_on_its_line(self) -> None:
        self.replace(CONTRACT, '"owner": {', '"holder": {')
        self.commit()
        status, report, annotations = self.check("--migrate")
        line = self.line_of(CONTRACT, '"holder": {')
        self.assertEqual((status, {problem.path for problem in report.problems}), (2, {str(CONTRACT)}))
        self.assertIn(f"::error file={CONTRACT},line={line},", annotations)

    def test_what_failed_before_the_check_is_reported_with_the_errors_of_its_log(self) -> None:
        self.write(Path("requirements.txt"), "nosuch==1\n")
        self.commit()
        error = "ERROR: No matching distribution found for nosuch==1"
        log = f"#12 0.5 Collecting nosuch\n#12 3.5 {error}\n#13 4.0 {error}\n"
        (self.root / "log").write_text(log)
        status, report, annotations = self.check("--not-checked", "No packages.", "--log", "log", "--head", "HEAD")
        self.assertEqual((status, report.error), (2, f"No packages.\n{error}"))
        self.assertTrue(annotations.startswith("::error file=requirements.txt,line=1,"), annotations)

    def test_wrong_settings_leave_a_report_too(self) -> None:
        self.write(Path("pyproject.toml"), "[tool.data_contracts]\nnosuch = 1\n")
        module = "data_contract_components.prevention.report"
        self.assertEqual(run([module], self.root, self.url).returncode, 2)
        report = from_json((self.root / "contract_report.json").read_text())
        self.assertIn("nosuch", str(report.error))
