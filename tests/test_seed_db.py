import datetime
import json
import re
import subprocess
import sys
import unittest
from collections.abc import Hashable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from data_contract_components.data_assets._museum_records import TABLES, UnreadableRecordsError, read_records
from tests import ROOT, SHARED_DIRECTORY, DatabaseTestCase, read_data, run, run_on_terminal

SEED_DB = "data_contract_components.data_assets.seed_db"
REAL_RECORDS = SHARED_DIRECTORY / "met_api_samples" / "objects.json"
RECORD: dict[str, Any] = {
    "objectID": 7,
    "isPublicDomain": True,
    "primaryImage": "https://images.example.org/7 é.jpg",
    "additionalImages": ['https://images.example.org/7,{}"\\.jpg', "NULL"],
    "department": "Asian Art",
    "title": '\\N "quoted"\t絵 e\u0301',
    "period": "",
    "dimensions": "H. 3 in.\r\nW. 2 in.\rD. 1 in.\n",
    "tags": [{"term": "Cats", "AAT_URL": None, "n": [1.5, {"é": "絵\\", "\\u0000": 1}]}, None, "words"],
    "metadataDate": "2023-02-07T04:46:51.34Z",
    "GalleryNumber": "in Great Hall",
}
# What makes a record unfit: its reason, and the record (where it is an object without an id, it gets the id 8).
UNFIT: list[tuple[str, Any]] = json.loads(read_data("invalid_records.json"))
UNFIT_RECORDS = [{"objectID": 8} | record if isinstance(record, dict) else record for _, record in UNFIT]
UNREADABLE = {
    "": "a JSON array of records has '[' here",
    "{}": "line 1: a JSON array of records has '[' here",
    '[\n{"objectID": 1},\n{"objectID" 2}\n]': "line 3: Expecting ':' delimiter",
    '[\n{"objectID": 1}\n{"objectID": 2}\n]': "line 3: a JSON array of records has ',' here",
    '[{"objectID": 1}': "a JSON array of records has ',' here",
    '[{"objectID": 1},]': "Expecting value",
    '[{"objectID": 1}] x': "nothing may follow the JSON array of records",
    '[{"objectID": NaN}]': "NaN is not JSON",
    "[]": "has no record that fits; nothing was changed",
    "[" * 100_000: "while decoding a JSON array",
    '[{"objectID": 1, "title": "\xff"}]': "'utf-8' codec can't decode",
}


def write_records(path: Path, records: list[Any]) -> Path:
    path.write_text(json.dumps(records))
    return path


def is_null(value: Any) -> bool:
    return value is None or value is pd.NA or value is pd.NaT


class SeedTestCase(DatabaseTestCase):
    def setUp(self) -> None:
        super().setUp()
        temporary_directory = TemporaryDirectory()
        self.addCleanup(temporary_directory.cleanup)
        self.path = Path(temporary_directory.name) / "records.json"

    def seed(self, *arguments: str | Path, time_zone: str = "UTC") -> tuple[int, str]:
        """Exit status, and what was printed."""
        result = run([SEED_DB, *map(str, arguments)], ROOT, self.url, PGTZ=time_zone)
        self.assertNotIn("Traceback", result.stdout)
        return result.returncode, result.stdout

    def tables(self) -> dict[str, list[dict[Hashable, Any]]]:
        return {
            table: self.database.query(f"select * from {table} order by object_id")
            .drop(columns="created_at")
            .to_dict("records")
            for table in TABLES
        }

    def stored(self, column: str, table: str) -> Any:
        return self.database.query(f"select {column} from {table}").iloc[0, 0]

    def fill(self) -> dict[str, list[dict[Hashable, Any]]]:
        """What the tables hold before the test's own file."""
        self.seed(write_records(self.path, [RECORD | {"objectID": 99}]))
        return self.tables()


class TestSeedDb(SeedTestCase):
    def test_each_value_is_stored_as_it_is(self) -> None:
        self.assertEqual(self.seed(write_records(self.path, [RECORD]))[0], 0)
        self.assertEqual(self.stored("title", "object"), RECORD["title"])
        self.assertEqual(self.stored("dimensions", "object_physical_properties"), RECORD["dimensions"])
        self.assertEqual(self.stored("gallery_number", "object_gallery_info"), "in Great Hall")
        self.assertEqual(self.stored("additional_images", "object_images"), RECORD["additionalImages"])
        self.assertEqual(self.stored("tags", "object_tags"), RECORD["tags"])
        self.assertEqual(self.stored("is_public_domain", "object_copyright"), True)

    def test_what_is_unknown_is_null(self) -> None:
        texts = dict.fromkeys(("title", "primaryImage", "additionalImages", "isPublicDomain", "metadataDate"), "")
        empty = {"objectID": 7, **texts, "tags": None}
        for record in ({"objectID": 7}, empty):
            self.seed(write_records(self.path, [record]))
            for table, rows in self.tables().items():
                self.assertEqual([is_null(value) for value in rows[0].values()], [False] + [True] * len(TABLES[table]))

    def test_an_empty_list_stays_an_empty_list(self) -> None:
        self.seed(write_records(self.path, [{"objectID": 7, "additionalImages": [], "tags": []}]))
        self.assertEqual(self.stored("additional_images", "object_images"), [])
        self.assertEqual(self.stored("tags", "object_tags"), [])

    def test_times_are_stored_in_utc(self) -> None:
        for text, expected in {
            "2023-02-07T04:46:51.34Z": "2023-02-07T04:46:51.340000",
            "2023-02-07T04:46:51+05:30": "2023-02-06T23:16:51",
            "2023-02-07T04:46:51": "2023-02-07T04:46:51",
        }.items():
            self.seed(write_records(self.path, [{"objectID": 7, "metadataDate": text}]), time_zone="America/New_York")
            self.assertEqual(self.stored("metadata_date", "object_api_metadata").isoformat(), expected)

    def test_loading_again_replaces_the_rows_and_ends_the_same(self) -> None:
        self.fill()
        write_records(self.path, [RECORD])
        outcome = self.seed(self.path)
        tables = self.tables()
        self.assertEqual(self.seed(self.path), outcome)
        self.assertEqual(self.tables(), tables)
        self.assertEqual([row["object_id"] for row in tables["object"]], [7])

    def test_the_summary_counts_what_the_tables_hold(self) -> None:
        others = [{"objectID": number, "department": f"Department {number % 6}"} for number in range(100, 112)]
        self.assertEqual(
            self.seed(write_records(self.path, [RECORD, *others])),
            (
                0,
                "13 objects, 1 in the public domain, 1 with images\n"
                "top departments:\n" + "".join(f"       2  Department {number}\n" for number in range(5)),
            ),
        )

    def test_check_compares_each_tables_count_with_the_file(self) -> None:
        self.fill()
        self.assertEqual(
            self.seed(self.path, "--check"), (0, "each of the 8 tables has as many rows as records.json records: 1\n")
        )
        self.database.query("delete from object_tags")
        self.assertEqual(self.seed(self.path, "--check"), (1, "object_tags: expected 1, found 0\n"))

    def test_a_bar_is_shown_on_a_terminal_only(self) -> None:
        write_records(self.path, [RECORD])
        for options in ([], ["--check"]):
            self.assertNotIn("B/s", self.seed(self.path, *options)[1])
            self.assertIn("B/s", run_on_terminal([SEED_DB, str(self.path), *options], ROOT, self.url))


class TestUnfitRecords(SeedTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.before = self.fill()

    def assert_unchanged(self, expected_status: int, message: str, *arguments: str | Path) -> None:
        """Seeding ends with this status and message, and the tables are as they were."""
        status, output = self.seed(self.path, *arguments)
        self.assertEqual(status, expected_status, output)
        self.assertIn(message, output)
        self.assertEqual(self.tables(), self.before)

    def test_an_unfit_record_stops_the_load_and_nothing_changes(self) -> None:
        for (reason, _), record in zip(UNFIT, UNFIT_RECORDS, strict=True):
            with self.subTest(reason):
                write_records(self.path, [RECORD, record, {"objectID": 9}])
                self.assert_unchanged(1, f"record 2, objectID {reason}")
        self.assert_unchanged(1, "1 rejected; nothing was changed (--skip-rejected loads the others)")

    def test_skip_rejected_loads_the_others_and_writes_the_rejected_with_their_reasons(self) -> None:
        write_records(self.path, [RECORD, *UNFIT_RECORDS, {"objectID": 9}])
        status, output = self.seed(self.path, "--skip-rejected")
        self.assertEqual(status, 1)
        self.assertEqual([row["object_id"] for row in self.tables()["object"]], [7, 9])
        rejected_path = self.path.with_suffix(".rejected.json")
        self.assertIn(f"{len(UNFIT)} rejected, see {rejected_path}\n", output)
        rejected = json.loads(rejected_path.read_text())
        self.assertEqual([entry["record"] for entry in rejected], UNFIT_RECORDS)
        self.assertEqual([entry["position"] for entry in rejected], list(range(2, len(UNFIT) + 2)))
        for entry, (reason, _) in zip(rejected, UNFIT, strict=True):
            self.assertTrue(entry["reason"].startswith(reason.partition(": ")[2]), entry)

    def test_a_number_that_no_json_column_can_store_is_reported_with_its_record(self) -> None:
        self.path.write_text('[{"objectID": 8, "tags": [1e999]}]')
        self.assert_unchanged(1, "record 1, objectID 8: tags Out of range float values")

    def test_when_no_record_fits_nothing_changes_even_with_skip_rejected(self) -> None:
        write_records(self.path, [1, 2])
        self.assert_unchanged(2, "has no record that fits; nothing was changed", "--skip-rejected")

    def test_check_reports_records_that_would_be_rejected(self) -> None:
        write_records(self.path, [RECORD, []])
        self.assertEqual(self.seed(self.path, "--check"), (1, "record 2, objectID null: is not a JSON object\n"))

    def test_the_rejected_file_does_not_overwrite_the_records(self) -> None:
        write_records(self.path, [RECORD, []])
        before = self.path.read_bytes()
        self.assert_unchanged(2, "would overwrite FILE", "--skip-rejected", "--rejected-file", self.path)
        self.assert_unchanged(2, "--rejected-file goes with --skip-rejected", "--rejected-file", "x")
        self.assertEqual(self.path.read_bytes(), before)

    def test_a_rejected_file_that_cannot_be_written_changes_nothing(self) -> None:
        path = "/nowhere/rejected.json"
        write_records(self.path, [RECORD, []])
        self.assert_unchanged(2, path, "--skip-rejected", "--rejected-file", path)

    def test_a_file_that_holds_no_records_changes_nothing(self) -> None:
        for text, message in UNREADABLE.items():
            with self.subTest(text[:40]):
                self.path.write_text(text, encoding="latin-1")
                self.assert_unchanged(2, message)
        self.path.unlink()
        self.assert_unchanged(2, "No such file")

    def test_tables_that_differ_from_the_migrations_are_named_and_not_changed(self) -> None:
        self.database.query("alter table object_images rename primary_image to image; drop table object_tags")
        status, output = self.seed(self.path)
        self.assertEqual(status, 2)
        self.assertIn("lacks object_tags.object_id, object_tags.tags, object_images.primary_image;", output)
        self.assertIn("alembic upgrade head", output)
        self.assertEqual(self.stored("object_id", "object"), self.before["object"][0]["object_id"])

    def test_a_column_that_refuses_a_value_undoes_the_load(self) -> None:
        self.database.query("alter table object_api_metadata add check (object_id <> 7)")
        write_records(self.path, [{"objectID": 8}, RECORD])
        self.assert_unchanged(2, "SQL state 23514")


class TestMissingPackages(unittest.TestCase):
    def test_run_as_a_file_without_packages_it_prints_how_to_activate_the_virtual_environment(self) -> None:
        path = ROOT / "data_contract_components/data_assets/seed_db.py"
        result = subprocess.run([sys.executable, "-S", path], cwd="/", capture_output=True, text=True)
        self.assertEqual(result.returncode, 2, result.stderr)
        self.assertIn("\nActivate the virtual environment, in ", result.stderr)
        self.assertNotIn("Traceback", result.stderr)


class TestReadRecords(unittest.TestCase):
    def read(self, text: str) -> Iterator[Any]:
        with TemporaryDirectory() as directory:
            path = Path(directory) / "records.json"
            path.write_text(text, encoding="utf-8")
            yield from read_records(path)

    def test_elements_that_span_chunks_are_read_whole(self) -> None:
        records = [{"objectID": number, "title": "é" * (number % 977)} for number in range(9_000)] + [12345678901, "x"]
        for indent in (None, 1):
            self.assertEqual(list(self.read(json.dumps(records, indent=indent, ensure_ascii=False))), records)

    def test_a_syntax_error_is_reported_with_its_line(self) -> None:
        lines = [json.dumps({"objectID": number, "title": "x" * 500}) for number in range(9_000)]
        lines[5_000] = '{"objectID": }'
        with self.assertRaisesRegex(UnreadableRecordsError, "line 5002: Expecting value"):
            list(self.read("[\n" + ",\n".join(lines) + "\n]"))


# Not from TABLES, which is under test.
KEYS = {
    "object": ["title", "artistDisplayName"],
    "object_history": ["period", "culture", "objectDate"],
    "object_physical_properties": ["medium", "dimensions", "classification"],
    "object_gallery_info": ["GalleryNumber", "department", "accessionNumber"],
    "object_tags": ["tags"],
    "object_images": ["primaryImage", "additionalImages"],
    "object_copyright": ["primaryImage", "isPublicDomain"],
    "object_api_metadata": ["metadataDate"],
}


@unittest.skipUnless(REAL_RECORDS.exists(), "the museum's records are not beside this repository")
class TestRealRecords(SeedTestCase):
    def test_the_tables_return_the_values_of_the_file_in_every_time_zone(self) -> None:
        records = json.loads(REAL_RECORDS.read_text(encoding="utf-8"))
        for time_zone in ("UTC", "America/New_York", "Asia/Kolkata"):
            self.database.query(f"alter database {self.database_name} set timezone to '{time_zone}'")
            self.assertEqual(self.seed(REAL_RECORDS, time_zone=time_zone)[0], 0)
            self.assertEqual(self.database.query("show timezone")["TimeZone"][0], time_zone)
            for table, keys in KEYS.items():
                columns = [re.sub("(?<=[a-z])(?=[A-Z])", "_", key).lower() for key in keys]
                rows_df = self.database.query(f"select object_id, {', '.join(columns)} from {table} order by object_id")
                self.assertEqual(len(rows_df), 2_847)
                for record, row in zip(records, rows_df.astype("object").values.tolist(), strict=True):
                    self.assertEqual(row[0], record["objectID"])
                    for key, value in zip(keys, row[1:], strict=True):
                        expected = record[key]
                        if key == "metadataDate":
                            decimals = ".%f" if "." in expected else ""
                            moment = datetime.datetime.strptime(expected, f"%Y-%m-%dT%H:%M:%S{decimals}%z")
                            expected = moment.replace(tzinfo=None)
                        if expected in ("", None):
                            self.assertTrue(is_null(value), (key, value))
                        else:
                            self.assertEqual(value, expected, key)
