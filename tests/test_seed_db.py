import datetime
import json
import unittest
from collections.abc import Hashable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from data_contract_components.data_assets._museum_records import TABLES, UnreadableRecordsError, read_records
from tests import ROOT, SHARED_DIRECTORY, DatabaseTestCase, run, run_on_terminal

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
# What makes a record unfit, and its reason.
UNFIT = {
    "no object": ([], "record 2, objectID null: is not a JSON object"),
    "no id": ({"title": "x"}, "record 2, objectID null: objectID is not a whole number"),
    "id is text": ({"objectID": "8"}, 'record 2, objectID "8": objectID is not a whole number'),
    "id is a truth value": ({"objectID": True}, "record 2, objectID true: objectID is not a whole number"),
    "id is a fraction": ({"objectID": 8.5}, "record 2, objectID 8.5: objectID is not a whole number"),
    "id is too large": ({"objectID": 2**31}, "objectID 2147483648: objectID is too large for an integer column"),
    "id twice": ({"objectID": 7}, "record 2, objectID 7: objectID occurs twice"),
    "NUL in text": ({"objectID": 8, "title": "a\0b"}, "objectID 8: title has a NUL character"),
    "NUL in an image": ({"objectID": 8, "additionalImages": ["a\0"]}, "additionalImages has a NUL character"),
    "NUL in a tag": ({"objectID": 8, "tags": [{"term": "a\0"}]}, "tags has a NUL character"),
    "half a character": ({"objectID": 8, "culture": "\ud800"}, "culture has half of a surrogate pair"),
    "half a character in a tag": ({"objectID": 8, "tags": ["\ud800"]}, "tags has half of a surrogate pair"),
    "number as text": ({"objectID": 8, "GalleryNumber": 774}, "GalleryNumber is not a text"),
    "text as truth value": ({"objectID": 8, "isPublicDomain": "yes"}, "isPublicDomain is neither true nor false"),
    "images are text": ({"objectID": 8, "additionalImages": "x"}, "additionalImages is not a list of texts"),
    "an image is null": ({"objectID": 8, "additionalImages": [None]}, "additionalImages is not a list of texts"),
    "tags are text": ({"objectID": 8, "tags": "x"}, "tags is not a list"),
    "no date": (
        {"objectID": 8, "metadataDate": "2023-02-30T00:00:00Z"},
        "metadataDate is not a date: 2023-02-30T00:00:00Z",
    ),
    "date is words": ({"objectID": 8, "metadataDate": "yesterday"}, "metadataDate is not a date: yesterday"),
}
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
        empty = {
            "objectID": 7,
            "title": "",
            "primaryImage": "",
            "isPublicDomain": None,
            "tags": None,
            "metadataDate": "",
        }
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
    def test_an_unfit_record_stops_the_load_and_nothing_changes(self) -> None:
        before = self.fill()
        for name, (record, message) in UNFIT.items():
            with self.subTest(name):
                write_records(self.path, [RECORD, record, {"objectID": 9}])
                status, output = self.seed(self.path)
                self.assertEqual(status, 1, output)
                self.assertIn(message, output)
                self.assertIn("1 rejected; nothing was changed (--skip-rejected loads the others)", output)
                self.assertEqual(self.tables(), before)

    def test_skip_rejected_loads_the_others_and_writes_the_rejected_with_their_reasons(self) -> None:
        records = [RECORD, *(record for record, _ in UNFIT.values()), {"objectID": 9}]
        status, output = self.seed(write_records(self.path, records), "--skip-rejected")
        self.assertEqual(status, 1)
        self.assertEqual([row["object_id"] for row in self.tables()["object"]], [7, 9])
        rejected_path = self.path.with_suffix(".rejected.json")
        self.assertIn(f"{len(UNFIT)} rejected, see {rejected_path}\n", output)
        rejected = json.loads(rejected_path.read_text())
        self.assertEqual([entry["record"] for entry in rejected], records[1:-1])
        self.assertEqual([entry["position"] for entry in rejected], list(range(2, len(UNFIT) + 2)))
        for entry, (record, message) in zip(rejected, UNFIT.values(), strict=True):
            object_id = record.get("objectID") if isinstance(record, dict) else None
            self.assertIn(message, f"record 2, objectID {json.dumps(object_id)}: {entry['reason']}")

    def test_a_number_that_no_json_column_can_store_is_reported_with_its_record(self) -> None:
        self.path.write_text('[{"objectID": 8, "tags": [1e999]}]')
        status, output = self.seed(self.path)
        self.assertEqual(status, 1)
        self.assertIn("record 1, objectID 8: tags Out of range float values", output)

    def test_when_no_record_fits_nothing_changes_even_with_skip_rejected(self) -> None:
        before = self.fill()
        status, output = self.seed(write_records(self.path, [1, 2]), "--skip-rejected")
        self.assertEqual((status, self.tables()), (2, before))
        self.assertIn("has no record that fits; nothing was changed", output)

    def test_check_reports_records_that_would_be_rejected(self) -> None:
        self.fill()
        status, output = self.seed(write_records(self.path, [RECORD, []]), "--check")
        self.assertEqual((status, output), (1, "record 2, objectID null: is not a JSON object\n"))

    def test_the_rejected_file_does_not_overwrite_the_records(self) -> None:
        write_records(self.path, [RECORD, []])
        before = self.path.read_bytes()
        for arguments in (["--skip-rejected", "--rejected-file", self.path], ["--rejected-file", "x"]):
            self.assertEqual(self.seed(self.path, *arguments)[0], 2)
        self.assertEqual(self.path.read_bytes(), before)

    def test_a_rejected_file_that_cannot_be_written_changes_nothing(self) -> None:
        before = self.fill()
        write_records(self.path, [RECORD, []])
        status, output = self.seed(self.path, "--skip-rejected", "--rejected-file", "/nowhere/rejected.json")
        self.assertEqual(status, 2)
        self.assertIn("/nowhere/rejected.json", output)
        self.assertEqual(self.tables(), before)

    def test_a_file_that_holds_no_records_changes_nothing(self) -> None:
        before = self.fill()
        for text, message in UNREADABLE.items():
            with self.subTest(text[:40]):
                self.path.write_text(text)
                status, output = self.seed(self.path)
                self.assertEqual(status, 2)
                self.assertIn(message, output)
                self.assertEqual(self.tables(), before)
        self.path.write_bytes(b'[{"objectID": 1, "title": "\xff"}]')
        self.assertEqual(self.seed(self.path)[0], 2)
        self.path.unlink()
        status, output = self.seed(self.path)
        self.assertEqual((status, "No such file" in output), (2, True))
        self.assertEqual(self.tables(), before)

    def test_tables_that_differ_from_the_migrations_are_named_and_not_changed(self) -> None:
        before = self.fill()
        self.database.query("alter table object_images rename primary_image to image; drop table object_tags")
        status, output = self.seed(self.path)
        self.assertEqual(status, 2)
        self.assertIn("lacks object_tags.object_id, object_tags.tags, object_images.primary_image;", output)
        self.assertIn("alembic upgrade head", output)
        self.assertEqual(
            self.database.query("select object_id from object")["object_id"][0], before["object"][0]["object_id"]
        )

    def test_a_column_that_refuses_a_value_undoes_the_load(self) -> None:
        before = self.fill()
        self.database.query("alter table object_api_metadata add check (object_id <> 7)")
        status, output = self.seed(write_records(self.path, [{"objectID": 8}, RECORD]))
        self.assertEqual(status, 2)
        self.assertIn("SQL state 23514", output)
        self.assertEqual(self.tables(), before)


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
    "object": {"title": "title", "artist_display_name": "artistDisplayName"},
    "object_history": {"period": "period", "culture": "culture", "object_date": "objectDate"},
    "object_physical_properties": {
        "medium": "medium",
        "dimensions": "dimensions",
        "classification": "classification",
    },
    "object_gallery_info": {
        "gallery_number": "GalleryNumber",
        "department": "department",
        "accession_number": "accessionNumber",
    },
    "object_tags": {"tags": "tags"},
    "object_images": {"primary_image": "primaryImage", "additional_images": "additionalImages"},
    "object_copyright": {"primary_image": "primaryImage", "is_public_domain": "isPublicDomain"},
    "object_api_metadata": {"metadata_date": "metadataDate"},
}


@unittest.skipUnless(REAL_RECORDS.exists(), "the museum's records are not beside this repository")
class TestRealRecords(SeedTestCase):
    def test_the_tables_return_the_values_of_the_file_in_every_time_zone(self) -> None:
        records = json.loads(REAL_RECORDS.read_text(encoding="utf-8"))
        for time_zone in ("UTC", "America/New_York", "Asia/Kolkata"):
            self.database.query(f"alter database {self.database_name} set timezone to '{time_zone}'")
            self.assertEqual(self.seed(REAL_RECORDS, time_zone=time_zone)[0], 0)
            self.assertEqual(self.database.query("show timezone")["TimeZone"][0], time_zone)
            for table, columns in KEYS.items():
                rows_df = self.database.query(f"select object_id, {', '.join(columns)} from {table} order by object_id")
                self.assertEqual(len(rows_df), 2_847)
                for record, row in zip(records, rows_df.astype("object").values.tolist(), strict=True):
                    self.assertEqual(row[0], record["objectID"])
                    for key, value in zip(columns.values(), row[1:], strict=True):
                        expected = record[key]
                        if key == "metadataDate":
                            decimals = ".%f" if "." in expected else ""
                            moment = datetime.datetime.strptime(expected, f"%Y-%m-%dT%H:%M:%S{decimals}%z")
                            expected = moment.replace(tzinfo=None)
                        if expected in ("", None):
                            self.assertTrue(is_null(value), (key, value))
                        else:
                            self.assertEqual(value, expected, key)
