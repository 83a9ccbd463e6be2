import importlib.util
import os
import py_compile
import subprocess
from pathlib import Path
from unittest import mock

from data_contract_components.data_assets._query_postgres_helper import PostgresDB
from data_contract_components.data_assets._scratch_databases import ScratchDatabases
from data_contract_components.detection._get_data_migration_changes import get_data_migration_changes
from data_contract_components.errors import ComparisonError
from tests import BINARIES, ENV_TEXT, run
from tests.repositories import (
    CONFIG,
    CONTRACT,
    ENV,
    MODULE,
    SEED,
    VERSIONS,
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
# An env.py that asks for the database in every way that is to lead to the scratch database.
EVERY_WAY_TEXT = """\
import asyncio
import os
import psycopg2
import sqlalchemy as sa
from alembic import context

config = context.config
urls = [url for name, url in os.environ.items() if name.startswith("URL_")]
urls.append(os.environ["DATABASE_URL"].replace("sql:", "sql+psycopg2:"))
urls += [config.get_main_option("sqlalchemy.url"), config.get_section_option("reports", "url"), "postgresql+psycopg2://"]
asked = "select current_database() || ' ' || current_setting('search_path')"


async def ask(url):
    from sqlalchemy.ext.asyncio import create_async_engine

    async with create_async_engine(url).connect() as connection:
        return (await connection.exec_driver_sql(asked)).scalar_one()


found = {"attributes": config.attributes["connection"].exec_driver_sql(asked).scalar_one()}
with psycopg2.connect("") as connection, connection.cursor() as cursor:
    cursor.execute(asked)
    found["variables"] = cursor.fetchone()[0]
for url in urls:
    if "async" in url.partition(":")[0]:
        found[url] = asyncio.run(ask(url))
    else:
        with sa.create_engine(url).connect() as connection:
            found[url] = connection.exec_driver_sql(asked).scalar_one()
assert len({text.split()[0] for text in found.values()}) == 1, found
assert found["attributes"].startswith("contracts_scratch_"), found
assert found[os.environ["URL_options"]].endswith(" museum"), found
connection = config.attributes["connection"]
connection.rollback()
context.configure(connection=connection)
with context.begin_transaction():
    context.run_migrations()
"""
ASYNC_ENV_TEXT = """\
import asyncio
import os
from alembic import context
from sqlalchemy.ext.asyncio import create_async_engine


def run(connection):
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()


async def main():
    url = os.environ["URL_DRIVER"]
    async with create_async_engine(url).connect() as connection:
        await connection.run_sync(run)


asyncio.run(main())
"""
HARD_CODED_TEXT = ENV_TEXT.replace(
    'sa.engine_from_config(context.config.get_section("alembic"))', 'sa.create_engine("postgresql+psycopg2:REAL")'
)
# What reaches the real database, whose URL stands for REAL, and its name for NAME: each has to be refused.
HARMS = {
    "an engine": 'sa.create_engine("postgresql+psycopg2:REAL").connect().exec_driver_sql(HARM)',
    "an engine with options": 'sa.create_engine("postgresql+psycopg2:REAL&options=-csearch_path%3Dmuseum").connect()',
    "a creator": 'sa.create_engine("postgresql+psycopg2://", creator=connect).connect()',
    "a pool that is not kept": 'sa.create_engine("postgresql+psycopg2:REAL", poolclass=sa.pool.NullPool).connect()',
    "psycopg2": 'psycopg2.connect("postgresql:REAL").cursor().execute(HARM)',
    "psycopg2, by name": 'psycopg2.connect(dbname="NAME").cursor().execute(HARM)',
    "psycopg2, a pool": 'psycopg2.pool.SimpleConnectionPool(1, 2, "postgresql:REAL").getconn()',
    "psycopg2, rows as dicts": 'psycopg2.connect("postgresql:REAL", cursor_factory=psycopg2.extras.RealDictCursor)',
    "psycopg2, asynchronous": 'psycopg2.connect("postgresql:REAL", async_=True)',
    "another server's name": 'psycopg2.connect("postgresql:REAL&dbname=template1").cursor().execute(HARM)',
}
OTHER_HARMS = {
    "psycopg": 'psycopg.connect("postgresql:REAL").execute(HARM)',
    "psycopg, the class": 'psycopg.Connection.connect("postgresql:REAL").execute(HARM)',
    "psycopg, an engine": 'sa.create_engine("postgresql+psycopg:REAL").connect()',
    "psycopg, asynchronous": 'asyncio.run(psycopg.AsyncConnection.connect("postgresql:REAL"))',
    "asyncpg": 'asyncio.run(asyncpg.connect(database="NAME", host=HOST, user="postgres"))',
    "asyncpg, a pool": 'asyncio.run(make_pool(database="NAME", host=HOST, user="postgres"))',
}


class TestRealDatabase(RepositoryTestCase):
    """The database of DATABASE_URL has a table with rows, and the branch drops a column of that name."""

    def setUp(self) -> None:
        super().setUp()
        PostgresDB(self.url).query("create database real")
        self.addCleanup(PostgresDB(self.url).query, "drop database real with (force)")
        self.real_url = self.url.replace("/postgres?", "/real?")
        PostgresDB(self.real_url).query(
            "create schema museum; create table object_images (primary_image text);"
            "insert into object_images values ('a'), ('b');"
            "create table alembic_version (version_num text); insert into alembic_version values ('00e9b3375a5f')"
        )
        self.enterContext(mock.patch.dict(os.environ, DATABASE_URL=self.real_url))
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
        self.write(ENV, EVERY_WAY_TEXT)
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
        harms = {name: self.fill(text) for name, text in HARMS.items()}
        harms |= {n: self.fill(t) for n, t in OTHER_HARMS.items() if n.split(",")[0] in DRIVERS}
        text = "import asyncio, importlib, json, os\nimport psycopg2, psycopg2.extras, psycopg2.pool\n"
        text += "".join(f"import {driver}\n" for driver in DRIVERS if "_" not in driver)
        text += f"HARM, HOST, HARMS = 'drop table object_images; commit', os.environ['PGHOST'], {harms!r}\n"
        text += self.fill('def connect():\n    return psycopg2.connect("postgresql:REAL")\n')
        text += "async def make_pool(**place):\n    await asyncpg.create_pool(**place)\n"
        text += f"{ENV_TEXT}    for name, harm in HARMS.items():\n"
        text += "        try:\n            eval(harm)\n        except Exception as error:\n"
        text += "            assert 'RefusedConnection' in type(error).__name__, (name, error)\n"
        text += "        else:\n            raise AssertionError(name)\n"
        self.write(ENV, text)
        self.assertEqual(self.rendered_changes(), ["object_images.primary_image removed"])

    def test_the_error_says_where_the_connection_was_opened_and_what_to_do(self) -> None:
        self.write(ENV, self.fill(HARD_CODED_TEXT))
        with self.assertRaises(ComparisonError) as caught:
            self.compare()
        self.assertEqual(
            str(caught.exception),
            f'{ENV}:5 of this checkout opens a connection to the database "real", and not to the scratch database: '
            "it was closed, and nothing was run over it\n"
            "Take the URL from DATABASE_URL, or in env.py from the configuration's sqlalchemy.url.",
        )
        self.git("checkout", "-q", ENV.as_posix())
        path = self.write_revision(
            "b", f"import psycopg2\npsycopg2.connect({self.real_url!r}).cursor().execute('drop table object_images')"
        )
        with self.assertRaises(ComparisonError) as caught:
            self.compare()
        self.assertIn(f'{path}:10 of this checkout opens a connection to the database "real"', str(caught.exception))

    def test_no_command_touches_it(self) -> None:
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

    def test_everything_counts_where_a_revision_commits(self) -> None:
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

    def test_a_temporary_table_is_no_change(self) -> None:
        self.write_revision("b", 'op.execute("create temporary table staging as select * from object")')
        self.assertEqual(self.rendered_changes(), [])

    def test_nothing_is_compared_where_something_was_rolled_back(self) -> None:
        never_commits = ENV_TEXT.replace("    with context.begin_transaction():\n        context", "    context")
        for env_text, body, reason in (
            (
                ENV_TEXT,
                "op.get_bind().rollback()",
                "revision middle of this checkout fails .* match one row when updating",
            ),
            (
                ENV_TEXT,
                'op.execute("ROLLBACK")',
                "revision middle of this checkout fails .* match one row when updating",
            ),
            (never_commits, "pass", "rolled back: alembic's table holds nothing, and not last"),
            (ENV_TEXT.replace("context.run_migrations()", "pass"), "pass", "env.py ran no migrations"),
        ):
            with self.subTest(reason):
                self.write(ENV, env_text)
                self.write_revisions(body)
                with self.assertRaisesRegex(ComparisonError, reason):
                    self.compare()

    def test_nothing_is_compared_where_alembic_notices_nothing_of_what_was_rolled_back(self) -> None:
        self.write_revision("b", 'op.create_table("a", sa.Column("id", sa.Integer))\nop.execute("ROLLBACK")')
        with self.assertRaisesRegex(ComparisonError, "a part of what the revisions did was rolled back"):
            self.compare()


class TestSurroundings(RepositoryTestCase):
    """What the checked database has beside its migrations: settings, schemas and extensions."""

    def setUp(self) -> None:
        super().setUp()
        self.server = PostgresDB(self.url)
        self.server.query("create database real")
        self.addCleanup(self.server.query, "drop database real with (force)")
        self.real_url = self.url.replace("/postgres?", "/real?")
        self.enterContext(mock.patch.dict(os.environ, DATABASE_URL=self.real_url))
        self.write_contract(lambda spec: spec["schema"].update(table_catalog="real", table_schema="museum"))
        self.commit_to_main()
        self.path = self.write_revision("b", 'op.drop_column("object_images", "primary_image")')

    def test_a_promise_broken_in_the_schema_of_a_setting_is_broken(self) -> None:
        database = PostgresDB(self.real_url)
        database.query('create schema museum; create schema "Other, schema"')
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
                database.query(sql)
                comparison = self.compare()
                self.assertEqual([v.column_name for v in comparison.violations], ["primary_image"])
                self.assertEqual((comparison.earlier_violations, comparison.changes[0].table_schema), ((), "museum"))
                database.query(undo)

    def test_a_setting_has_the_value_that_it_has_in_the_checked_database(self) -> None:
        values = {"museum.curator": 'it\'s "A", B', "intervalstyle": "sql_standard"}
        for name, value in values.items():
            quoted = value.replace("'", "''")
            PostgresDB(self.real_url).query(f"alter database real set {name} = '{quoted}'")
        with ScratchDatabases() as scratch:
            for database in (first := scratch.create(), scratch.create(first)):
                for name, value in values.items():
                    row = PostgresDB(database.url).query("select current_setting(%s) as value", (name,))
                    self.assertEqual(row["value"][0], value)

    def test_what_a_migration_makes_itself_is_made_by_it(self) -> None:
        PostgresDB(self.real_url).query(
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

    def test_what_cannot_be_made_is_named_where_a_revision_needs_it(self) -> None:
        self.server.query("create role plain login createdb; alter database real owner to plain")
        self.addCleanup(self.server.query, "drop owned by plain; drop role plain")
        self.addCleanup(self.server.query, "alter database real owner to postgres")
        PostgresDB(self.real_url).query("create extension vector; alter database real set log_statement = 'none'")
        plain_url = self.real_url.replace("postgres@", "plain@")
        self.write_contract(lambda spec: spec["schema"].update(table_catalog="real"))
        with mock.patch.dict(os.environ, DATABASE_URL=plain_url):
            self.assertEqual(self.rendered_changes(), ["object_images.primary_image removed"])
            self.write_revision("b", 'op.execute("alter table object_images add near vector(3)")')
            with self.assertRaises(ComparisonError) as caught:
                self.compare()
        self.assertIn('type "vector" does not exist', str(caught.exception))
        self.assertIn('the extension "vector" cannot be made there: permission denied', str(caught.exception))


class TestBase(RepositoryTestCase):
    """The base is what git holds, and each side runs with its own files."""

    def git_files(self) -> dict[str, int]:
        return {str(path): path.lstat().st_mtime_ns for path in (self.root / ".git").rglob("*")}

    def test_every_file_of_the_base_is_there_and_nothing_is_written_into_the_repository(self) -> None:
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
        self.write_contract(lambda spec: spec["schema"]["properties"].pop("primary_image"), self.with_parent(CONTRACT))
        before = self.git_files()
        with mock.patch.dict(os.environ, GIT_DIR=str(self.root / "other/.git"), GIT_INDEX_FILE="/nowhere/index"):
            comparison = self.compare()
        self.assertEqual(self.git_files(), before)
        self.assertEqual([change.kind for change in comparison.contract_changes], ["removed"])
        self.assertEqual([v.column_name for v in comparison.broken_promises], ["primary_image"])

    def with_parent(self, path: Path) -> Path:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        return path

    def test_a_package_of_the_project_is_that_of_the_side(self) -> None:
        places = {
            "module": ("from museum.names import COLUMN", "column = COLUMN"),
            "function": ("", "from museum import names\ncolumn = names.COLUMN"),
            "file": ("from pathlib import Path", 'column = Path("museum/names.py").read_text().split(chr(34))[1]'),
        }
        names = self.with_parent(Path("museum/names.py"))
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

    def test_a_directory_that_a_revision_lists_is_that_of_the_side(self) -> None:
        self.write(self.with_parent(Path("statements/a.sql")), "alter table object add note text")
        self.write_revision(
            "b",
            'from pathlib import Path\nfor path in Path("statements").glob("*.sql"):\n    op.execute(path.read_text())',
        )
        self.commit_to_main()
        self.assertEqual(self.rendered_changes(), [])
        self.write(Path("statements/b.sql"), "alter table object drop title")
        self.assertEqual(self.rendered_changes(), ["object.title removed"])

    def test_what_env_py_does_after_the_revisions_is_told(self) -> None:
        self.write(
            ENV, f"{ENV_TEXT}    connection.exec_driver_sql('alter table object drop title')\n    connection.commit()\n"
        )
        (change,) = self.compare().changes
        self.assertEqual((render_change(change), place_of(change).path), ("object.title removed", ENV.as_posix()))

    def test_a_package_of_another_checkout_is_not_taken_for_the_bases(self) -> None:
        self.write(self.with_parent(Path("lib/museum_names.py")), 'COLUMN = "note"\n')
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

    def test_alembics_table_is_the_one_that_env_py_names(self) -> None:
        options = 'connection=connection, version_table="versions", version_table_schema="history"'
        text = ENV_TEXT.replace("connection=connection", options)
        create = 'connection.exec_driver_sql("create schema if not exists history")\n    connection.commit()\n'
        self.write(ENV, text.replace("    context.configure", f"    {create}    context.configure"))
        self.write_revision("first", 'op.create_table("alembic_version", sa.Column("id", sa.Integer))')
        self.commit_to_main()
        self.write_revision("b", 'op.add_column("alembic_version", sa.Column("note", sa.Text))', "first")
        self.assertEqual(self.rendered_changes(), ["alembic_version.note added"])

    def test_files_that_are_no_revisions_do_no_harm(self) -> None:
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
                text = ASYNC_ENV_TEXT if driver in ("asyncpg", "psycopg_async") else f"import os\n{text}"
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

    def message(self, base: str = "main") -> str:
        with self.assertRaises(ComparisonError) as caught:
            get_data_migration_changes(base, self.root)
        return str(caught.exception)

    def test_what_failed_is_named_with_its_line(self) -> None:
        create_engine = 'sa.engine_from_config(context.config.get_section("alembic"))'
        for env_text, body, expected in (
            (
                f"{ENV_TEXT}raise ValueError('No.')\n",
                "pass",
                f"cannot be run on a scratch database, {ENV}:9: ValueError: No.",
            ),
            (f"{ENV_TEXT}import nothing\n", "pass", f"{ENV}:9: ModuleNotFoundError: No module named 'nothing'"),
            (
                ENV_TEXT.replace(create_engine, 'sa.create_engine("postgresql+psycopg2://u:secret@127.0.0.1:1/d")'),
                "pass",
                f'cannot be run on a scratch database, {ENV}:5: connection to server at "127.0.0.1", port 1 failed',
            ),
            (f"{ENV_TEXT}import sys\nsys.exit('Left.')\n", "pass", f"{ENV}:10: SystemExit: Left."),
            (f"{ENV_TEXT}import os\nos._exit(3)\n", "pass", 'of the base "before" ended early, status 3'),
            (f"{ENV_TEXT}import os\nos.kill(os.getpid(), 9)\n", "pass", "ended early, status -9"),
            (
                ENV_TEXT,
                "def inner():\n    raise KeyError('x')\ntry:\n    inner()\nexcept KeyError:\n    raise SystemExit(2)",
                "b_revision.py:10: KeyError: 'x'",
            ),
            (ENV_TEXT, "raise KeyboardInterrupt", "b_revision.py:9: KeyboardInterrupt"),
            (ENV_TEXT, "import helper", "helper.py:1: SyntaxError: '(' was never closed"),
        ):
            with self.subTest(expected):
                self.write(ENV, env_text)
                self.write(Path("helper.py"), "(")
                self.write_revision("b", body)
                self.commit()
                self.git("branch", "-f", "before")
                self.assertIn(expected, self.message("before"))

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
                message = self.message()
                self.assertIn("b_revision.py", message)
                for part in ("s3cr", "other"):
                    self.assertNotIn(part, message)

    def test_no_control_character_is_in_a_message(self) -> None:
        self.assertIn(r'git knows no commit "\x1b[31m\n::error::x"', self.message("\x1b[31m\n::error::x"))
        self.write_revision("b", r"raise ValueError('\x1b[31m\r\x07')")
        self.assertIn(r"ValueError: \x1b[31m\r\x07", self.message())
