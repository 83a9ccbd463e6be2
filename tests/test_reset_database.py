import shutil
from collections.abc import Callable

from tests import ProjectTestCase, run
from tests.test_applied_revisions import REVISION, RevisionsTestCase

RESET = "data_contract_components.data_assets._reset_database"
MUSEUM_TABLES_SQL = "select count(*) from pg_class where relkind = 'r' and relname like 'object%'"


class TestResetDatabase(RevisionsTestCase):
    def reset(self, status: int = 0) -> str:
        result = run([RESET], self.project, self.url)
        self.assertEqual(result.returncode, status, result.stdout)
        return result.stdout

    def assert_unchanged(self) -> None:
        self.assertEqual(self.database.query(MUSEUM_TABLES_SQL).iloc[0, 0], 8)

    def test_it_repairs_every_state(self) -> None:
        later = "sa.Enum('a', name='mood').create(op.get_bind())"

        def remove_revision() -> None:
            self.write("later", later)
            self.alembic("upgrade", "head")
            (self.migrations / "versions/later.py").unlink()

        def leave_type_behind() -> None:
            self.write("later", later)
            self.alembic("upgrade", "head")
            self.alembic("downgrade", "-1")
            self.alembic("upgrade", "head", status=2)

        def move_into_subfolder() -> None:
            ini = self.data_assets / "alembic.ini"
            ini.write_text(ini.read_text().replace("[loggers]", "recursive_version_locations = true\n[loggers]", 1))
            (self.migrations / "versions/deep").mkdir()
            shutil.move(self.migrations / "versions/later.py", self.migrations / "versions/deep")

        changes: dict[str, Callable[[], object]] = {
            "edited": self.edit,
            "helper": lambda: (self.migrations / "helper.py").write_text("x = 1\n"),
            "rows lost": lambda: self.database.query("delete from alembic_version"),
            "revision gone": remove_revision,
            "type left behind": leave_type_behind,
            "subfolder": move_into_subfolder,
            "never migrated": self.reset,
        }
        for name, change in changes.items():
            with self.subTest(name):
                change()
                self.assertNotEqual(self.check(), [])
                self.assertIn("dropping and creating PostgreSQL at host", self.reset())
                self.alembic("upgrade", "head")
                self.assertEqual(self.check(), [])

    def test_nothing_is_dropped_where_the_migrations_could_not_rebuild_it(self) -> None:
        path = self.migrations / "versions/later.py"
        for text, reason in (
            ("raise ValueError('no')", "revision later failed: versions/later.py:2\nValueError: no\n"),
            ("x = (", "the migrations failed: versions/later.py:2\nSyntaxError: '(' was never closed\n"),
        ):
            with self.subTest(reason):
                path.write_text(f"revision, down_revision = 'later', '{REVISION}'\n{text}\n")
                head = "the migrations cannot be loaded, so nothing was dropped"
                self.assertIn(f"{head}\n{reason}", self.reset(status=2))
        path.unlink()
        self.write("a", "pass")
        self.write("b", "pass")
        self.assertIn("multiple heads", self.reset(status=2))
        self.assert_unchanged()

    def test_a_database_with_tables_and_no_record_stays(self) -> None:
        self.database.query("comment on table alembic_version is null")
        output = self.reset(status=2)
        self.assertIn("tables that these migrations did not build, so it was not changed: public.object, ", output)
        self.assertIn("If nobody needs them, drop and create that database yourself", output)
        self.assert_unchanged()

    def test_a_role_that_may_not_create_databases_loses_nothing(self) -> None:
        role = f"{self.database_name}_role"
        self.database.query(f"create role {role} login; alter database {self.database_name} owner to {role}")
        self.addCleanup(self.database.query, f"reassign owned by {role} to postgres; drop role {role}")
        url = self.url
        self.url = url.replace("postgres@", f"{role}@")
        self.assertIn("permission denied to create database", self.reset(status=2))
        self.url = url
        self.assert_unchanged()


class TestResetEmbeddedDatabase(ProjectTestCase):
    def test_the_data_are_gone_and_the_server_is_stopped(self) -> None:
        data_assets = self.project / "data_contract_components/data_assets"
        for _ in "12":
            log = run(["alembic", "upgrade", "head"], data_assets, check=True).stdout
            self.assertIn("created in", log)
            run([RESET], self.project, check=True)
            self.assertFalse((self.project / ".postgres").exists())
        run([RESET], self.project, check=True)
