# ruff: noqa: RUF001 -- dashes, quotation marks and multiplication signs are those of the records
import functools
import json
import re
import tempfile
import tomllib
import unicodedata
import unittest
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests import GENERATOR, OBJECTS, ROOT, SHARED_DIRECTORY, museum_project, read_data, run

REAL_OBJECTS_PATH = SHARED_DIRECTORY / "met_api_samples/objects.json"
SIZE_LIMIT_BYTES = 6_000_000
# how far a share may be from that of the real records
TOLERANCE = 0.05

Record = dict[str, Any]


def is_empty(value: object) -> bool:
    return value is None or value in ("", [])


def share(records: list[Record], holds: Callable[[Record], object]) -> float:
    return sum(bool(holds(record)) for record in records) / len(records)


def image_urls(record: Record) -> list[str]:
    urls = [record["primaryImage"], record["primaryImageSmall"], *record["additionalImages"]]
    return [url for url in urls if url]


def page_urls(record: Record) -> list[str]:
    urls = [record[key] for key in ("objectURL", "objectWikidata_URL", "artistWikidata_URL", "artistULAN_URL")]
    urls += [tag[key] for tag in record["tags"] or [] for key in ("AAT_URL", "Wikidata_URL")]
    for constituent in record["constituents"] or []:
        urls += [constituent["constituentULAN_URL"], constituent["constituentWikidata_URL"]]
    return [url for url in urls if url and url != "(not assigned)"]


def names(record: Record) -> set[str]:
    return {record["artistDisplayName"], *(maker["name"] for maker in record["constituents"] or [])} - {""}


def shapes(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every path with its JSON type, and with its keys in order; the sides that are measured count as one path."""
    kind = type(value).__name__
    if isinstance(value, list):
        for element in value:
            yield from shapes(element, f"{path}[]")
    elif isinstance(value, dict) and path.endswith("elementMeasurements"):
        for element in value.values():
            yield from shapes(element, f"{path}.*")
    elif isinstance(value, dict):
        kind += f" of {', '.join(value)}"
        for key, element in value.items():
            yield from shapes(element, f"{path}.{key}")
    yield path, kind


def sizes(text: str) -> list[float]:
    """The numbers in `text`: of "H. 10 3/8 x W. 6" these are 10.375 and 6."""
    found = re.findall(r"(?:(\d+(?:\.\d+)?) )?(\d+)/(\d+)|(\d+(?:\.\d+)?)", text)
    return [float(whole or 0) + int(top) / int(bottom) if top else float(plain) for whole, top, bottom, plain in found]


# By field, the patterns; "frequent" has some by field, too.
ODDITIES: dict[str, Any] = tomllib.loads(read_data("unusual_records.toml"))
FURTHER_ODDITIES: dict[str, Callable[[Record], object]] = {
    "a title that is not NFC": lambda record: not unicodedata.is_normalized("NFC", record["title"]),
    "several constituents": lambda record: len(record["constituents"] or []) > 1,
    "years on both sides of our era": lambda record: record["objectBeginDate"] < 0 < record["objectEndDate"],
    "an image's URL with a space": lambda record: any(" " in url for url in image_urls(record)),
    "an image's URL beyond ASCII": lambda record: any(not url.isascii() for url in image_urls(record)),
    "over 50 more images": lambda record: len(record["additionalImages"]) > 50,
    "an image missing": lambda record: record["isPublicDomain"] and not record["primaryImage"],
    "a tag without AAT_URL": lambda record: any(tag["AAT_URL"] is None for tag in record["tags"] or []),
}


@functools.cache
def read_records(path: Path) -> list[Record]:
    records: list[Record] = json.loads(path.read_bytes())
    return records


class SampleTestCase(unittest.TestCase):
    def setUp(self) -> None:
        self.path = museum_project() / OBJECTS
        self.records = read_records(self.path)
        self.text = self.path.read_bytes().decode("utf-8")


class TestTheFile(SampleTestCase):
    def test_the_generator_writes_it_again_byte_for_byte_whatever_hash_seed_and_locale(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "objects.json"
            command = [GENERATOR, "--out", str(path)]
            for seed in "12":
                run(command, ROOT, check=True, PYTHONHASHSEED=seed, LC_ALL="C", PYTHONUTF8="0")
                is_same = path.read_bytes() == self.path.read_bytes()
                self.assertTrue(is_same, f"PYTHONHASHSEED={seed}")

    def test_it_is_an_array_with_one_record_per_line_no_escapes_and_not_too_large(self) -> None:
        self.assertLess(self.path.stat().st_size, SIZE_LIMIT_BYTES)
        first, *lines, last, end = self.text.split("\n")
        self.assertEqual((first, last, end), ("[", "]", ""))
        self.assertEqual([line.endswith(",") for line in lines], [True] * 2999 + [False])
        self.assertEqual([json.loads(line.removesuffix(",")) for line in lines], self.records)
        self.assertNotIn("\\u", self.text)
        self.assertIn("é", self.text)

    def test_the_ids_are_consecutive(self) -> None:
        self.assertEqual([record["objectID"] for record in self.records], list(range(9_000_001, 9_003_001)))

    def test_every_record_says_that_it_is_made_up(self) -> None:
        self.assertEqual({"made up" in record["repository"] for record in self.records}, {True})

    def test_every_address_is_reserved_for_examples(self) -> None:
        self.assertEqual({urlsplit(url)[:2] for url in re.findall(r'[a-z]+://[^"]*', self.text)}, {
            ("https", "example.org"),
            ("https", "images.example.org"),
        })  # fmt: skip
        image_hosts = {urlsplit(url).hostname for record in self.records for url in image_urls(record)}
        page_hosts = {urlsplit(url).hostname for record in self.records for url in page_urls(record)}
        self.assertEqual((image_hosts, page_hosts), ({"images.example.org"}, {"example.org"}))
        self.assertNotRegex(self.text, r"(?i)www\.|metmuseum|getty|wikidata\.org")

    def assert_share(self, name: str, occurs: Callable[[Record], object], limit: float) -> None:
        found = share(self.records, occurs)
        with self.subTest(name, found=found):
            self.assertGreater(found, 0)
            self.assertLess(found, limit)

    def test_each_oddity_of_the_real_records_occurs(self) -> None:
        for name, occurs in FURTHER_ODDITIES.items():
            self.assert_share(name, occurs, 0.25)
        frequent = ODDITIES["frequent"]
        rare = {field: patterns for field, patterns in ODDITIES.items() if field != "frequent"}
        for fields, limit in ((rare, 0.25), (frequent, 1)):
            for field, patterns in fields.items():
                for name, pattern in patterns.items():
                    matches = functools.partial(re.search, pattern)
                    self.assert_share(f"{field}: {name}", lambda record: matches(record[field]), limit)  # noqa: B023

    def test_titles_are_many(self) -> None:
        self.assertGreater(len({record["title"] for record in self.records}), 1500)


class TestARecord(SampleTestCase):
    def test_what_is_not_in_the_public_domain_has_no_image(self) -> None:
        self.assertEqual([record for record in self.records if image_urls(record) and not record["isPublicDomain"]], [])

    def test_the_small_image_is_the_same_image(self) -> None:
        for record in self.records:
            small = record["primaryImage"].replace("/original/", "/web-large/")
            self.assertEqual(record["primaryImageSmall"], small)
        self.assertTrue(any("/web-large/" in record["primaryImageSmall"] for record in self.records))

    def test_lists_that_may_be_null_are_never_empty(self) -> None:
        for key in ("tags", "constituents", "measurements"):
            values = [record[key] for record in self.records]
            self.assertNotIn([], values)
            self.assertIn(None, values)

    def test_a_tag_is_given_once(self) -> None:
        for record in self.records:
            terms = [tag["term"] for tag in record["tags"] or []]
            self.assertEqual(len(terms), len(set(terms)))

    def test_inches_centimetres_and_measurements_agree(self) -> None:
        compared = 0
        for record in self.records:
            if record["measurements"] is None:
                continue
            for part, measurement in zip(re.split("\r\n?", record["dimensions"]), record["measurements"], strict=True):
                match = re.search(r"(?P<inches>.*) in\. \((?P<centimetres>.*) cm\)", part)
                match = match or re.fullmatch(r"(?P<centimetres>.*) cm \((?P<inches>.*) in\.\)", part)
                assert match
                inches, centimetres = match["inches"], match["centimetres"]
                self.assertEqual(sorted(sizes(centimetres)), sorted(measurement["elementMeasurements"].values()))
                for inch, centimetre in zip(sizes(inches), sizes(centimetres), strict=True):
                    self.assertAlmostEqual(inch * 2.54, centimetre, delta=0.0501)
                compared += 1
        self.assertGreater(compared, 2800)

    def test_the_artist_is_the_first_constituent(self) -> None:
        for record in self.records:
            if record["constituents"] is None:
                self.assertEqual({value for key, value in record.items() if key.startswith("artist")}, {""})
                continue
            maker = record["constituents"][0]
            self.assertEqual(maker["name"], f"{record['artistPrefix']} {record['artistDisplayName']}".strip())
            self.assertEqual(
                [maker[key] for key in ("role", "gender", "constituentULAN_URL", "constituentWikidata_URL")],
                [record[key] for key in ("artistRole", "artistGender", "artistULAN_URL", "artistWikidata_URL")],
            )

    def test_an_artist_is_the_same_in_every_record(self) -> None:
        lives: dict[str, set[tuple[str, ...]]] = {}
        for record in self.records:
            fields = ("artistDisplayName", "artistAlphaSort", "artistDisplayBio", "artistULAN_URL")
            lives.setdefault(record["artistULAN_URL"], set()).add(tuple(record[field] for field in fields))
        lives = {url: life for url, life in lives.items() if url.startswith("https")}
        self.assertGreater(len(lives), 50)
        self.assertEqual({url: life for url, life in lives.items() if len(life) > 1}, {})

    def test_a_work_was_made_while_its_artist_lived(self) -> None:
        dated = [record for record in self.records if record["artistBeginDate"]]
        self.assertGreater(len(dated), 1000)
        for record in dated:
            self.assertGreater(record["objectBeginDate"], int(record["artistBeginDate"]))
            # "ca." is five years on either side
            self.assertLessEqual(record["objectEndDate"], int(record["artistEndDate"]) + 5)

    def test_the_dates_in_words_are_those_in_numbers(self) -> None:
        for record in self.records:
            begin, end = record["objectBeginDate"], record["objectEndDate"]
            self.assertLessEqual(begin, end)
            self.assertNotIn(0, (begin, end), "there was no such year")
            if years := re.fullmatch(r"(?:ca\. )?(\d+)–(\d+) (?:B\.C\.|BCE)", record["objectDate"]):
                self.assertEqual((begin, end), (-int(years[1]), -int(years[2])))
            elif years := re.fullmatch(r"(\d\d)(\d\d)–(\d\d)", record["objectDate"]):
                self.assertEqual((begin, end), (int(years[1] + years[2]), int(years[1] + years[3])))
            elif years := re.fullmatch(r"\d{4}", record["objectDate"]):
                self.assertEqual((begin, end), (int(years[0]),) * 2)

    def test_no_work_came_before_it_was_made(self) -> None:
        for record in self.records:
            if record["accessionYear"]:
                self.assertLessEqual(record["objectEndDate"], int(record["accessionYear"]) + 5)
                self.assertEqual(record["accessionNumber"].split(".")[0][-2:], record["accessionYear"][-2:])
                self.assertTrue(record["creditLine"].endswith(f", {record['accessionYear']}"))

    def test_a_period_belongs_to_one_department(self) -> None:
        for key in ("period", "dynasty", "reign"):
            departments: dict[str, set[str]] = {}
            for record in self.records:
                departments.setdefault(record[key], set()).add(record["department"])
            del departments[""]
            self.assertEqual({len(names) for names in departments.values()}, {1})


@unittest.skipUnless(REAL_OBJECTS_PATH.exists(), "needs the real records")
class TestAgainstRealRecords(SampleTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.real_records = read_records(REAL_OBJECTS_PATH)
        self.both = (self.records, self.real_records)

    def assert_alike(self, name: str, holds: Callable[[Record, str], object]) -> None:
        """`holds` is given a record and `name`."""
        found, real = (share(records, lambda record: holds(record, name)) for records in self.both)
        with self.subTest(name, found=found, real=real):
            self.assertAlmostEqual(found, real, delta=TOLERANCE)

    def test_keys_their_order_and_their_types_are_the_same(self) -> None:
        found = {shape for record in self.records for shape in shapes(record)}
        expected = {shape for record in self.real_records for shape in shapes(record)}
        self.assertEqual(sorted(found), sorted(expected))

    def test_the_shares_of_missing_values_are_similar(self) -> None:
        for key in self.real_records[0]:
            self.assert_alike(key, lambda record, key: is_empty(record[key]))

    def test_other_shares_are_similar(self) -> None:
        for key in ("isHighlight", "isPublicDomain", "isTimelineWork"):
            self.assert_alike(key, lambda record, key: record[key])
        for department in {record["department"] for record in self.records}:
            self.assert_alike(department, lambda record, department: record["department"] == department)
        self.assert_alike("CR LF", lambda record, _: "\r\n" in record["dimensions"])
        self.assert_alike("before our era", lambda record, _: record["objectBeginDate"] < 0)

    def test_nothing_of_the_real_records_is_in_it(self) -> None:
        parts: dict[str, Callable[[Record], set[str]]] = {
            "title": lambda record: {record["title"]} - {""},
            "accession number": lambda record: {record["accessionNumber"]},
            "credit line": lambda record: {record["creditLine"]},
            "artist": names,
            "life": lambda record: {record["artistDisplayBio"]} - {""},
            "image": lambda record: set(image_urls(record)),
            "page": lambda record: set(page_urls(record)),
        }
        for name, part in parts.items():
            found, real = (set[str]().union(*map(part, records)) for records in self.both)
            with self.subTest(name):
                self.assertGreater(min(len(found), len(real)), 50)
                self.assertEqual(found & real, set())
