import json
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory

from data_contract_components.detection._get_data_contract_specs import CONTRACT_DIRECTORY, get_data_contract_specs
from data_contract_components.errors import InvalidContractSpecError
from tests import CONTRACT_TESTS, SHARED_DIRECTORY, ProjectTestCase, run

CONTRACT = "object_images_contract_spec"


class TestGetDataContractSpecs(unittest.TestCase):
    def setUp(self) -> None:
        temporary_directory = TemporaryDirectory()
        self.addCleanup(temporary_directory.cleanup)
        self.directory = Path(temporary_directory.name)
        self.spec = json.loads((CONTRACT_DIRECTORY / f"{CONTRACT}.json").read_text())

    def problems_of(self, *texts: str | bytes) -> list[str]:
        for number, text in enumerate(texts):
            path = self.directory / f"t{number}_contract_spec.json"
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        with self.assertRaises(InvalidContractSpecError) as caught:
            get_data_contract_specs(self.directory)
        return [str(problem).removeprefix(f"{self.directory}/") for problem in caught.exception.problems]

    def test_contracts_are_read_in_the_order_of_their_names(self) -> None:
        for name in ("a", "a_b", "b"):
            spec = self.spec | {"name": name, "schema": self.spec["schema"] | {"table_name": name}}
            (self.directory / f"{name}_contract_spec.json").write_text(json.dumps(spec))
        (self.directory / "notes.txt").write_text("no contract")
        specs = get_data_contract_specs(self.directory)
        self.assertEqual(list(specs), ["a_b_contract_spec", "a_contract_spec", "b_contract_spec"])
        self.assertEqual(specs["b_contract_spec"], spec)

    def test_a_directory_without_contracts_is_an_error(self) -> None:
        for directory in (self.directory, self.directory / "missing"):
            with self.assertRaisesRegex(InvalidContractSpecError, "holds no contract"):
                get_data_contract_specs(directory)

    def test_a_contract_with_another_name_does_not_go_unchecked(self) -> None:
        (self.directory / "object_images.json").write_text(json.dumps(self.spec))
        with self.assertRaisesRegex(InvalidContractSpecError, "object_images.json:1: .* ends in _contract_spec.json"):
            get_data_contract_specs(self.directory)

    def test_every_problem_of_every_file_is_told_at_once(self) -> None:
        text = json.dumps(self.spec, indent=2)
        misspelt = text.replace('"is_nullable"', '"is_nulable"', 1).replace('"email"', '"mail"')
        self.assertEqual(
            self.problems_of('{"name": ', misspelt, b'"\xff"', "[]"),
            [
                "t0_contract_spec.json:1: $: is no JSON: Expecting value, column 10",
                't1_contract_spec.json:7: $.owner: "email" is a required property',
                't1_contract_spec.json:9: $.owner.mail: unknown key "mail"; did you mean "email"?',
                "t1_contract_spec.json:27: $.schema.properties.object_id.constraints.is_nulable: "
                'unknown key "is_nulable"; did you mean "is_nullable"?',
                "t2_contract_spec.json:1: $: is no UTF-8 text: 'utf-8' codec can't decode byte 0xff in position 1: "
                "invalid start byte",
                't3_contract_spec.json:1: $: [] is not of type "object"',
            ],
        )

    def test_retired_contracts_alone_are_nothing_to_check(self) -> None:
        spec = self.spec | {"spec-version": "1.1.0", "status": "retired"}
        self.assertEqual(
            self.problems_of(json.dumps(spec)),
            [f"{self.directory}:1: $: holds retired contracts only: none is checked"],
        )

    @unittest.skipUnless(SHARED_DIRECTORY.exists(), "the chapter's own files are not beside this repository")
    def test_the_contract_is_the_chapters_to_the_byte(self) -> None:
        chapters = SHARED_DIRECTORY / "chapter" / f"{CONTRACT}.json"
        self.assertEqual((CONTRACT_DIRECTORY / f"{CONTRACT}.json").read_bytes(), chapters.read_bytes())


class TestBrokenContract(ProjectTestCase):
    def test_the_contract_tests_end_in_error_and_compare_nothing(self) -> None:
        path = self.project / "data_contract_components/contract_definition/broken_contract_spec.json"
        path.write_text("{}")
        output = run(["unittest", CONTRACT_TESTS, "-v"], self.project).stdout
        self.assertIn(f'{path}:1: $.spec-version: expected "1.0.0" or "1.1.0"; it is missing', output)
        self.assertIn("FAILED (errors=2)", output)
        self.assertNotIn("... ok", output)
