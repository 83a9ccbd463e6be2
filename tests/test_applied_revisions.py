import contextlib
import io
import os
import subprocess
import sys
import unittest
from pathlib import Path

from data_contract_components.data_assets._applied_revisions import RECORDS_SQL, Record
from data_contract_components.data_assets._stale_database import ensure_applied_revisions_are_current, find_stale_files
from data_contract_components.errors import StaleDatabaseError
from tests import CONTRACT_TESTS, DatabaseTestCase, ProjectTestCase, run, settings_of

REVISION = "00e9b3375a5f"
FIRST_PATH = f"versions/{REVISION}_create_met_museum_seed_tables.py"
REVISION_TEXT = """
import sqlalchemy as sa
from alembic import context, op

revision = {revision!r}
down_revision = {down_revision!r}


def upgrade():
    {upgrade}


def downgrade():
    {downgrade}
"""


class RevisionsTestCase(ProjectTestCase, DatabaseTestCase):
    """Each test has a copy of the project, and a database that its migrations built."""

    def setUp(self) -> None:
        ProjectTestCase.setUp(self)
        DatabaseTestCase.setUp(self)
        self.data_assets = self.project / "data_contract_components/data_assets"
        self.migrations = self.data_assets / "db_migrations"
        contract = self.project / "data_contract_components/contract_definition/object_images_contract_spec.json"
        text = contract.read_text()
        contract.write_text(text.replace('"table_catalog": "postgres"', f'"table_catalog": "{self.database_name}"'))

    def write(
        self, revision: str, upgrade: str, down_revision: str = REVISION, *, name: str = "", downgrade: str = "pass"
    ) -> Path:
        path = self.migrations / "versions" / (name or f"{revision}.py")
        path.parent.mkdir(exist_ok=True)
        values = {"revision": revision, "down_revision": down_revision, "upgrade": upgrade, "downgrade": downgrade}
        path.write_text(REVISION_TEXT.format(**values))
        return path

    def alembic(self, *arguments: str, url: str | None = None, status: int = 0) -> str:
        result = run(["alembic", *arguments], self.data_assets, self.url if url is None else url)
        self.assertEqual(result.returncode, status, result.stdout)
        return result.stdout

    def rebuild(self) -> None:
        self.alembic("downgrade", "base")
        self.alembic("upgrade", "head")

    def edit(self, old: str = "", new: str = "", path: str = FIRST_PATH) -> None:
        """Replaces `old` in a migration file, and ends it by a comment."""
        file = self.migrations / path
        file.write_text(file.read_text().replace(old, new) + "# edited\n")

    def run_contract_tests(self) -> str:
        return run(["unittest", CONTRACT_TESTS, "-v"], self.project, self.url).stdout

    def check(self) -> list[str]:
        """The problems that the check finds, or else what it printed."""
        with settings_of(self.project), contextlib.redirect_stderr(io.StringIO()) as stream:
            try:
                ensure_applied_revisions_are_current(self.database, self.migrations)
            except StaleDatabaseError as error:
                return error.problems
        return [line for line in stream.getvalue().splitlines() if line]

    def record(self) -> Record:
        record = Record.from_json(self.database.query(RECORDS_SQL)["record"][0])
        assert record
        return record


class TestFindStaleFiles(unittest.TestCase):
    def test_the_printed_commands_repair_the_database(self) -> None:
        files = {"versions/a.py": "1", "x.sql": "2"}
        record = Record(["a"], {"a": "versions/a.py"}, {**files})
        both, upgrade = ["alembic downgrade base", "alembic upgrade head"], ["alembic upgrade head"]
        for found, commands in [
            (files, upgrade),
            (files | {"versions/b.py": "3"}, upgrade),
            (files | {"helper.py": "3"}, both),
            (files | {"versions/a.py": "3"}, both),
            ({"versions/a.py": "1"}, both),
            ({"x.sql": "2"}, []),
        ]:
            with self.subTest(found):
                problems, found_commands = find_stale_files(record, {"a"}, found)
                self.assertEqual((bool(problems), found_commands), (found != files, commands))


class TestAppliedRevisions(RevisionsTestCase):
    def test_a_file_that_is_new_edited_or_gone_since_is_stale(self) -> None:
        (self.migrations / "helper.py").write_text("x = 1\n")
        (self.migrations / "sql").mkdir()
        (self.migrations / "sql/tables.sql").write_text("select 1;\n")
        self.write("later", "pass")
        self.rebuild()
        self.assertEqual(self.check(), [])
        for path, text, problem in [
            (FIRST_PATH, "# edited", "was edited after it had been applied"),
            ("helper.py", "x = 2", "was edited after it had been applied"),
            ("sql/tables.sql", "", "was edited after it had been applied"),
            ("helper.py", None, "is gone, and was there when the database was built"),
            ("versions/later.py", None, "is gone, and its revision later is applied; to keep it, check out the branch"),
            ("sql/more.sql", "select 2", "has not been applied"),
            ("versions/deep/new.py", "", "has not been applied"),
            ("versions/#new.py", "", "has not been applied"),
        ]:
            with self.subTest(path=path, text=text):
                file = self.migrations / path
                before = file.read_bytes() if file.exists() else None
                file.parent.mkdir(exist_ok=True)
                file.unlink() if text is None else file.write_text(text)
                self.assertIn(f"{path} {problem}", self.check()[0])
                self.assertEqual(len(self.check()), 1)
                file.unlink(missing_ok=True) if before is None else file.write_bytes(before)
                self.assertEqual(self.check(), [])

    def test_files_that_no_migration_reads_are_not_stale_and_do_not_stop_alembic(self) -> None:
        first = self.migrations / FIRST_PATH
        first.write_bytes(first.read_bytes().replace(b"\n", b"\r\n"))
        versions = self.migrations / "versions"
        (versions / ".#a.py").symlink_to("nobody@nowhere:1")
        (versions / "._a.py").write_bytes(b"\0\5\26\7")
        (versions / "x.py").mkdir()
        for name in (".DS_Store", "a.py~", "#a.py#", "__pycache__/a.pyc", "../raw_data/new.json"):
            (versions / name).parent.mkdir(exist_ok=True)
            (versions / name).write_bytes(b"1")
        self.assertEqual(self.check(), [])
        self.rebuild()
        self.assertEqual(self.check(), [])

    def test_the_recorded_revisions_are_those_that_alembic_loads(self) -> None:
        ini = self.data_assets / "alembic.ini"
        ini.write_text(ini.read_text().replace("[loggers]", "recursive_version_locations = true\n[loggers]", 1))
        self.write("fstring", "pass", name="deep/a.py")
        self.edit("revision = 'fstring'", "if True:\n    revision: str = (f'{str()}fstring')", "versions/deep/a.py")
        path = self.write("latin", "pass", "fstring")
        path.write_bytes(f"# coding: latin-1\n# é\n{path.read_text()}".encode("latin-1"))
        self.write("branch", "pass", REVISION)
        self.write("merged", "pass", "latin")
        self.edit("def upgrade", "depends_on = 'branch'\n\n\ndef upgrade", "versions/merged.py")
        self.alembic("upgrade", "heads")
        paths = {name: f"versions/{name}.py" for name in ("latin", "branch", "merged")}
        paths |= {REVISION: FIRST_PATH, "fstring": "versions/deep/a.py"}
        self.assertEqual(self.record().paths, paths)
        self.assertEqual(self.check(), [])

    def test_a_revision_may_be_downgraded_edited_and_applied_and_a_helper_may_not(self) -> None:
        helper = self.migrations / "helper.sql"
        helper.write_text("select 1")
        self.alembic("downgrade", "base")
        self.write("later", "pass")
        self.alembic("upgrade", "head")
        self.alembic("downgrade", "-1")
        self.assertEqual(self.check(), ["versions/later.py has not been applied"])
        self.write("later", "op.execute('select 1')")
        helper.write_text("select 2")
        self.alembic("upgrade", "head")
        self.assertEqual(self.check(), ["helper.sql was edited after it had been applied"])
        self.alembic("downgrade", "base")
        self.assertEqual(self.check(), ["no revision is applied"])
        self.alembic("upgrade", "head")
        self.assertEqual(self.check(), [])

    def test_a_stamp_records_nothing_as_applied_and_lost_rows_of_alembics_table_are_noticed(self) -> None:
        self.edit()
        self.alembic("stamp", "base")
        problem = f"alembic's table names revision none, and {REVISION} ran last: it was stamped, or restored"
        self.assertEqual(self.check(), [problem])
        self.alembic("stamp", "head")
        self.assertEqual(self.check(), [f"{FIRST_PATH} was edited after it had been applied"])
        self.write("later", "pass")
        self.alembic("stamp", "head")
        self.assertIn("alembic's table names revision later", self.check()[0])
        self.database.query("delete from alembic_version")
        self.assertIn("alembic's table names revision none", self.check()[0])

    def test_without_a_record_the_check_prints_one_line(self) -> None:
        origin = "the database's origin is not known, as it has no record of"
        for statement in (
            "comment on table alembic_version is null",
            "comment on table alembic_version is '-- of another tool'",
            "drop table alembic_version",
        ):
            self.database.query(statement)
            self.assertEqual([line[: len(origin)] for line in self.check()], [origin], statement)
        output = self.run_contract_tests()
        self.assertTrue(output.endswith("\nOK\n"), output)
        self.assertEqual(output.count(origin), 1)

    def test_what_was_applied_without_a_record_stays_unknown_after_a_later_upgrade(self) -> None:
        self.database.query("comment on table alembic_version is null")
        self.write("later", "pass")
        self.alembic("upgrade", "head")
        self.assertIn(f"no record of how {FIRST_PATH} was applied", self.check()[0])
        self.assertEqual(len(self.check()), 1)

    def test_the_comment_of_another_tool_stays(self) -> None:
        self.database.query("comment on table alembic_version is '-- of another tool'")
        self.alembic("downgrade", "base")
        comment_df = self.database.query("select obj_description('alembic_version'::regclass)")
        self.assertEqual(comment_df.iloc[0, 0], "-- of another tool")

    def test_an_empty_database_was_never_migrated(self) -> None:
        self.database.query("drop schema public cascade; create schema public")
        self.assertEqual(self.check(), ["it was never migrated"])
        output = self.run_contract_tests()
        self.assertIn("  it was never migrated\n", output)
        self.assertIn("  alembic upgrade head\n", output)
        self.assertIn("FAILED (errors=2)", output)

    def test_the_record_is_found_by_its_content(self) -> None:
        table = "version_table='V', version_table_schema='Other'"
        self.edit("context.configure(connection", f"context.configure({table}, connection", "env.py")
        self.database.query(
            'drop schema public cascade; create schema public; create schema "Other"; create schema a;'
            "create table a.alembic_version (version_num text); comment on table a.alembic_version is 'not this one';"
            "create table alembic_version (version_num text)"
        )
        self.alembic("upgrade", "head")
        self.database.query(f"alter database {self.database_name} set search_path = ''")
        self.assertEqual(self.check(), [])
        self.edit()
        self.assertEqual(self.check(), [f"{FIRST_PATH} was edited after it had been applied"])
        damaged = """comment on table {} is '{{"data_contracts_record": 1}}'"""
        self.database.query(damaged.format("a.alembic_version"))
        self.assertEqual(self.check(), ['"Other"."V" and "a"."alembic_version" each have a record of what was applied'])
        self.database.query("comment on table a.alembic_version is null;" + damaged.format('"Other"."V"'))
        problem = 'the record of what was applied, the comment of "Other"."V", is damaged'
        self.assertEqual(self.check(), [problem])

    def test_a_compiled_file_of_another_content_is_not_run(self) -> None:
        path = self.write("later", "op.execute('create table a ()')")
        os.utime(path, (1, 1))
        self.alembic("heads")
        self.write("later", "op.execute('create table b ()')")
        os.utime(path, (1, 1))
        self.alembic("upgrade", "head")
        self.assertEqual(self.database.query("select to_regclass('b') is not null as exists")["exists"][0], True)


class TestContractTests(RevisionsTestCase):
    def test_an_edited_revision_is_an_error_until_the_printed_commands_are_run(self) -> None:
        self.edit('"primary_image",\n            sa.Text', '"image",\n            sa.Text')
        self.alembic("upgrade", "head")
        output = self.run_contract_tests()
        self.assertIn(f"{FIRST_PATH} was edited after it had been applied\n", output)
        self.assertIn("  alembic downgrade base\n  alembic upgrade head\n", output)
        self.assertIn("FAILED (errors=2)", output)
        self.assertNotIn("... ok", output)
        self.rebuild()
        self.assertIn("FAILED (failures=1)", self.run_contract_tests())

    def test_they_import_neither_alembic_nor_sqlalchemy(self) -> None:
        (self.project / "check.py").write_text(
            "import sys, unittest\n"
            f"unittest.main(module=None, argv=['', {CONTRACT_TESTS!r}], exit=False)\n"
            "print(sorted({'alembic', 'sqlalchemy'} & set(sys.modules)))\n"
        )
        environment = os.environ | {"DATABASE_URL": self.url}
        command = [sys.executable, "-m", "check"]
        output = subprocess.run(
            command, cwd=self.project, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ).stdout
        self.assertIn("\nOK\n", output)
        self.assertTrue(output.endswith("[]\n"), output)
