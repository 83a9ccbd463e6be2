"""Files of the Open Data Contract Standard: what becomes of them, and what is wrong with them."""

import contextlib
import copy
import functools
import io
import json
import random
import tempfile
import tomllib
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given

from data_contract_components.contract_definition._odcs_yaml import LARGEST_FILE, render_yaml
from data_contract_components.contract_definition.export_odcs import make_document
from data_contract_components.contract_definition.import_odcs import main, read_odcs
from data_contract_components.contract_definition.spec_problems import find_spec_problems
from tests import CONTRACTS, ROOT, RUN_DIRECTORY, ProjectTestCase, run
from tests.random_specs import REPOSITORY, valid_specs
from tests.random_tables import random_settings

EXPORT = "data_contract_components.contract_definition.export_odcs"
COMMAND = "data_contract_components.contract_definition.import_odcs"
DIRECTORY = Path(__file__).parent / "odcs"
ORDERS = (DIRECTORY / "orders.odcs.yaml").read_text()
FILES: dict[str, Any] = tomllib.loads((DIRECTORY / "files.toml").read_text())
EDITS: dict[str, Any] = tomllib.loads((DIRECTORY / "edits.toml").read_text())
STANDARDS = ("3.1", "3.2")

ANYTHING: tuple[Any, ...] = (
    None,
    True,
    0,
    1.5,
    "",
    "x",
    [],
    {},
    [[]],
    [{}],
    {"a": 1},
    ["a"],
    "integer[]",
    "[]",
    "a.b",
    "${X}",
    [None],
)


def find_places(part: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all values in a document."""
    items = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    for key, value in items:
        yield (*place, key)
        yield from find_places(value, (*place, key))


def replaced(text: str, case: dict[str, Any]) -> bytes:
    """The file of a case: its own text, or `text` with each pair of `replace` as an old and a new part."""
    text = case.get("text", text)
    for old, new in case.get("replace", []):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text.encode(case.get("encoding", "utf-8"))


class OdcsTestCase(unittest.TestCase):
    maxDiff = None

    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="odcs-", dir=RUN_DIRECTORY))
        self.path = self.directory / "a.odcs.yaml"

    def read(self, content: bytes | str) -> tuple[list[Any], list[str], list[str]]:
        """The contracts, the notes and the problems, without the path in front of them."""
        self.path.write_bytes(content if isinstance(content, bytes) else content.encode())
        contracts, notes, problems = read_odcs(self.path)
        return (
            [contract.spec for contract in contracts],
            [str(note).removeprefix(str(self.path)) for note in notes],
            [str(problem).removeprefix(str(self.path)) for problem in problems],
        )

    def assert_same(self, spec: Any, standard: str) -> None:
        found = self.read(render_yaml(make_document(spec, standard)))
        self.assertEqual(found, ([spec], [], []))
        # Python takes 32 and 32.0, or 1 and True, for equal.
        self.assertEqual(json.dumps(found[0][0], sort_keys=True), json.dumps(spec, sort_keys=True))
        for name, column in spec["schema"]["properties"].items():
            fields = found[0][0]["schema"]["properties"][name]["constraints"].get("fields", {})
            self.assertEqual(list(fields), list(column["constraints"].get("fields", {})))


class TestRoundTrip(OdcsTestCase):
    def test_each_contract_of_the_repository_comes_back_as_it_was(self) -> None:
        for number, spec in enumerate(REPOSITORY):
            with self.subTest(number, name=spec["name"]):
                self.assert_same(spec, STANDARDS[number % 2])

    @random_settings(max_examples=15)
    @given(valid_specs)
    def test_so_does_a_random_one(self, spec: Any) -> None:
        for standard in STANDARDS:
            self.assert_same(spec, standard)

    def test_an_address_comes_back_without_its_password(self) -> None:
        for address, expected in (
            ("postgresql://u:secret@h:1/d.t", "postgresql://h:1/d.t"),
            ("postgresql://h:1/d.t?password=secret", "postgresql://h:1/d.t"),
        ):
            spec = REPOSITORY[0] | {"dataAssetResourceName": address}
            text = render_yaml(make_document(spec, "3.2"))
            self.assertNotIn("secret", text)
            self.assertEqual(self.read(text)[0][0]["dataAssetResourceName"], expected)

    def test_an_edited_word_counts_and_all_else_stays(self) -> None:
        spec = json.loads((DIRECTORY / "edited_contract_spec.json").read_text())
        text = render_yaml(make_document(spec, "3.2"))
        for name, case in EDITS.items():
            with self.subTest(name):
                expected = json.loads(json.dumps(spec))
                for change, value in case["changes"].items():
                    *parents, key = change.split("/")
                    part = expected
                    for parent in parents:
                        part = part[parent]
                    part[key] = value
                    if value == "absent":
                        del part[key]
                self.assertEqual(self.read(replaced(text, case)), ([expected], case.get("notes", []), []))
                self.assertEqual(find_spec_problems(expected), [])

    def test_a_waiver_whose_clause_was_edited_away_is_reported(self) -> None:
        spec = json.loads((DIRECTORY / "edited_contract_spec.json").read_text())
        text = render_yaml(make_document(spec)).replace("  - name: total\n", "  - name: sum\n")
        [problem] = self.read(text)[2]
        line = text[: text.rindex("\ncustomProperties:")].count("\n") + 2
        words = '"$.schema.properties.id.constraints.primaryKey"'
        self.assertEqual(
            problem,
            f":{line}: $.customProperties: $.waivers[0].clause of the contract: "
            f"names no clause of this contract; did you mean {words}?",
        )


class TestFiles(OdcsTestCase):
    def test_a_file_of_another_tool_becomes_a_contract_with_a_note_on_all_that_is_not_checked(self) -> None:
        status, output = self.run_import(ORDERS)
        self.assertEqual(output, (DIRECTORY / "orders.txt").read_text())
        expected = json.loads((DIRECTORY / "orders.json").read_text())
        self.assertEqual(json.loads((self.directory / "new/sales.orders_contract_spec.json").read_text()), expected)
        self.assertEqual((find_spec_problems(expected), status), ([], 0))
        self.assert_same(expected, "3.2")

    def test_what_is_wrong_with_a_file_is_reported_with_its_place_and_nothing_is_written(self) -> None:
        for name, case in FILES.items():
            with self.subTest(name):
                self.assertEqual(self.read(replaced(ORDERS, case))[2], case["expected"].splitlines())
                output = io.StringIO()
                with contextlib.redirect_stderr(output):
                    status = main([str(self.path), "--output", str(self.directory / "new")])
                lines = output.getvalue().replace(f"{self.path}", "").splitlines()
                self.assertEqual((status, lines), (1, case["expected"].splitlines()))
                self.assertFalse((self.directory / "new").exists())

    def test_a_file_with_anything_anywhere_becomes_valid_contracts_or_has_problems_with_lines(self) -> None:
        exported = make_document(json.loads((DIRECTORY / "edited_contract_spec.json").read_text()))
        for part in (exported["schema"][0], *exported["schema"][0]["properties"]):
            del part["quality"]  # so that the file is short
        generator = random.Random(1)
        for document in (yaml.safe_load(ORDERS), exported):
            places = list(find_places(document))
            for _ in range(200):
                changed = copy.deepcopy(document)
                *parents, key = generator.choice(places)
                part = functools.reduce(lambda part, step: part[step], parents, changed)
                part[key] = generator.choice(ANYTHING)
                with self.subTest(place=(*parents, key), value=part[key]):
                    self.path.write_text(render_yaml(changed))
                    contracts, _, problems = read_odcs(self.path)
                    self.assertTrue(all(problem.line for problem in problems))
                    valid = [not find_spec_problems(contract.spec) for contract in contracts]
                    self.assertTrue(problems or (valid and all(valid)))

    def test_a_file_that_is_too_large_is_not_read(self) -> None:
        problems = self.read(b"a: 1\n" * (LARGEST_FILE * 2 // 5))[2]
        self.assertEqual(problems, [": has more than 5,000,000 bytes"])

    def test_each_table_of_a_file_becomes_a_contract_and_all_are_written_or_none(self) -> None:
        table = ORDERS[ORDERS.index("- name: orders\n") : ORDERS.index("slaProperties")]
        text = ORDERS.replace(table, table + table.replace("- name: orders\n", "- name: returns\n", 1))
        names = ["sales.orders_contract_spec.json", "sales.returns_contract_spec.json"]
        new = self.directory / "new"
        new.mkdir()
        (new / names[1]).write_text("mine")
        status, output = self.run_import(text)
        self.assertEqual((status, [path.name for path in new.iterdir()]), (2, names[1:]), output)
        self.assertEqual(output, f"[Errno 17] File exists: 'new/{names[1]}'\n")
        (new / names[1]).unlink()
        status, output = self.run_import(text)
        self.assertEqual((status, output.splitlines()[-2:]), (0, [f"new/{name}" for name in names]))
        specs = [json.loads((new / name).read_text()) for name in names]
        self.assertEqual([spec["name"] for spec in specs], ["orders-orders", "orders-returns"])

    def test_a_contract_whose_successor_is_elsewhere_can_be_written_to_a_directory(self) -> None:
        spec = json.loads((DIRECTORY / "edited_contract_spec.json").read_text())
        status, output = self.run_import(render_yaml(make_document(spec)))
        self.assertEqual((status, output), (0, "new/sales.orders_contract_spec.json\n"))
        self.assertEqual(json.loads((self.directory / "new/sales.orders_contract_spec.json").read_text()), spec)

    def run_import(self, text: str) -> tuple[int, str]:
        self.path.write_text(text)
        result = run([COMMAND, self.path.name, "--output", "new"], self.directory, PYTHONPATH=str(ROOT))
        return result.returncode, result.stdout


class TestProject(ProjectTestCase):
    def test_a_contract_goes_back_to_the_others_where_it_clashes_with_none(self) -> None:
        contract = self.project / CONTRACTS / "object_images_contract_spec.json"
        before = contract.read_text()
        result = run([EXPORT], self.project)
        self.assertEqual((result.returncode, result.stdout), (0, "object_images.odcs.yaml\n"))
        contract.rename(contract.with_name("another_contract_spec.json"))
        result = run([COMMAND, "object_images.odcs.yaml"], self.project)
        other = CONTRACTS / "another_contract_spec.json"
        expected = [
            f"object_images.odcs.yaml: $.name: {other}, another contract in this namespace, has the same name",
            f"object_images.odcs.yaml: $.schema.table_name: {other} is an active contract of this table, too",
        ]
        self.assertEqual((result.returncode, result.stdout.splitlines()), (1, expected))
        contract.with_name("another_contract_spec.json").write_text("{}")
        result = run([COMMAND, "object_images.odcs.yaml"], self.project)
        words = 'expected "1.0.0", "1.1.0" or "1.2.0"; it is missing'
        expected = [f"{self.project / other}:1: $.spec-version: {words}"]
        self.assertEqual((result.returncode, result.stdout.splitlines()), (1, expected))
        contract.with_name("another_contract_spec.json").unlink()
        result = run([COMMAND, "object_images.odcs.yaml"], self.project)
        self.assertEqual((result.returncode, result.stdout), (0, f"{contract}\n"))
        self.assertEqual(json.loads(contract.read_text()), json.loads(before))
        result = run([COMMAND, "object_images.odcs.yaml"], self.project)
        self.assertEqual((result.returncode, result.stdout), (2, f"[Errno 17] File exists: '{contract}'\n"))
