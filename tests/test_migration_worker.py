import importlib.util
import os
import py_compile
import subprocess
import tomllib
from pathlib import Path
from unittest import mock

from data_contract_components.data_assets._query_postgres_helper import PostgresDB
from data_contract_components.data_assets._scratch_databases import ScratchDatabases
from data_contract_components.errors import ComparisonError
from tests import BINARIES, ENV_TEXT, VERSIONS, read_data, run
from tests.repositories import (
    CONFIG,
    CONTRACT,
    ENV,
    MODULE,
    SEED,
    RepositoryTestCase,
    place_of,
    render_change,
    setUpModule,
)

__all__ = ["setUpModule"]

# The drivers that are installed; only the first always is.
DRIVERS = ["psycopg2"]
DRIVERS += ["psycopg"] if importlib.util.find_spec("psycopg") else []
if importlib.util.find_spec("greenlet"):
    DRIVERS += ["psycopg_async"] if "psycopg" in DRIVERS else []
    DRIVERS += ["asyncpg"] if importlib.util.find_spec("asyncpg") else []
HARD_CODED_TEXT = ENV_TEXT.replace(
    'sa.engine_from_config(context.config.get_section("alembic"))', 'sa.create_engine("postgresql+psycopg2:REAL")'
)


class RealDatabaseTestCase(RepositoryTestCase):
    """The database of DATABASE_URL is `real`."""

    def setUp(self) -> None:
        super().setUp()
        self.server = PostgresDB(self.url)
        self.server.query("create database real")
        self.addCleanup(self.server.query, "drop database real with (force)")
        self.real_url = self.url.replace("/postgres?", "/real?")
        self.real = PostgresDB(self.real_url)
        self.enterContext(mock.patch.dict(os.environ, DATABASE_URL=self.real_url))


class TestRealDatabase(RealDatabaseTestCase):
    """It has a table with rows, and the branch drops a column of a table of this name."""

    def setUp(self) -> None:
        super().setUp()
        self.real.query(
            "create schema museum; create table object_images (primary_image text);"
            "insert into object_images values ('a'), ('b');"
            "create table alembic_version (version_num text); insert into alembic_version values ('00e9b3375a5f')"
        )
        self.before = self.dump()
        self.addCleanup(lambda: self.assertEqual(self.dump(), self.before))
        self.write_revision("b", 'op.drop_column("object_images", "primary_image")')

    def dump(self) -> str:
        command = [str(BINARIES["18"] / "pg_dump"), "--dbname", self.real_url]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return "\n".join(line for line in text.splitlines() if "restrict " not in line)

    def fill(self, text: str) -> str:
        return text.replace("REAL", self.real_url.partition(":")[2]).replace("NAME", "real")

    def test_every_variable_and_setting_leads_to_the_scratch_database(self) -> None:
        self.write(ENV, read_data("env_of_every_way.txt"))
        config = self.read(CONFIG) + self.fill("[reports]\nurl = postgresql+psycopg2:REAL\n").replace("%", "%%")
        config = config.replace("[alembic]\n", self.fill("[alembic]\nsqlalchemy.url = postgresql+psycopg2:REAL\n"), 1)
        self.write(CONFIG, config.replace("%2F", "%%2F"))
        variables = {f"URL_{driver}": self.fill(f"postgresql+{driver}:REAL") for driver in DRIVERS}
        variables["URL_elsewhere"] = (
            "postgresql+psycopg2://somebody:secret@db.museum.org:6432/objects?application_name=x"
        )
        variables["URL_options"] = self.fill("postgresql+psycopg2:REAL&options=-csearch_path%3Dmuseum")
        variables["URL_name"] = self.fill("postgresql+psycopg2:REAL&dbname=real")
        self.write(Path("services"), "[museum]\ndbname=real\n")
        variables |= {"PGDATABASE": "real", "PGSERVICE": "museum", "PGSERVICEFILE": str(self.root / "services")}
        with mock.patch.dict(os.environ, variables):
            self.assertEqual(self.rendered_changes(), ["object_images.primary_image removed"])

    def test_a_connection_to_another_database_is_refused_before_anything_is_run_over_it(self) -> None:
        self.write(ENV, ENV_TEXT + self.fill(read_data("env_with_writes.txt")))
        self.assertEqual(self.rendered_changes(), ["object_images.primary_image removed"])

    def test_the_error_says_where_the_connection_was_opened_and_what_to_do(self) -> None:
        self.write(ENV, self.fill(HARD_CODED_TEXT))
        self.assertEqual(
            self.comparison_error(),
            f'{ENV}:5 of this checkout opens a connection to the database "real", and not to the scratch database: '
            "it was closed, and nothing was run over it\n"
            "Take the URL from DATABASE_URL, or in env.py from the configuration's sqlalchemy.url.",
        )
        self.git("checkout", "-q", ENV.as_posix())
        path = self.write_revision(
            "b", f"import psycopg2\npsycopg2.connect({self.real_url!r}).cursor().execute('drop table object_images')"
        )
        where = f"{path}:10 of this checkout"
        self.assertIn(f'{where} opens a connection to the database "real"', self.comparison_error())

    def test_no_command_changes_the_real_database(self) -> None:
        self.copy_project("objects.json")
        self.write(ENV, self.fill(HARD_CODED_TEXT))
        for command in (
            [MODULE, "--base", "main"],
            ["data_contract_components.prevention.report", "--base", "main"],
            ["data_contract_components.detection.contract_mutation_score"],
        ):
            with self.subTest(command):
                result = run(command, self.root, self.real_url)
                self.assertIn('opens a connection to the database "real"', result.stdout)
                self.assertEqual(self.dump(), self.before)


class TestTransactions(RepositoryTestCase):
    """A revision that ends the transaction which env.py began, between two others."""

    def write_revisions(self, body: str) -> None:
        self.write_revision("first", 'op.create_table("first", sa.Column("id", sa.Integer))')
        self.write_revision("middle", body, "first")
        self.write_revision("last", 'op.create_table("last", sa.Column("id", sa.Integer))', "middle")

    def test_the_changes_of_a_revision_that_commits_are_all_reported(self) -> None:
        create = 'op.create_table("middle", sa.Column("id", sa.Integer))'
        per_migration = ENV_TEXT.replace(
            "(connection=connection)", "(connection=connection, transaction_per_migration=True)"
        )
        for env_text in (ENV_TEXT, per_migration):
            for end in ("op.get_bind().commit()", 'op.execute("COMMIT")', "op.get_bind().connection.commit()"):
                with self.subTest(end=end, is_per_migration=env_text == per_migration):
                    self.write(ENV, env_text)
                    self.write_revisions(f"{create}\n{end}")
                    self.assertEqual(self.rendered_changes(), ["first added", "last added", "middle added"])

    def test_a_revision_goes_on_after_a_statement_that_failed(self) -> None:
        savepoint = 'with op.get_bind().begin_nested():\n        op.execute("select 1 / 0")'
        for failing, undo in ((savepoint, "pass"), ('op.execute("select 1 / 0")', 'op.execute("ROLLBACK")')):
            with self.subTest(failing):
                body = f"try:\n    {failing}\nexcept sa.exc.DBAPIError:\n    {undo}\n"
                self.write_revision("b", f'{body}op.drop_column("object", "title")')
                self.assertEqual(self.rendered_changes(), ["object.title removed"])

    def test_a_temporary_table_is_not_a_change(self) -> None:
        self.write_revision("b", 'op.execute("create temporary table staging as select * from object")')
        self.assertEqual(self.rendered_changes(), [])

    def test_a_rollback_that_alembic_notices_is_an_error(self) -> None:
        never_commits = ENV_TEXT.replace("    with context.begin_transaction():\n        context", "    context")
        no_row = "revision middle of this checkout fails .* match one row when updating"
        for env_text, body, reason in (
            (ENV_TEXT, "op.get_bind().rollback()", no_row),
            (ENV_TEXT, 'op.execute("ROLLBACK")', no_row),
            (never_commits, "pass", "rolled back: alembic's table holds nothing, and not 00e9b3375a5f"),
            (ENV_TEXT.replace("context.run_migrations()", "pass"), "pass", "env.py ran no migrations"),
        ):
            with self.subTest(reason):
                self.write(ENV, env_text)
                self.write_revisions(body)
                with self.assertRaisesRegex(ComparisonError, reason):
                    self.compare()

    def test_a_rollback_that_alembic_does_not_notice_is_an_error(self) -> None:
        self.write_revision("b", 'op.create_table("a", sa.Column("id", sa.Integer))\nop.execute("ROLLBACK")')
        with self.assertRaisesRegex(ComparisonError, "a part of what the revisions did was rolled back"):
            self.compare()


class TestSurroundings(RealDatabaseTestCase):
    """What the checked database has beside its migrations: settings, schemas and extensions."""

    def setUp(self) -> None:
        super().setUp()
        self.write_contract(lambda spec: spec["schema"].update(table_catalog="real", table_schema="museum"))
        self.commit_to_main()
        self.write_revision("b", 'op.drop_column("object_images", "primary_image")')

    def test_a_promise_is_checked_in_the_schema_of_the_search_path_setting(self) -> None:
        self.real.query('create schema museum; create schema "Other, schema"')
        url = f"{self.real_url}&options=-csearch_path%3Dmuseum"
        for sql, undo, real_url in (
            ("alter database real set search_path = museum", "alter database real reset all", self.real_url),
            (
                'alter database real set search_path = "Other, schema"; alter role postgres in database real '
                "set search_path = museum",
                "alter role postgres in database real reset all",
                self.real_url,
            ),
            ('alter database real set search_path = museum, "Other, schema", public', "select", self.real_url),
            ("alter database real reset all", "select", url),
        ):
            with self.subTest(sql), mock.patch.dict(os.environ, DATABASE_URL=real_url):
                self.real.query(sql)
                comparison = self.compare()
                self.assertEqual([v.column_name for v in comparison.violations], ["primary_image"])
                self.assertEqual((comparison.earlier_violations, comparison.changes[0].table_schema), ((), "museum"))
                self.real.query(undo)

    def test_a_setting_has_the_value_that_it_has_in_the_checked_database(self) -> None:
        values = {"museum.curator": 'it\'s "A", B', "intervalstyle": "sql_standard"}
        for name, value in values.items():
            quoted = value.replace("'", "''")
            self.real.query(f"alter database real set {name} = '{quoted}'")
        with ScratchDatabases() as scratch:
            for database in (first := scratch.create(), scratch.create(first)):
                for name, value in values.items():
                    row = PostgresDB(database.url).query("select current_setting(%s) as value", (name,))
                    self.assertEqual(row["value"][0], value)

    def test_a_schema_or_extension_that_a_migration_creates_is_left_to_the_migration(self) -> None:
        self.real.query(
            "create schema museum; create schema tools; create extension vector schema tools;"
            "alter database real set search_path = museum, tools"
        )
        for number, statement in enumerate(
            (
                'op.execute("CREATE SCHEMA museum")',
                'op.execute("create schema if not exists museum; create extension vector schema museum")',
                'op.execute(sa.schema.CreateSchema("museum"))',
                "pass",
            )
        ):
            with self.subTest(statement):
                self.replace(SEED, "def upgrade() -> None:\n", f"def upgrade() -> None:\n    {statement}  # {number}\n")
                self.write_revision("b", 'op.execute("alter table object_images add near vector(3)")')
                self.assertEqual(self.rendered_changes(), ["object_images.near added"])
                self.git("checkout", "-q", SEED.as_posix())

    def test_a_revision_that_needs_what_the_server_lacks_is_told_as_alembic_tells_it(self) -> None:
        self.write_revision("b", 'op.execute("create extension nosuch")')
        message = self.comparison_error()
        self.assertIn('extension "nosuch" is not available', message)
        self.assertIn("\nSet DATABASE_URL to a PostgreSQL server that has it.", message)

    def test_an_extension_that_cannot_be_created_is_named_if_a_revision_needs_it(self) -> None:
        self.server.query("create role plain login createdb; alter database real owner to plain")
        self.addCleanup(self.server.query, "drop owned by plain; drop role plain")
        self.addCleanup(self.server.query, "alter database real owner to postgres")
        self.real.query("create extension vector; alter database real set log_statement = 'none'")
        plain_url = self.real_url.replace("postgres@", "plain@")
        self.write_contract(lambda spec: spec["schema"].update(table_catalog="real"))
        with mock.patch.dict(os.environ, DATABASE_URL=plain_url):
            self.assertEqual(self.rendered_changes(), ["object_images.primary_image removed"])
            self.write_revision("b", 'op.execute("alter table object_images add near vector(3)")')
            message = self.comparison_error()
        self.assertIn('type "vector" does not exist', message)
        self.assertIn('the extension "vector" cannot be created there: permission denied', message)


class TestBase(RepositoryTestCase):
    """The base is what git holds, and each side runs with its own files."""

    def git_files(self) -> dict[str, int]:
        return {str(path): path.lstat().st_mtime_ns for path in (self.root / ".git").rglob("*")}

    def test_the_base_has_all_its_files_and_the_repository_is_not_written_to(self) -> None:
        self.write(Path(".gitattributes"), "*.json export-ignore\n*.py export-subst\n")
        self.write_contract(dict)
        self.commit_to_main()
        # What stands for the base to git is without the column already.
        path = self.write_revision("b", 'op.drop_column("object_images", "primary_image")')
        replacement = self.commit()
        self.git("replace", "main", replacement)
        self.git("config", "core.splitIndex", "true")
        self.git("sparse-checkout", "set", "--no-cone", "/data_contract_components/data_assets")
        hook = self.root / ".git/hooks/post-index-change"
        hook.write_text("#!/bin/sh\ntouch hooked\n")
        hook.chmod(0o755)
        self.git("worktree", "add", "-q", "--no-checkout", "--detach", "other", "main~0")
        self.assertTrue((self.root / path).exists())
        self.write_contract(lambda spec: spec["schema"]["properties"].pop("primary_image"), CONTRACT)
        before = self.git_files()
        with mock.patch.dict(os.environ, GIT_DIR=str(self.root / "other/.git"), GIT_INDEX_FILE="/nowhere/index"):
            comparison = self.compare()
        self.assertEqual(self.git_files(), before)
        self.assertEqual([change.kind for change in comparison.contract_changes], ["removed"])
        self.assertEqual([v.column_name for v in comparison.broken_promises], ["primary_image"])

    def test_each_side_imports_its_own_version_of_a_package(self) -> None:
        places = {
            "module": ("from museum.names import COLUMN", "column = COLUMN"),
            "function": ("", "from museum import names\ncolumn = names.COLUMN"),
            "file": ("from pathlib import Path", 'column = Path("museum/names.py").read_text().split(chr(34))[1]'),
        }
        names = Path("museum/names.py")
        # env.py has imported it before a function does.
        self.write(ENV, f"import museum.names\n{ENV_TEXT}")
        for place, (imports, body) in places.items():
            with self.subTest(place):
                self.write(names, 'COLUMN = "note"\n')
                path = self.write_revision("b", f'{body}\nop.add_column("object", sa.Column(column, sa.Text))')
                self.write(path, f"{imports}\n{self.read(path)}")
                self.commit_to_main()
                self.assertEqual(self.rendered_changes(), [])
                self.write(names, 'COLUMN = "remark"\n')
                self.assertEqual(self.rendered_changes(), ["object.note removed", "object.remark added"])

    def test_each_side_lists_its_own_version_of_a_directory(self) -> None:
        self.write(Path("statements/a.sql"), "alter table object add note text")
        self.write_revision(
            "b",
            'from pathlib import Path\nfor path in Path("statements").glob("*.sql"):\n    op.execute(path.read_text())',
        )
        self.commit_to_main()
        self.assertEqual(self.rendered_changes(), [])
        self.write(Path("statements/b.sql"), "alter table object drop title")
        self.assertEqual(self.rendered_changes(), ["object.title removed"])

    def test_a_change_by_env_py_after_the_revisions_is_reported(self) -> None:
        self.write(
            ENV, f"{ENV_TEXT}    connection.exec_driver_sql('alter table object drop title')\n    connection.commit()\n"
        )
        (change,) = self.compare().changes
        self.assertEqual((render_change(change), place_of(change).path), ("object.title removed", ENV.as_posix()))

    def test_the_base_is_refused_if_it_imports_a_package_of_this_checkout(self) -> None:
        self.write(Path("lib/museum_names.py"), 'COLUMN = "note"\n')
        py_compile.compile(str(self.root / "lib/museum_names.py"), doraise=True)
        self.write(ENV, f"import sys\nsys.path.append({str(self.root / 'lib')!r})\nimport museum_names\n{ENV_TEXT}")
        self.commit_to_main()
        with self.assertRaisesRegex(ComparisonError, 'of the base "main" .* imports lib/museum_names.py'):
            self.compare()

    def test_a_compiled_file_of_the_same_size_and_time_is_not_run(self) -> None:
        path = self.root / self.write_revision("b", 'op.add_column("object", sa.Column("note_a", sa.Text))')
        times = (path.stat().st_atime_ns, path.stat().st_mtime_ns)
        compiled = Path(py_compile.compile(str(path), doraise=True) or "")
        path.write_text(path.read_text().replace("note_a", "note_b"))
        os.utime(path, ns=times)
        content = compiled.read_bytes()
        self.assertEqual(self.rendered_changes(), ["object.note_b added"])
        self.assertEqual(compiled.read_bytes(), content)
        self.assertEqual([path.name for path in self.root.rglob("*.pyc")], [compiled.name])

    def test_the_version_table_is_the_one_that_env_py_names(self) -> None:
        options = 'connection=connection, version_table="versions", version_table_schema="history"'
        text = ENV_TEXT.replace("connection=connection", options)
        create = 'connection.exec_driver_sql("create schema if not exists history")\n    connection.commit()\n'
        self.write(ENV, text.replace("    context.configure", f"    {create}    context.configure"))
        self.write_revision("first", 'op.create_table("alembic_version", sa.Column("id", sa.Integer))')
        self.commit_to_main()
        self.write_revision("b", 'op.add_column("alembic_version", sa.Column("note", sa.Text))', "first")
        self.assertEqual(self.rendered_changes(), ["alembic_version.note added"])

    def test_files_that_are_not_revisions_are_ignored(self) -> None:
        (self.root / VERSIONS / ".#b_revision.py").symlink_to("somebody@museum.org.1234:567")
        (self.root / VERSIONS / "._b_revision.py").write_bytes(b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X")
        (self.root / VERSIONS / "x.py").mkdir()
        self.write_revision("b", 'op.add_column("object", sa.Column("note", sa.Text))')
        self.assertEqual(self.rendered_changes(), ["object.note added"])

    def test_each_driver_of_an_env_py_can_be_recorded(self) -> None:
        for driver in DRIVERS:
            url = self.url.replace("postgresql:", f"postgresql+{driver}:")
            with self.subTest(driver), mock.patch.dict(os.environ, URL_DRIVER=url):
                text = ENV_TEXT.replace(
                    'sa.engine_from_config(context.config.get_section("alembic"))',
                    'sa.create_engine(os.environ["URL_DRIVER"])',
                )
                text = (
                    read_data("env_of_asyncio.txt") if driver in ("asyncpg", "psycopg_async") else f"import os\n{text}"
                )
                self.write(ENV, text)
                path = self.write_revision(
                    "b",
                    "op.execute(\"CREATE TYPE mood AS ENUM ('calm')\")\n"
                    'op.create_table("a", sa.Column("b", sa.ARRAY(sa.Text)))\n'
                    'op.execute("ALTER TABLE a ADD mood mood, ADD r integer REFERENCES object")',
                )
                (change,) = self.compare().changes
                self.assertEqual(
                    (render_change(change), place_of(change).line), ("a added", self.line_of(path, "op.create_table"))
                )
                self.assertEqual(change.after["columns"]["mood"]["enum"], ["calm"])


class TestErrors(RepositoryTestCase):
    """A message has what failed, where in the repository, and why; never a password or what a terminal would obey."""

    def test_an_error_of_env_py_is_reported_with_its_line(self) -> None:
        create_engine = 'sa.engine_from_config(context.config.get_section("alembic"))'
        engine = 'sa.create_engine("postgresql+psycopg2://u:secret@127.0.0.1:1/d")'
        why = "cannot be run on the scratch database"
        for env_text, expected in (
            (f"{ENV_TEXT}raise ValueError('No.')\n", f"{why}, {ENV}:9: ValueError: No."),
            (f"{ENV_TEXT}import nothing\n", f"{ENV}:9: ModuleNotFoundError: No module named 'nothing'"),
            (
                ENV_TEXT.replace(create_engine, engine),
                f'{why}, {ENV}:5: connection to server at "127.0.0.1", port 1 fai',
            ),
            (f"{ENV_TEXT}import sys\nsys.exit('Left.')\n", f"{ENV}:10: SystemExit: Left."),
            (f"{ENV_TEXT}import os\nos._exit(3)\n", 'of the base "before" ended early, status 3'),
            (f"{ENV_TEXT}import os\nos.kill(os.getpid(), 9)\n", "ended early, status -9"),
        ):
            with self.subTest(expected):
                self.write(ENV, env_text)
                self.commit()
                self.git("branch", "-f", "before")
                self.assertIn(expected, self.comparison_error("before"))

    def test_an_error_of_a_revision_is_reported_with_its_line_and_the_reason(self) -> None:
        self.write(Path("helper.py"), "(")
        for revision in tomllib.loads(read_data("failing_revisions.toml"))["revision"]:
            with self.subTest(revision["body"]):
                self.write_revision("b", revision["body"])
                message = self.comparison_error()
                for words in revision["words"]:
                    self.assertIn(words, message)

    def test_no_password_is_in_a_message(self) -> None:
        url = self.url.replace("postgres@", "postgres:s3cr%23t%2F@")
        with mock.patch.dict(os.environ, DATABASE_URL=url):
            for body in (
                "import os\nraise ValueError(os.environ['DATABASE_URL'])",
                "import os\nraise ValueError(os.environ['PGPASSWORD'])",
                "raise ValueError(repr(op.get_bind().engine.url.render_as_string(hide_password=False)))",
                "raise ValueError('postgresql://somebody:other#s3cr@t@db.museum.org/x')",
                "raise ValueError(\"host=x password='other s3cr#t' user=y\")",
            ):
                self.write_revision("b", body)
                message = self.comparison_error()
                self.assertIn("b_revision.py", message)
                for part in ("s3cr", "other"):
                    self.assertNotIn(part, message)

    def test_no_control_character_is_in_a_message(self) -> None:
        self.assertIn(r'git knows no commit "\x1b[31m\n::error::x"', self.comparison_error("\x1b[31m\n::error::x"))
        self.write_revision("b", r"raise ValueError('\x1b[31m\r\x07')")
        self.assertIn(r"ValueError: \x1b[31m\r\x07", self.comparison_error())
