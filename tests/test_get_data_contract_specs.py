import datetime
import json
import os
import time
import unittest
from pathlib import Path
from typing import Any

from data_contract_components.contract_definition.contract_spec import (
    Contract,
    NoBindingContractError,
    ensure_a_contract_binds,
)
from data_contract_components.contract_definition.spec_problems import InvalidContractSpecError
from data_contract_components.detection._get_data_contract_specs import (
    get_data_contract_specs,
)
from tests import CONTRACT_TESTS, SHARED_DIRECTORY, ProjectTestCase, run
from tests.contracts import CHAPTERS_PATH, ContractsTestCase, chapters_spec

CONTRACT = "object_images_contract_spec"
REFUSED_NAMES = (
    *("x_contract_spec.JSON", "x_contract_spec.json ", "x_contract_spec.json.", "x_contract_spec.json\u200b"),
    *("x_contract_spec", "x_contract_spec.yaml", "x_contract_spec.yml", "x_contract_spec.jsonc", "x_contract_spec.txt"),
    *("x_contract_spec.json~", "x_contract_spec.json.orig", "x_contract_spec (1).json", "#x_contract_spec.json#"),
    *(
        "x-contract-spec.json",
        "X_Contract_Spec.json",
        "x contract spec.json",
        "xContractSpec.json",
        "object_images.json",
    ),
    *("x.json5", "x.yaml", ".x_contract_spec.json", ".x_contract_spec.json.swp", "x_contract_spec.json.py"),
    *("x", "x.txt", "x_c\u043entract_spec.js\u043en"),
)
IGNORED_NAMES = (
    *("notes.txt", "contract_spec.py", "schema/x.schema.json", "__pycache__/contract_spec.cpython-311.pyc"),
    *(".t0_contract_spec.json.swp", "._t0_contract_spec.json", ".ipynb_checkpoints/t0_contract_spec-checkpoint.json"),
)


class TestGetDataContractSpecs(ContractsTestCase):
    def problems_of(self, *texts: str | bytes) -> list[str]:
        for number, text in enumerate(texts):
            self.write(f"t{number}", text)
        return self.problems()

    def test_contracts_are_read_in_the_order_of_their_names(self) -> None:
        for name in ("a", "a_b", "b"):
            spec = chapters_spec(name=name)
            spec["schema"]["table_name"] = name
            self.write(name, spec)
        (self.directory / "notes.txt").write_text("no contract")
        specs = get_data_contract_specs(self.directory)
        self.assertEqual(list(specs), ["a_b_contract_spec", "a_contract_spec", "b_contract_spec"])
        self.assertEqual(specs["b_contract_spec"].spec, spec)

    def test_a_directory_without_contracts_is_an_error(self) -> None:
        for directory in (self.directory, self.directory / "missing"):
            with self.assertRaisesRegex(InvalidContractSpecError, "holds no contract"):
                get_data_contract_specs(directory)

    def test_a_file_that_looks_like_a_contract_is_read_or_refused_in_every_folder(self) -> None:
        content = json.dumps(chapters_spec())
        (self.directory / "schema").mkdir()
        (self.directory / "teams/met").mkdir(parents=True)
        for name in REFUSED_NAMES:
            with self.subTest(name):
                path = self.directory / "teams" / name
                path.write_text(content)
                message = "is not read as a contract: rename it to …_contract_spec.json, move it elsewhere or delete it"
                self.assertEqual(self.problems_of(content), [f"teams/{name}: {message}"])
                path.unlink()
        for name in IGNORED_NAMES:
            (self.directory / name).parent.mkdir(exist_ok=True)
            (self.directory / name).write_bytes(b"\0\x05\x16\7\0\2\0\0Mac OS X")
        (self.directory / ".#t0_contract_spec.json").symlink_to("me@host.4711")
        self.assertEqual(list(get_data_contract_specs(self.directory)), ["t0_contract_spec"])
        for folder in ("teams/met", "schema"):
            path = self.directory / folder / "t1_contract_spec.json"
            path.write_text("{}")
            self.assertIn(f"{folder}/t1_contract_spec.json:1: $.spec-version: ", self.problems_of(content)[0])
            path.unlink()

    def test_folders_pipes_links_and_duplicate_names_are_refused(self) -> None:
        (self.directory / "met").mkdir()
        content = json.dumps(chapters_spec())
        (self.directory / "met/t0_contract_spec.json").write_text(content)
        (self.directory / "folder_contract_spec.json").mkdir()
        (self.directory / "link").symlink_to(self.directory / "met")
        (self.directory / "nowhere_contract_spec.json").symlink_to("nowhere")
        os.mkfifo(self.directory / "pipe_contract_spec.json")
        is_no_file = "is not a file, or a link to nowhere: delete it"
        self.assertEqual(
            self.problems_of(content),
            [
                "folder_contract_spec.json: is a folder with the name of a file: rename it",
                "link: is a link to a folder, and links are not followed: put the folder itself here",
                f"nowhere_contract_spec.json: {is_no_file}",
                f"pipe_contract_spec.json: {is_no_file}",
                "t0_contract_spec.json: met/t0_contract_spec.json has the same file name: rename one of them",
                "t0_contract_spec.json:1: $.name: met/t0_contract_spec.json, another contract in this namespace, "
                "has the same name",
                "t0_contract_spec.json:1: $.schema.table_name: met/t0_contract_spec.json is an active contract of "
                "this table, too",
            ],
        )

    @unittest.skipIf(os.geteuid() == 0, "root may read everything")
    def test_files_and_folders_without_read_permission_are_refused(self) -> None:
        for name in ("met", "a_contract_spec.json", ".b_contract_spec.json"):
            path = self.directory / name
            path.mkdir() if name == "met" else path.write_text("{}")
            path.chmod(0)
            self.addCleanup(path.chmod, 0o700)
        self.assertEqual(
            [problem.split(":")[0] for problem in self.problems_of()],
            [".b_contract_spec.json", "met", "a_contract_spec.json"],
        )

    def test_a_contract_in_a_folder_is_read_once_with_the_line_of_each_clause(self) -> None:
        path = self.directory / "met" / f"{CONTRACT}.json"
        path.parent.mkdir()
        path.write_bytes(b"\xef\xbb\xbf" + CHAPTERS_PATH.read_bytes())
        contract = get_data_contract_specs(self.directory)[CONTRACT]
        path.unlink()
        self.assertEqual((contract.spec, contract.path), (chapters_spec(), Path(f"met/{CONTRACT}.json")))
        self.assertEqual(contract.find_line(("schema", "table_name")), 16)
        self.assertEqual(contract.find_line(("schema", "table_type")), 11)

    def test_the_lines_of_a_contract_of_four_thousand_columns_are_found_in_a_moment(self) -> None:
        """Took half a minute, as the text was read again for each key."""
        spec: Any = chapters_spec()
        spec["schema"]["properties"] = {f"c{number}": {"constraints": {"data_type": "text"}} for number in range(4000)}
        text = json.dumps(spec, indent=1)
        started = time.process_time()
        lines = Contract(spec, Path("a.json"), text).lines
        self.assertLess(time.process_time() - started, 5)
        self.assertEqual(text.splitlines()[lines["schema", "properties", "c3999"] - 1].strip(), '"c3999": {')

    def test_every_problem_of_every_file_is_reported_at_once(self) -> None:
        text = json.dumps(chapters_spec(), indent=2)
        misspelt = text.replace('"is_nullable"', '"is_nulable"', 1).replace('"email"', '"mail"')
        self.assertEqual(
            self.problems_of('{"name": ', misspelt, b'"\xff"', "[]"),
            [
                "t0_contract_spec.json:1: is not valid JSON: Expecting value, column 10",
                't1_contract_spec.json:7: $.owner: "email" is a required property',
                't1_contract_spec.json:9: $.owner.mail: unknown key "mail"; did you mean "email"?',
                "t1_contract_spec.json:27: $.schema.properties.object_id.constraints.is_nulable: "
                'unknown key "is_nulable"; did you mean "is_nullable"?',
                "t2_contract_spec.json: is not UTF-8 text: 'utf-8' codec can't decode byte 0xff in position 1: "
                "invalid start byte",
                't3_contract_spec.json:1: $: [] is not of type "object"',
            ],
        )

    def test_contracts_of_which_none_binds_today_are_an_error(self) -> None:
        changes: dict[str, Any] = {
            "a": {"status": "draft"},
            "b": {"status": "deprecated", "sunset": "2027-01-31"},
            "c": {"status": "retired"},
            "d": {},
        }
        contracts = {name: Contract(chapters_spec() | change, Path(name), "") for name, change in changes.items()}
        binding = {"d": contracts.pop("d")}
        ensure_a_contract_binds(contracts, datetime.date(2027, 1, 31))
        ensure_a_contract_binds(contracts | binding, datetime.date(2027, 2, 1))
        with self.assertRaises(NoBindingContractError) as caught:
            ensure_a_contract_binds(contracts, datetime.date(2027, 2, 1))
        self.assertEqual(
            str(caught.exception),
            "no contract is enforced, so nothing can fail the check:\n  a: draft\n  b: past its sunset, 2027-01-31\n"
            '  c: retired\nTo check one, set its "status" to "active", or its "sunset" to a later day.',
        )

    @unittest.skipUnless(SHARED_DIRECTORY.exists(), "the chapter's own files are not beside this repository")
    def test_the_contract_equals_the_chapters_file_byte_for_byte(self) -> None:
        chapters = SHARED_DIRECTORY / "chapter" / f"{CONTRACT}.json"
        self.assertEqual(CHAPTERS_PATH.read_bytes(), chapters.read_bytes())


class TestBrokenContract(ProjectTestCase):
    def test_the_contract_tests_end_in_error_and_compare_nothing(self) -> None:
        path = self.project / "data_contract_components/contract_definition/broken_contract_spec.json"
        path.write_text("{}")
        output = run(["unittest", CONTRACT_TESTS, "-v"], self.project).stdout
        self.assertIn(f'{path}:1: $.spec-version: expected "1.0.0", "1.1.0" or "1.2.0"; it is missing', output)
        self.assertIn("FAILED (errors=2)", output)
        self.assertNotIn("... ok", output)
