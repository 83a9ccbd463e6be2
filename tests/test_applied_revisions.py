import hashlib
import json
import os
import subprocess
import sys
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory

from data_contract_components.data_assets._applied_revisions import (
    APPLIED_REVISIONS_SQL,
    VERSIONS_DIRECTORY,
    find_stale_revisions,
)
from tests import CONTRACT_TESTS, ProjectTestCase, run

REVISION = "00e9b3375a5f"
FILE_NAME = f"{REVISION}_create_met_museum_seed_tables.py"


class TestFindStaleRevisions(unittest.TestCase):
    def setUp(self) -> None:
        temporary_directory = TemporaryDirectory()
        self.addCleanup(temporary_directory.cleanup)
        self.directory = Path(temporary_directory.name)
        (self.directory / "helper.py").write_text("x = 1\n")

    def write(self, revision: str, text: str = "") -> str:
        path = self.directory / f"{revision}_name.py"
        path.write_text(f'revision: str = "{revision}"\n{text}')
        return hashlib.sha256(path.read_bytes()).hexdigest()

    def test_files_as_they_were_applied_are_no_problem(self) -> None:
        applied = {"a": self.write("a"), "b": self.write("b")}
        self.assertEqual(find_stale_revisions(applied, self.directory)[0], [])

    def test_an_edited_a_removed_and_a_new_revision_are_each_named(self) -> None:
        applied = {"a": self.write("a"), "gone": "0"}
        self.write("a", "# edited")
        self.write("new")
        self.assertEqual(
            find_stale_revisions(applied, self.directory),
            (
                [
                    "a_name.py was edited after it had been applied",
                    "revision gone was applied, and its file is gone; bring it back to undo it",
                    "new_name.py has not been applied",
                ],
                ["alembic downgrade base", "alembic upgrade head"],
            ),
        )

    def test_a_new_revision_alone_needs_no_downgrade(self) -> None:
        self.write("new")
        self.assertEqual(
            find_stale_revisions({}, self.directory), (["new_name.py has not been applied"], ["alembic upgrade head"])
        )


class TestAppliedRevisions(ProjectTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.data_assets = self.project / "data_contract_components/data_assets"
        self.alembic("upgrade", "head")

    def alembic(self, *arguments: str) -> None:
        run(["alembic", *arguments], self.data_assets, check=True)

    def edit_applied_revision(self) -> None:
        path = self.data_assets / "db_migrations/versions" / FILE_NAME
        path.write_text(
            path.read_text().replace('"primary_image",\n            sa.Text', '"image",\n            sa.Text')
        )

    def run_contract_tests(self) -> str:
        return run(["unittest", CONTRACT_TESTS, "-v"], self.project).stdout

    def recorded(self) -> dict[str, str]:
        return json.loads(self.recorded_text())

    def recorded_text(self) -> str:
        return self.query(APPLIED_REVISIONS_SQL)

    def query(self, sql: str) -> str:
        """The first value of the answer, from the copy's own embedded server."""
        (self.project / "query.py").write_text(
            "from data_contract_components.data_assets._query_postgres_helper import PostgresDB\n"
            f"print(PostgresDB().query({sql!r}).iloc[0, 0])"
        )
        return run(["query"], self.project, check=True).stdout.removesuffix("\n")

    def test_the_checksum_of_the_applied_file_is_recorded(self) -> None:
        checksum = hashlib.sha256((VERSIONS_DIRECTORY / FILE_NAME).read_bytes()).hexdigest()
        self.assertEqual(self.recorded(), {REVISION: checksum})

    def test_an_edited_revision_is_an_error_with_the_commands_to_type_until_they_are_typed(self) -> None:
        self.edit_applied_revision()
        self.alembic("upgrade", "head")
        output = self.run_contract_tests()
        self.assertIn(f"{FILE_NAME} was edited after it had been applied\n", output)
        self.assertIn("  alembic downgrade base\n  alembic upgrade head\n", output)
        self.assertIn("FAILED (errors=2)", output)
        self.assertNotIn("... ok", output)
        self.alembic("downgrade", "base")
        self.alembic("upgrade", "head")
        self.assertIn("FAILED (failures=1)", self.run_contract_tests())

    def test_a_later_revision_that_was_not_applied_is_an_error_until_it_is(self) -> None:
        before = self.recorded()
        self.alembic("revision", "-m", "later")
        output = self.run_contract_tests()
        self.assertIn("_later.py has not been applied\n", output)
        self.assertNotIn("... ok", output)
        self.alembic("upgrade", "head")
        self.assertEqual(before.items() - self.recorded().items(), set())
        self.assertEqual(len(self.recorded()), 2)
        self.assertIn("\nOK\n", self.run_contract_tests())
        self.alembic("downgrade", "-1")
        self.assertEqual(self.recorded(), before)

    def test_a_stamp_records_the_revisions_below_it_too(self) -> None:
        before = self.recorded()
        self.alembic("revision", "-m", "later")
        self.alembic("stamp", "base")
        self.alembic("stamp", "head")
        self.assertEqual(before.items() - self.recorded().items(), set())
        self.assertEqual(len(self.recorded()), 2)

    def test_somebody_elses_comment_is_no_record_and_stays(self) -> None:
        comment = "-- of another tool"
        program = (
            "from data_contract_components.data_assets._query_postgres_helper import PostgresDB as P; P().query({!r})"
        )
        (self.project / "comment.py").write_text(program.format(f"comment on table alembic_version is '{comment}'"))
        run(["comment"], self.project, check=True)
        self.assertIn("\nOK\n", self.run_contract_tests())
        self.alembic("downgrade", "base")
        self.assertEqual(self.recorded_text(), comment)

    def test_tables_that_were_taken_down_and_not_built_again_are_an_error(self) -> None:
        self.alembic("downgrade", "base")
        self.assertEqual(self.recorded(), {})
        self.assertIn(f"{FILE_NAME} has not been applied\n", self.run_contract_tests())

    def test_two_migrations_that_start_at_once_wait_for_each_other(self) -> None:
        self.alembic("downgrade", "base")
        command = [sys.executable, "-m", "alembic", "upgrade", "head"]
        environment = os.environ | {"DATABASE_URL": ""}
        processes = [
            subprocess.Popen(command, cwd=self.data_assets, env=environment, stderr=subprocess.PIPE) for _ in "12"
        ]
        errors = [process.communicate()[1] for process in processes]
        self.assertEqual([process.returncode for process in processes], [0, 0], errors)
        self.assertEqual(sum(b"Running upgrade" in text for text in errors), 1)

    def test_a_database_without_a_record_is_checked_as_it_is(self) -> None:
        self.query("comment on table alembic_version is null")
        self.edit_applied_revision()
        self.assertIn("\nOK\n", self.run_contract_tests())
