import re
import shutil
import subprocess

from tests import ROOT, DatabaseTestCase, ProjectTestCase, museum_project, run, run_embedded_server

# Everything a migration can leave behind, but for alembic's own table.
OBJECTS_SQL = """
select 'relation' as kind, relname::text as name from pg_class
where relnamespace = 'public'::regnamespace and relname not like 'alembic_version%'
union all
select 'type', typname from pg_type
where typnamespace = 'public'::regnamespace and typname not like '%alembic_version'
union all
select 'function', proname from pg_proc where pronamespace = 'public'::regnamespace
order by 1, 2
"""
COLUMNS_SQL = """
select
    concat_ws(
        ' ', table_name || '.' || column_name, data_type, case is_nullable when 'NO' then 'not null' end
    ) as text,
    column_default,
    col_description(table_name::regclass, ordinal_position) as comment
from information_schema.columns
where table_schema = 'public' and table_name <> 'alembic_version'
order by table_name, ordinal_position
"""
COLUMNS = """\
object.object_id integer not null
object.title text
object.artist_display_name text
object.created_at timestamp without time zone not null
object_api_metadata.object_id integer not null
object_api_metadata.metadata_date timestamp without time zone
object_api_metadata.created_at timestamp without time zone not null
object_copyright.object_id integer not null
object_copyright.primary_image text
object_copyright.is_public_domain boolean
object_copyright.created_at timestamp without time zone not null
object_gallery_info.object_id integer not null
object_gallery_info.gallery_number text
object_gallery_info.department text
object_gallery_info.accession_number text
object_gallery_info.created_at timestamp without time zone not null
object_history.object_id integer not null
object_history.period text
object_history.culture text
object_history.object_date text
object_history.created_at timestamp without time zone not null
object_images.object_id integer not null
object_images.primary_image text
object_images.additional_images ARRAY
object_images.created_at timestamp without time zone not null
object_physical_properties.object_id integer not null
object_physical_properties.medium text
object_physical_properties.dimensions text
object_physical_properties.classification text
object_physical_properties.created_at timestamp without time zone not null
object_tags.object_id integer not null
object_tags.tags ARRAY
object_tags.created_at timestamp without time zone not null"""
UPGRADE_LOG = """\
INFO  [alembic.runtime.migration] Context impl PostgresqlImpl.
INFO  [alembic.runtime.migration] Will assume transactional DDL.
INFO  [alembic.runtime.migration] Running upgrade  -> 00e9b3375a5f, create met museum seed tables
"""
DOWNGRADE_LOG = UPGRADE_LOG.replace("upgrade  -> 00e9b3375a5f", "downgrade 00e9b3375a5f -> ")


class TestMigrations(DatabaseTestCase):
    def alembic(self, *arguments: str, directory: str = "data_contract_components/data_assets") -> str:
        """What it prints, without the line that names the database."""
        output = run(["alembic", *arguments], museum_project() / directory, self.url, check=True).stdout
        return re.sub(r"(?m)^migrating .*\n", "", output)

    def test_the_tables_are_those_of_the_chapters_diagram(self) -> None:
        columns_df = self.database.query(COLUMNS_SQL)
        self.assertEqual("\n".join(columns_df["text"]), COLUMNS)
        is_created_at = columns_df["text"].str.contains("created_at")
        self.assertEqual(set(columns_df.loc[is_created_at, "column_default"]), {"CURRENT_TIMESTAMP"})
        self.assertTrue(columns_df["comment"].notna().all())

    def test_every_table_has_its_object_id_for_primary_key(self) -> None:
        keys_df = self.database.query(
            "select conrelid::regclass::text as name, pg_get_constraintdef(oid) as key from pg_constraint "
            "where contype = 'p' and connamespace = 'public'::regnamespace and conrelid <> 'alembic_version'::regclass"
        )
        self.assertEqual(len(keys_df), 8)
        self.assertEqual(set(keys_df["key"]), {"PRIMARY KEY (object_id)"})

    def test_arrays_hold_text_and_json(self) -> None:
        types = self.database.query(
            "select udt_name from information_schema.columns "
            "where table_schema = 'public' and data_type = 'ARRAY' order by 1"
        )
        self.assertEqual(list(types["udt_name"]), ["_json", "_text"])

    def test_down_and_up_again_give_the_chapters_log_lines_and_leave_no_trace(self) -> None:
        before_df = self.database.query(OBJECTS_SQL)
        self.assertEqual(self.alembic("downgrade", "base"), DOWNGRADE_LOG)
        self.assertEqual(self.database.query(OBJECTS_SQL).to_dict("list"), {"kind": [], "name": []})
        self.assertEqual(self.alembic("upgrade", "head"), UPGRADE_LOG)
        self.assertTrue(self.database.query(OBJECTS_SQL).equals(before_df))

    def test_it_works_from_the_root_too(self) -> None:
        for options in ([], ["-c", "data_contract_components/data_assets/alembic.ini"]):
            self.assertEqual(self.alembic(*options, "downgrade", "base", directory="."), DOWNGRADE_LOG)
            self.assertEqual(self.alembic(*options, "upgrade", "head", directory="."), UPGRADE_LOG)

    def test_offline_mode_prints_sql_that_builds_the_same_tables(self) -> None:
        sql = self.alembic("upgrade", "head", "--sql").replace(UPGRADE_LOG, "")
        before_df = self.database.query(COLUMNS_SQL)
        self.database.query("drop schema public cascade; create schema public")
        statements = re.sub(r"^INFO .*\n", "", sql, flags=re.MULTILINE)
        self.database.query(statements)
        self.assertTrue(self.database.query(COLUMNS_SQL).equals(before_df))


class TestNewRevision(ProjectTestCase):
    def test_revisions_made_from_the_template_run_and_pass_lint(self) -> None:
        shutil.copy(ROOT / "pyproject.toml", self.project)
        data_assets = self.project / "data_contract_components/data_assets"
        run_embedded_server(self.project)
        for command in (
            ["revision", "-m", "next"],
            ["revision", "-m", "add \"x\" and 'y'", "--head", "00e9b3375a5f", "--splice", "--branch-label", "side"],
            ["merge", "heads", "-m", "join"],
            ["upgrade", "head"],
            ["downgrade", "base"],
        ):
            run(["alembic", *command], data_assets, check=True)
        for command in (["ruff", "check"], ["ruff", "format", "--check"]):
            result = run(command, self.project)
            self.assertEqual(result.returncode, 0, result.stdout)

    def test_alembic_at_the_root_works_below_a_percent_sign(self) -> None:
        root = self.project / "100% here"
        root.mkdir()
        shutil.copy(ROOT / "pyproject.toml", root)
        shutil.move(self.project / "data_contract_components", root)
        heads = run(["alembic", "heads"], root)
        self.assertEqual(heads.stdout, "00e9b3375a5f (head)\n")

    def test_make_names_a_percent_sign_in_the_path(self) -> None:
        project = self.project / "100% here"
        shutil.copytree(ROOT / ".ci", project / ".ci")
        shutil.copy(ROOT / "Makefile", project)
        command = ["make", "--dry-run", "migrate"]
        result = subprocess.run(command, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.assertEqual(result.returncode, 2)
        self.assertIn("alembic cannot read alembic.ini below a directory with a % in its name", result.stdout)

    def test_there_is_one_head(self) -> None:
        heads = run(["alembic", "heads"], self.project / "data_contract_components/data_assets", check=True)
        self.assertEqual(heads.stdout, "00e9b3375a5f (head)\n")
