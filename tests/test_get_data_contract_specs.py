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
        for name in ("b", "a_b", "a"):
            (self.directory / f"{name}_contract_spec.json").write_text(json.dumps(self.spec))
        (self.directory / "notes.txt").write_text("no contract")
        specs = get_data_contract_specs(self.directory)
        self.assertEqual(list(specs), ["a_b_contract_spec", "a_contract_spec", "b_contract_spec"])
        self.assertEqual(specs["a_contract_spec"], self.spec)

    def test_a_directory_without_contracts_is_an_error(self) -> None:
        for directory in (self.directory, self.directory / "missing"):
            with self.assertRaisesRegex(InvalidContractSpecError, "holds no contract"):
                get_data_contract_specs(directory)

    def test_a_contract_with_another_name_does_not_go_unchecked(self) -> None:
        (self.directory / "object_images.json").write_text(json.dumps(self.spec))
        with self.assertRaisesRegex(InvalidContractSpecError, "object_images.json: .* ends in _contract_spec.json"):
            get_data_contract_specs(self.directory)

    def test_every_problem_of_every_file_is_told_at_once(self) -> None:
        misspelt = json.loads(json.dumps(self.spec))
        misspelt["schema"]["properties"]["primary_image"]["constraints"]["is_nulable"] = True
        del misspelt["owner"]["email"]
        problems = self.problems_of('{"name": ', json.dumps(misspelt), b'"\xff"', "[]")
        self.assertRegex(problems[0], r"^t0_contract_spec\.json: \$: is no JSON: .* line 1 column 10")
        self.assertEqual(
            sorted(problems[1:3]),
            [
                't1_contract_spec.json: $.owner: "email" is a required property',
                "t1_contract_spec.json: $.schema.properties.primary_image.constraints: "
                "Additional properties are not allowed ('is_nulable' was unexpected)",
            ],
        )
        self.assertRegex(problems[3], r"^t2_contract_spec\.json: \$: is no JSON: ")
        self.assertRegex(problems[4], r'^t3_contract_spec\.json: \$: \[\] is not of type "object"')
        self.assertEqual(len(problems), 5)

    @unittest.skipUnless(SHARED_DIRECTORY.exists(), "the chapter's own files are not beside this repository")
    def test_the_contract_is_the_chapters_to_the_byte(self) -> None:
        chapters = SHARED_DIRECTORY / "chapter" / f"{CONTRACT}.json"
        self.assertEqual((CONTRACT_DIRECTORY / f"{CONTRACT}.json").read_bytes(), chapters.read_bytes())


class TestBrokenContract(ProjectTestCase):
    def test_the_contract_tests_end_in_error_and_compare_nothing(self) -> None:
        path = self.project / "data_contract_components/contract_definition/broken_contract_spec.json"
        path.write_text("{}")
        output = run(["unittest", CONTRACT_TESTS, "-v"], self.project).stdout
        self.assertIn(f'{path}: $: "name" is a required property', output)
        self.assertIn("FAILED (errors=2)", output)
        self.assertNotIn("... ok", output)
