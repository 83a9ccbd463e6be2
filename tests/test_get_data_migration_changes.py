import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

import psutil

from data_contract_components.data_assets._query_postgres_helper import PostgresDB
from data_contract_components.data_assets._scratch_databases import ScratchDatabases
from data_contract_components.detection._get_data_migration_changes import (
    render_markdown,
    render_table,
)
from data_contract_components.detection.contract_violation_detector import Violation
from data_contract_components.detection.migration_changes.causes import find_cause
from data_contract_components.detection.migration_changes.changes import ContractChange, Place, SchemaChange
from data_contract_components.detection.migration_changes.comparison import MigrationComparison
from tests import CONTRACTS, ROOT, VERSIONS, WAIT_SECONDS, read_data, run, wait_until
from tests.repositories import (
    CONFIG,
    CONTRACT,
    MODULE,
    NEW_BLOCK,
    SEED,
    RepositoryTestCase,
    place_of,
    render_change,
    setUpModule,
)

__all__ = ["setUpModule"]

NORMALIZED_BLOCK = f"""\
    op.create_table(
        "object_images_normalized",
        sa.Column(
            "object_id",
            sa.Integer,
            primary_key=True,
            comment=column_comment_dict["object_id"]
        ),
{NEW_BLOCK}    )
"""
LATER_REVISIONS = tomllib.loads(read_data("later_revisions.toml"))


class TestScenario(RepositoryTestCase):
    def test_the_chapters_edit_is_reported_with_its_line_until_it_is_reverted(self) -> None:
        self.replace_block()
        self.commit()
        comparison = self.compare()
        self.assertEqual(
            [render_change(change) for change in comparison.changes],
            [
                "object_images.additional_images removed",
                "object_images.is_primary_image added",
                "object_images.primary_image likely renamed to image",
            ],
        )
        line = self.line_of(SEED, 'op.create_table(\n        "object_images",')
        for change in comparison.changes:
            self.assertEqual(change.contract_names, ("object_images_contract_spec",))
            self.assertEqual(
                place_of(change), Place(SEED.as_posix(), line, "00e9b3375a5f", 'op.create_table("object_images", …)')
            )
        self.assertEqual(
            [(v.contract_name, v.column_name) for v in comparison.violations],
            [("object_images_contract_spec", name) for name in ("primary_image", "additional_images")],
        )
        cause = find_cause(comparison.changes, "public", "object_images", "primary_image", "column_name")
        assert cause
        self.assertEqual((cause.after, place_of(cause).line), ("image", line))
        self.assertEqual((comparison.contract_changes, comparison.fails()), ((), True))
        self.git("revert", "--no-edit", "HEAD")
        comparison = self.compare()
        self.assertEqual((comparison.changes, comparison.violations, comparison.fails()), ((), (), False))

    def test_a_new_table_with_its_contract_is_added_and_under_contract(self) -> None:
        def normalize(spec: dict[str, Any]) -> None:
            spec["name"], spec["schema"]["table_name"] = "object-images-normalized", "object_images_normalized"
            spec["schema"]["properties"] = {"object_id": spec["schema"]["properties"]["object_id"]}

        path = CONTRACTS / "object_images_normalized_contract_spec.json"
        self.write_contract(normalize, path)
        self.assertEqual(self.compare().violations[0].table_name, "object_images_normalized")
        self.replace(
            SEED,
            '    op.create_table(\n        "object_copyright"',
            NORMALIZED_BLOCK + '    op.create_table(\n        "object_copyright"',
        )
        comparison = self.compare()
        (change,) = comparison.changes
        self.assertEqual(
            (render_change(change), change.contract_names), ("object_images_normalized added", (path.stem,))
        )
        self.assertEqual(list(change.after["columns"]), ["object_id", "image", "is_primary_image"])
        self.assertEqual(
            place_of(change).line, self.line_of(SEED, 'op.create_table(\n        "object_images_normalized"')
        )
        (contract_change,) = comparison.contract_changes
        self.assertEqual((contract_change.contract_name, contract_change.kind), (path.stem, "added"))
        self.assertEqual((comparison.violations, comparison.fails()), ((), False))

    def test_a_change_that_no_line_of_this_checkout_made_has_no_line(self) -> None:
        path = self.write_revision("b", 'op.create_table("extra", sa.Column("id", sa.Integer))')
        self.commit_to_main()
        self.write_revision("b", 'op.add_column("object", sa.Column("note", sa.Text, comment="A note."))')
        removed, added = self.compare().changes
        self.assertEqual((render_change(added), place_of(added).line), ("object.note added", 9))
        place = place_of(removed)
        self.assertEqual((render_change(removed), place.path, place.line), ("extra removed", path.as_posix(), None))

    def test_each_changed_attribute_of_a_column_in_an_edited_revision_is_reported(self) -> None:
        self.replace(SEED, '"title",\n            sa.Text,', '"title",\n            sa.String(80),')
        self.assertEqual(
            [(c.key, c.before, c.after) for c in self.compare().changes],
            [
                ("character_maximum_length", None, 80),
                ("data_type", "text", "character varying"),
                ("udt_name", "text", "varchar"),
            ],
        )

    def test_a_table_under_another_name_in_the_edited_revision_is_likely_renamed(self) -> None:
        self.replace(SEED, '"object_tags",', '"object_labels",')
        change, default_change = self.compare().changes
        self.assertEqual(render_change(change), "object_tags likely renamed to object_labels")
        self.assertEqual(default_change.after, "nextval('object_labels_object_id_seq'::regclass)")
        self.assertEqual(place_of(change).line, self.line_of(SEED, 'op.create_table(\n        "object_labels"'))


class TestLaterRevisions(RepositoryTestCase):
    def test_each_call_is_named_with_its_line(self) -> None:
        tables = {name: f"table_{number:02}" for number, name in enumerate(LATER_REVISIONS)}
        columns = '"object_id", "primary_image", "additional_images", "created_at"'
        self.write_revision(
            "first",
            f"for name in {list(tables.values())}:\n"
            f"    op.create_table(name, *(sa.Column(column, sa.Text) for column in ({columns})))",
        )
        self.commit_to_main()
        previous = "first"
        for name, revision in LATER_REVISIONS.items():
            self.write_revision(tables[name], revision["body"].replace("THING", tables[name]), previous)
            previous = tables[name]
        changes = self.compare().changes
        for name, revision in LATER_REVISIONS.items():
            with self.subTest(name):
                table = tables[name]
                path = VERSIONS / f"{table}_revision.py"
                found = [change for change in changes if change.table_name.startswith(table)]
                lines = [(render_change(change).replace(table, "THING"), place_of(change).line) for change in found]
                self.assertEqual([text for text, _ in lines], revision["changes"])
                places = {(place_of(change).revision, place_of(change).path) for change in found}
                self.assertEqual(places, {(table, path.as_posix())})
                line = self.line_of(path, "# here" if "# here" in revision["body"] else "def upgrade")
                # Rows that are lost come first.
                lost = [text for text, _ in lines if text.endswith(" replaced")]
                self.assertIn(((lost or revision["changes"])[-1], line), lines)

    def test_a_change_of_another_table_has_the_line_of_the_call_that_caused_it(self) -> None:
        self.write_revision(
            "first",
            """
            op.execute("CREATE TYPE mood AS ENUM ('calm')")
            op.execute("CREATE DOMAIN url AS text")
            op.execute("CREATE TABLE target (id integer PRIMARY KEY)")
            op.execute("CREATE TABLE referring (id integer REFERENCES target, mood mood, link url)")
            """,
        )
        self.commit_to_main()
        path = self.write_revision(
            "b",
            """
            op.alter_column("target", "id", new_column_name="number")
            op.execute("ALTER TYPE mood RENAME VALUE 'calm' TO 'quiet'")
            op.execute("ALTER DOMAIN url SET NOT NULL")
            op.execute("SELECT 1")
            """,
            "first",
        )
        changes = [change for change in self.compare().changes if change.table_name == "referring"]
        self.assertEqual(
            [(change.column_name, change.key, place_of(change).line) for change in changes],
            [
                ("id", "references", self.line_of(path, "op.alter_column")),
                ("link", "is_nullable", self.line_of(path, 'op.execute("ALTER DOMAIN')),
                ("mood", "enum", self.line_of(path, 'op.execute("ALTER TYPE')),
            ],
        )

    def test_a_column_that_the_base_added_takes_the_place_of_another_by_a_call_of_this_checkout(self) -> None:
        self.write_revision("add", 'op.add_column("object", sa.Column("new_title", sa.String(80)))')
        self.commit_to_main()
        path = self.write_revision(
            "swap",
            """
            op.drop_column("object", "title")
            op.alter_column("object", "new_title", new_column_name="title")
            """,
            "add",
        )
        dropped, renamed = (self.line_of(path, f"op.{call}_column") for call in ("drop", "alter"))
        self.assertEqual(
            {
                (render_change(change), place_of(change).path, place_of(change).line)
                for change in self.compare().changes
            },
            {
                ("object.new_title removed", path.as_posix(), renamed),
                ("object.title replaced", path.as_posix(), dropped),
                *(
                    (f"object.title changed {key}", path.as_posix(), renamed)
                    for key in ("character_maximum_length", "comment", "data_type", "udt_name")
                ),
            },
        )

    def test_a_table_is_replaced_by_a_new_revision_and_not_by_an_edited_one(self) -> None:
        again = 'op.drop_table("object_tags")\nop.create_table("object_tags", sa.Column("object_id", sa.Integer))\n'
        self.write_revision("b", again)
        self.commit_to_main()
        self.write_revision("b", f"{again}{again}")
        self.assertEqual(self.rendered_changes(), [])
        path = self.write_revision("c", again, "b")
        self.replace(SEED, '"""create met museum seed tables', '"""create the tables')
        (change,) = self.compare().changes
        self.assertEqual((render_change(change), place_of(change).path), ("object_tags replaced", path.as_posix()))
        self.assertEqual(place_of(change).line, self.line_of(path, "op.drop_table"))

    def test_the_statement_of_a_change_is_the_call_in_one_line(self) -> None:
        self.write_revision("b", 'op.alter_column("object",\n  "title", new_column_name="name", type_=sa.Text())')
        self.assertEqual(
            place_of(self.compare().changes[0]).statement,
            'op.alter_column("object", "title", new_column_name="name", …)',
        )

    def test_changed_comments_and_defaults_are_reported_and_break_nothing(self) -> None:
        self.write_revision(
            "b",
            'op.alter_column("object_images", "primary_image", comment="Words.", server_default="")\n'
            'op.create_table_comment("object_images", "More words.")',
        )
        comparison = self.compare()
        self.assertEqual(
            [(c.column_name, c.key, c.after) for c in comparison.changes],
            [
                (None, "comment", "More words."),
                ("primary_image", "column_default", "''::text"),
                ("primary_image", "comment", "Words."),
            ],
        )
        self.assertFalse(comparison.fails())

    def test_changes_that_only_the_base_has_are_not_reported(self) -> None:
        self.git("checkout", "-q", "main")
        self.replace(SEED, '"title",\n            sa.Text,', '"title",\n            sa.String(80),')
        self.write_revision("b", 'op.drop_table("object_tags")')
        commit = self.git("rev-parse", "HEAD")
        self.commit()
        self.git("checkout", "-q", "feature")
        comparison = self.compare()
        self.assertEqual((comparison.changes, comparison.base_commit), ((), commit))

    def test_violations_that_the_base_has_already_are_listed_separately(self) -> None:
        self.write_revision("b", 'op.alter_column("object_images", "created_at", nullable=True)')
        self.commit_to_main()
        self.write_revision("c", 'op.drop_column("object_images", "primary_image")', "b")
        comparison = self.compare()
        self.assertEqual([v.column_name for v in comparison.violations], ["primary_image"])
        self.assertEqual([v.column_name for v in comparison.earlier_violations], ["created_at"])
        self.assertEqual(comparison.broken_promises, ())
        (self.root / VERSIONS / "c_revision.py").unlink()
        self.assertFalse(self.compare().fails())

    def test_the_base_imports_the_helpers_beside_its_own_revisions(self) -> None:
        helper = VERSIONS.parent / "names.py"
        self.write(helper, 'COLUMN = "note"\n')
        self.write_revision(
            "b",
            "from data_contract_components.data_assets.db_migrations import names\n"
            "from data_contract_components.data_assets.db_migrations.names import COLUMN\n"
            'op.add_column("object", sa.Column(COLUMN, sa.Text, comment=names.COLUMN))',
        )
        self.commit_to_main()
        self.write(helper, 'COLUMN = "remark"\n')
        self.assertEqual(self.rendered_changes(), ["object.note removed", "object.remark added"])
        (removed, added) = self.compare().changes
        self.assertEqual((removed.before["comment"], added.after["comment"]), ("note", "remark"))

    def test_a_view_that_this_checkout_creates_again_is_not_the_one_of_the_revisions_that_are_shared(self) -> None:
        sql = "create view images as select object_id{} from object_images"
        # What PostgreSQL gives other numbers in each database: keys, indexes, rules and partitions.
        parts = "create table days (day date primary key) partition by list (day); create table rest partition of days"
        self.write_revision("b", f'op.execute("{parts} default; {sql.format(", primary_image")}")')
        self.commit_to_main()
        path = self.write_revision("c", f'op.execute("drop view images; {sql.format("")}")', "b")
        (place,) = {place_of(change) for change in self.compare().changes}
        self.assertEqual((place.path, place.line), (path.as_posix(), self.line_of(path, "op.execute")))

    def test_what_a_revision_prints_is_not_in_the_output(self) -> None:
        self.write_revision("b", 'print("printed")')
        program = f"import {MODULE} as module; module.get_data_migration_changes('main')"
        result = subprocess.run(
            [sys.executable, "-c", program],
            cwd=self.root,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        )
        self.assertEqual((result.stdout, result.stderr), ("", "printed\n"))


class TestContracts(RepositoryTestCase):
    def drop_primary_image(self) -> None:
        self.write_revision("b", 'op.drop_column("object_images", "primary_image")')

    def promises(self, comparison: MigrationComparison) -> list[str]:
        return [violation.column_name for violation in comparison.broken_promises]

    def setUp(self) -> None:
        super().setUp()
        self.write_contract()
        self.commit_to_main()

    def test_a_column_dropped_with_its_clause_stops_the_merge_and_names_the_owner(self) -> None:
        self.drop_primary_image()
        self.write_contract(lambda spec: spec["schema"]["properties"].pop("primary_image"))
        comparison = self.compare()
        self.assertEqual((comparison.violations, self.promises(comparison)), ((), ["primary_image"]))
        (change,) = comparison.contract_changes
        self.assertEqual((change.kind, change.json_path), ("removed", "$.schema.properties.primary_image"))
        self.assertEqual((change.owner_name, change.owner_email), ("Data Engineering Team", "data-eng@museum.org"))
        self.assertEqual((comparison.fails(), comparison.fails("report")), (True, False))

    def test_a_contract_deleted_with_its_table_stops_the_merge(self) -> None:
        self.write_revision("b", 'op.drop_table("object_images")')
        (self.root / CONTRACT).unlink()
        comparison = self.compare()
        self.assertEqual(self.promises(comparison), ["object_id", "primary_image", "additional_images", "created_at"])
        (change,) = comparison.contract_changes
        self.assertEqual((change.kind, change.json_path, change.place.line), ("removed", "$", None))

    def test_a_contract_made_a_draft_stops_the_merge_if_the_database_breaks_it(self) -> None:
        self.drop_primary_image()
        self.write_contract(lambda spec: spec.update(status="draft"))
        comparison = self.compare()
        self.assertEqual((comparison.violations, self.promises(comparison)), ((), ["primary_image"]))
        self.assertEqual([change.kind for change in comparison.contract_changes], ["loosened"])

    def test_a_loosened_clause_that_the_database_keeps_does_not_stop_the_merge(self) -> None:
        self.write_contract(lambda spec: spec["schema"]["properties"].pop("primary_image"))
        comparison = self.compare()
        self.assertEqual((len(comparison.contract_changes), comparison.fails()), (1, False))

    def test_a_tightened_clause_is_not_a_broken_promise(self) -> None:
        self.write_revision("b", 'op.alter_column("object_images", "primary_image", nullable=False)')

        def tighten(spec: dict[str, Any]) -> None:
            spec["schema"]["properties"]["primary_image"]["constraints"]["is_nullable"] = False
            spec["schema"]["properties"].pop("additional_images")

        self.write_contract(tighten)
        comparison = self.compare()
        self.assertEqual([change.kind for change in comparison.contract_changes], ["tightened", "removed"])
        self.assertFalse(comparison.fails())

    def test_a_broken_contract_of_another_schema_hides_no_broken_promise(self) -> None:
        legacy = CONTRACTS / "legacy_contract_spec.json"
        self.write_revision("b", 'op.execute("CREATE SCHEMA legacy; CREATE TABLE legacy.object_images (id integer)")')

        def move(spec: dict[str, Any]) -> None:
            spec["name"], spec["schema"]["table_schema"] = "legacy-contract-spec", "legacy"
            spec["schema"]["properties"] = {"primary_image": spec["schema"]["properties"]["primary_image"]}

        self.write_contract(move, legacy)
        self.commit_to_main()
        self.write_revision(
            "c",
            """
            op.execute("ALTER TABLE legacy.object_images ADD primary_image text")
            op.drop_column("object_images", "primary_image")
            """,
            "b",
        )
        self.write_contract(lambda spec: spec["schema"]["properties"].pop("primary_image"))
        comparison = self.compare()
        self.assertEqual((comparison.violations, self.promises(comparison)), ((), ["primary_image"]))
        self.assertTrue(comparison.fails())

    def test_a_contract_whose_file_is_renamed_is_the_same_contract(self) -> None:
        self.drop_primary_image()
        path = CONTRACTS / "images_contract_spec.json"
        self.git("mv", CONTRACT.as_posix(), path.as_posix())
        comparison = self.compare()
        self.assertEqual([v.contract_name for v in comparison.violations], [path.stem])
        self.assertEqual(comparison.broken_promises, ())
        (change,) = comparison.contract_changes
        self.assertEqual((change.kind, change.before, change.after), ("metadata", CONTRACT.as_posix(), path.as_posix()))


class TestBadInput(RepositoryTestCase):
    def assert_no_comparison(self, *words: str, base: str = "main", root: Path | None = None) -> None:
        message = self.comparison_error(base, root)
        for word in words:
            self.assertIn(word, message)

    def test_a_base_that_git_does_not_know_or_that_is_ambiguous_is_an_error(self) -> None:
        self.assert_no_comparison('git knows no commit "nowhere"', "git fetch", base="nowhere")
        self.assert_no_comparison('git knows no commit "--all"', base="--all")
        self.git("config", "core.warnAmbiguousRefs", "false")
        self.git("tag", "main", self.commit())
        self.assert_no_comparison('"main" is ambiguous in git', "Write it in full: refs/heads/")

    def test_a_shallow_clone_without_the_base_is_an_error(self) -> None:
        base = self.commit()
        self.commit()
        clone = self.root / "clone"
        self.git("clone", "-q", "--depth", "1", f"file://{self.root}", str(clone))
        self.assert_no_comparison("git fetch --unshallow", base=base, root=clone)
        subprocess.run(["git", "fetch", "-q", "--depth", "1", "origin", "main:main"], cwd=clone, check=True)
        self.assert_no_comparison("no commit in common", "git fetch --unshallow", root=clone)

    def test_a_base_without_a_common_commit_is_an_error(self) -> None:
        self.git("checkout", "-q", "--orphan", "other")
        self.write(Path("other"), "")
        self.commit()
        self.assert_no_comparison('"main" and HEAD have no commit in common', "Name a base")

    def test_a_missing_repository_and_a_missing_git_are_errors(self) -> None:
        with mock.patch.dict(os.environ, {"PATH": ""}):
            self.assert_no_comparison("git is not installed")
        shutil.rmtree(self.root / ".git")
        self.assert_no_comparison("git finds no repository", "not a git repository")

    def test_a_base_without_migrations_is_an_error(self) -> None:
        shutil.rmtree(self.root / VERSIONS.parent)
        self.commit()
        self.git("branch", "before")
        self.assert_no_comparison('the base "before"', "doesn't exist", "db_migrations", base="before")
        shutil.rmtree(self.root / "data_contract_components")
        self.commit()
        self.git("checkout", "-q", "main", ".")
        self.assert_no_comparison(f'the base "HEAD" has no {CONFIG}', base="HEAD")

    def test_an_invalid_contract_or_a_failing_revision_of_the_base_is_an_error(self) -> None:
        self.write_revision("b", 'raise ValueError("No.")')
        self.commit()
        self.git("branch", "before")
        self.write_revision("b", "")
        self.assert_no_comparison('revision b of the base "before"', "ValueError: No.", base="before")
        self.write(CONTRACT, "{")
        self.git("branch", "-f", "before", self.commit())
        self.assert_no_comparison('of the base "before"', f"\n{CONTRACT}:1: ", base="before")

    def test_a_missing_parent_is_an_error(self) -> None:
        self.write_revision("b", "", down_revision="gone")
        self.assert_no_comparison("alembic cannot read the migrations of this checkout", "gone")

    def test_a_role_that_may_not_create_databases_is_an_error(self) -> None:
        PostgresDB(self.url).query("create role plain login")
        self.addCleanup(PostgresDB(self.url).query, "drop role plain")
        with mock.patch.dict(os.environ, {"DATABASE_URL": self.url.replace("postgres@", "plain@")}):
            self.assert_no_comparison("permission denied to create database", "createdb")


class TestCommand(RepositoryTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.copy_project("objects.json")
        self.commit_to_main()

    def test_the_changes_are_printed_and_the_exit_status_depends_on_them(self) -> None:
        result = run([MODULE, "--base", "main"], self.root, self.url)
        self.assertEqual((result.returncode, result.stdout[:28]), (0, "No schema change since main "))
        path = self.write_revision("b", 'op.drop_column("object_images", "primary_image")')
        result = run([MODULE, "--base", "main", "--format", "json"], self.root, self.url)
        self.assertEqual(result.returncode, 1)
        comparison = json.loads(result.stdout)
        self.assertEqual(comparison["changes"][0]["place"]["path"], path.as_posix())
        result = run([MODULE, "--base", "nowhere"], self.root, self.url)
        self.assertEqual((result.returncode, result.stdout[:19]), (2, "could not compare: "))
        self.assertEqual(self.git("status", "--short"), f"?? {path}")

    def start_sleeper(self) -> subprocess.Popen[str]:
        """A process in which a revision sleeps in a scratch database."""
        self.write_revision("b", 'import time\nprint("sleeping", flush=True)\ntime.sleep(600)')
        process = subprocess.Popen(
            [sys.executable, "-m", MODULE, "--base", "main"],
            cwd=self.root,
            env=os.environ | {"TMPDIR": self.temporary_directory},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        assert process.stderr
        self.assertEqual(process.stderr.readline(), "sleeping\n")
        return process

    def test_an_interrupt_leaves_nothing_and_the_next_run_removes_what_a_killed_process_left(self) -> None:
        leftovers: set[str] = set()
        left_files: set[Path] = set()
        self.temporary_directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.temporary_directory)
        for signal_number, returncode in ((signal.SIGKILL, -9), (signal.SIGINT, 130), (signal.SIGTERM, 130)):
            with self.subTest(signal_number):
                process = self.start_sleeper()
                databases = set(self.scratch_databases())
                self.assertTrue(databases)
                self.assertTrue(databases.isdisjoint(leftovers))
                files = set(Path(self.temporary_directory).iterdir())
                self.assertEqual(len(files), 4)
                self.assertTrue(files.isdisjoint(left_files))
                children = psutil.Process(process.pid).children(recursive=True)
                with ScratchDatabases():  # sweeps, too
                    self.assertEqual(set(self.scratch_databases()), databases)
                process.send_signal(signal_number)
                self.assertEqual(process.wait(), returncode)
                # A server notices by itself that the process is gone.
                wait_until(lambda: not self.sessions())
                leftovers = set(self.scratch_databases())
                self.assertEqual(leftovers, databases if signal_number == signal.SIGKILL else set())
                left_files = set(Path(self.temporary_directory).iterdir())
                self.assertEqual(left_files, files if signal_number == signal.SIGKILL else set())
                self.assertEqual(psutil.wait_procs(children, timeout=WAIT_SECONDS)[1], [])

    def sessions(self) -> list[str]:
        sql = "select application_name from pg_stat_activity where application_name ~ 'scratch' or datname ~ 'scratch'"
        return list(PostgresDB(self.url).query(sql)["application_name"])


class TestRendering(unittest.TestCase):
    HOSTILE = "`x` | @all <b>\n\x1b[31m"

    def comparison(self, *changes: SchemaChange, **more: Any) -> MigrationComparison:
        nothing: dict[str, Any] = dict.fromkeys(
            ("contract_changes", "violations", "earlier_violations", "broken_promises"), ()
        )
        return MigrationComparison("main", "0" * 40, changes, **(nothing | more))

    def change(self, column_name: str) -> SchemaChange:
        place = Place("b.py", 7, "b", "op.execute(…)")
        return SchemaChange("added", "public", "object", column_name, None, None, {}, True, ("a_contract_spec",), place)

    def test_names_cannot_break_out_of_their_line(self) -> None:
        comparison = self.comparison(self.change(self.HOSTILE))
        place = "(under contract a_contract_spec; b.py:7)"
        line = render_markdown(comparison).splitlines()[-1]
        name = "&#96;x&#96; &#124; @\u200ball &#60;b&#62; &#92;x1b&#91;31m"
        self.assertEqual(line, f"- public.object.{name} is new {place}")
        line = render_table(comparison).splitlines()[-1]
        self.assertEqual(line, rf"  public.object.`x` | @all <b>\n\x1b[31m is new {place}")

    def test_a_base_cannot_break_out_of_the_heading(self) -> None:
        comparison = dataclasses.replace(self.comparison(), base="@all <b>")
        self.assertIn("since @\u200ball &#60;b&#62; (", render_markdown(comparison).splitlines()[0])

    def test_a_change_stands_on_a_line_with_its_contracts_and_its_place(self) -> None:
        self.assertEqual(
            render_table(self.comparison(self.change("a"), self.change("long"))),
            "Schema changes since main (000000000000)\n"
            "  public.object.a is new (under contract a_contract_spec; b.py:7)\n"
            "  public.object.long is new (under contract a_contract_spec; b.py:7)",
        )

    def test_a_section_without_entries_is_left_out(self) -> None:
        promise = Violation("a", "public", "t", "c", "column_name", "c", None)
        change = ContractChange(
            "a", Place("a.json", 3), "$.status", "loosened", "active", "draft", "Team", "team@museum.org"
        )
        text = render_table(self.comparison(contract_changes=(change,), broken_promises=(promise,)))
        self.assertIn(f"the owner must agree\n  {change}\n", text)
        self.assertIn(f"old promises are broken\n  a, t.c: {promise}", text)
        self.assertNotIn("the base breaks too", text)
        self.assertEqual(render_table(self.comparison()), "No schema change since main (000000000000)")
        self.assertEqual(render_markdown(self.comparison()), "### No schema change since main (000000000000)")
