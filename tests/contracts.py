"""The chapter's contract, and directories of contracts that are made from it."""

import copy
import json
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from data_contract_components.contract_definition.spec_problems import InvalidContractSpecError
from data_contract_components.detection._get_data_contract_specs import get_data_contract_specs
from tests import CONTRACTS, MUSEUM

CHAPTERS_PATH = MUSEUM / CONTRACTS / "object_images_contract_spec.json"


def chapters_spec(**changes: Any) -> dict[str, Any]:
    """A copy of the chapter's contract with other values."""
    spec: dict[str, Any] = json.loads(CHAPTERS_PATH.read_text())
    return spec | copy.deepcopy(changes)


def chapters_head(**changes: Any) -> dict[str, Any]:
    """The same without a schema."""
    spec = chapters_spec(**changes)
    del spec["schema"]
    return spec


class ContractsTestCase(unittest.TestCase):
    """Each test has a directory of contracts, which is empty at first."""

    maxDiff = None

    def setUp(self) -> None:
        super().setUp()
        self.directory = Path(self.enterContext(TemporaryDirectory()))

    def write(self, name: str, content: dict[str, Any] | str | bytes) -> Path:
        path = self.directory / f"{name}_contract_spec.json"
        text = json.dumps(content, indent=2) if isinstance(content, dict) else content
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def problems(self) -> list[str]:
        """What is wrong with the contracts."""
        with self.assertRaises(InvalidContractSpecError) as caught:
            get_data_contract_specs(self.directory)
        return [str(problem).removeprefix(f"{self.directory}/") for problem in caught.exception.problems]
