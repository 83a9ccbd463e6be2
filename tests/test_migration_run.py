import os
import subprocess
import sys
import tomllib

from tests import WAIT_SECONDS, read_data
from tests.test_applied_revisions import REVISION, RevisionsTestCase

RESET = "or rebuild the database from nothing: make reset"
COMMITS = {
    "commit": "op.get_bind().commit()",
    "sql": "op.execute('commit')",
    "driver": "op.get_bind().connection.commit()",
    "block": "with op.get_context().autocommit_block():\n        op.execute('select 1')",
    "both": "op.get_bind().commit()\n    with op.get_context().autocommit_block():\n        op.execute('select 1')",
    "second": "with op.get_bind().engine.begin() as other:\n        other.exec_driver_sql('select 1')",
}
LOSING = [
    "op.get_bind().rollback()",
    "op.execute('rollback')",
    "with op.get_context().autocommit_block():\n        op.get_bind().commit()",
    "op.get_bind().close()",
]
WAIT_FOR_ANOTHER = """with context.get_context().autocommit_block():
        while not op.get_bind().exec_driver_sql(
            "select count(*) from pg_stat_activity where datname = current_database() "
            "and query like '%%advisory_lock%%' and pid <> pg_backend_pid()"
        ).scalar_one():
            pass
        op.create_index("concurrent", "object", ["title"], postgresql_concurrently=True)"""


class TestMigrationRun(RevisionsTestCase):
    def query(self, sql: str) -> list[object]:
        return list(self.database.query(sql).iloc[:, 0])

    def test_what_follows_a_commit_is_applied_and_recorded(self) -> None:
        before = REVISION
        for name, statement in COMMITS.items():
            texts = [f"op.execute('create table {name}_{number} ()')" for number in (1, 2)]
            self.write(name, f"{texts[0]}\n    {statement}\n    {texts[1]}", before)
            before = name
        self.alembic("upgrade", "head")
        tables = self.query("select relname from pg_class where relkind = 'r' and relname ~ '_[12]$' order by 1")
        self.assertEqual(tables, sorted(f"{name}_{number}" for name in COMMITS for number in (1, 2)))
        self.assertEqual(list(self.record().paths), [*list(COMMITS)[::-1], REVISION])
        self.assertEqual(self.check(), [])

    def test_a_revision_that_rolls_back_its_changes_fails(self) -> None:
        for number, statement in enumerate(LOSING):
            with self.subTest(statement):
                self.write(
                    f"r{number}",
                    f"op.execute('create table r{number} ()')\n    {statement}\n    op.execute('select 1')",
                )
                self.assertIn(f"revision r{number} ", self.alembic("upgrade", "head", status=2))
                self.assertNotEqual(self.check(), [])
                (self.migrations / f"versions/r{number}.py").unlink()
                self.database.query(f"update alembic_version set version_num = '{REVISION}'")

    def test_a_failed_revision_is_three_lines_with_place_reason_and_way_out(self) -> None:
        self.database.query("create type mood as enum ('a')")
        for row in tomllib.loads(read_data("failing_upgrades.toml"))["revision"]:
            statement, reason, way_out = row["statement"], row["reason"], row["way_out"]
            with self.subTest(statement):
                path = self.write("later", statement)
                path.write_bytes(path.read_text().encode("latin-1"))
                output = self.alembic("upgrade", "head", status=2)
                line = output.splitlines()[-3]
                self.assertRegex(line, r"^(revision later|the migrations) failed: versions/later\.py:\d+$")
                if not reason.startswith("SyntaxError: (unicode"):
                    self.assertTrue(line.endswith(":10"), line)
                self.assertIn(f"\n{reason}", output)
                self.assertIn(f"\n{way_out}", output)
                self.assertEqual(self.query("select version_num from alembic_version"), [REVISION])

    def test_a_helper_that_fails_and_a_downgrade_are_named(self) -> None:
        (self.migrations / "helper.py").write_text("def fail():\n    raise ValueError('no')\n")
        package = "data_contract_components.data_assets.db_migrations.helper"
        self.write("later", "pass", downgrade=f"from {package} import fail\n    fail()")
        self.alembic("upgrade", "head")
        output = self.alembic("downgrade", "base", status=2)
        self.assertIn("\nrevision later failed: helper.py:2\nValueError: no\n", output)

    def test_a_role_without_a_right_on_the_schema_gets_the_way_out(self) -> None:
        role = f"{self.database_name}_role"
        self.database.query("drop schema public cascade; create schema public; grant usage on schema public to public")
        self.database.query(f"create role {role} login")
        self.addCleanup(self.database.query, f"drop role {role}")
        output = self.alembic("upgrade", "head", url=self.url.replace("postgres@", f"{role}@"), status=2)
        self.assertIn("\nthe migrations failed\nSQL state 42501: permission denied for schema public\nGrant ", output)

    def test_a_revision_that_is_applied_and_not_here_is_explained(self) -> None:
        path = self.write("later", "pass")
        self.alembic("upgrade", "head")
        path.unlink()
        output = self.alembic("upgrade", "head", status=2)
        self.assertIn(
            "revision later is applied in this database, and its file is not in this checkout\n"
            f"Check out the branch that has it, {RESET}\n",
            output,
        )
        self.assertIn("Can't locate revision identified by 'nosuch'", self.alembic("upgrade", "nosuch", status=255))

    def test_the_database_of_database_url_is_named_and_a_foreign_one_refused(self) -> None:
        line = f'port 5432, database "{self.database_name}"'
        self.assertIn(line, self.alembic("upgrade", "head"))
        self.assertNotIn(line, self.alembic("current"))
        self.database.query(
            "drop schema public cascade; create schema public; create schema crm; create table crm.customer ()"
        )
        for command in (["upgrade", "head"], ["stamp", "head"]):
            output = self.alembic(*command, status=2)
            self.assertIn(f"{line} holds tables that these migrations did not build", output)
            self.assertIn("crm.customer\nName another database in DATABASE_URL, or unset it", output)
        self.assertEqual(self.query("select count(*) from pg_class where relname = 'alembic_version'"), [0])
        self.alembic("current")
        self.database.query("create table alembic_version (version_num varchar(32) primary key)")
        self.alembic("upgrade", "head")

    def test_the_tables_of_an_extension_are_not_foreign(self) -> None:
        self.database.query(
            "drop schema public cascade; create schema public; create extension vector; create table t (); "
            "create view v as select; alter extension vector add table t; alter extension vector add view v"
        )
        self.alembic("upgrade", "head")

    def test_two_migrations_that_start_at_once_wait_for_each_other(self) -> None:
        self.write("later", WAIT_FOR_ANOTHER)
        command = [sys.executable, "-m", "alembic", "upgrade", "head"]
        environment = os.environ | {"DATABASE_URL": self.url}
        processes = [
            subprocess.Popen(command, cwd=self.data_assets, env=environment, stderr=subprocess.PIPE) for _ in "12"
        ]
        errors = [process.communicate(timeout=WAIT_SECONDS)[1] for process in processes]
        self.assertEqual([process.returncode for process in processes], [0, 0], errors)
        self.assertEqual(sum(b"Running upgrade" in text for text in errors), 1)
        self.assertEqual(sum(b"waiting for another migration" in text for text in errors), 1)
        self.assertEqual(
            self.query("select indisvalid from pg_index where indexrelid = 'concurrent'::regclass"), [True]
        )
