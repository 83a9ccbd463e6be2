"""Step 3 of the flow: the contract files of a directory, read and found to be contracts."""

import json
from pathlib import Path

from data_contract_components.contract_definition.contract_spec import ContractSpec, SpecProblem, find_spec_problems
from data_contract_components.errors import InvalidContractSpecError

CONTRACT_DIRECTORY = Path(__file__).resolve().parents[1] / "contract_definition"
CONTRACT_FILES = "*_contract_spec.json"


def get_data_contract_specs(contract_directory: Path | str) -> dict[str, ContractSpec]:
    """The contracts in `contract_directory`, by file name without its ending, in the order of the names.

    Raises: InvalidContractSpecError with every problem of every file, also when there is no contract at all.
    """
    specs: dict[str, ContractSpec] = {}
    problems: list[SpecProblem] = []
    paths = sorted(Path(contract_directory).glob(CONTRACT_FILES), key=lambda path: path.stem)
    if not paths:
        problems.append(SpecProblem(Path(contract_directory), "$", f"holds no contract ({CONTRACT_FILES})"))
    for path in paths:
        try:
            spec = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            problems.append(SpecProblem(path, "$", f"is no JSON: {error}"))
        else:
            problems += find_spec_problems(path, spec)
            specs[path.stem] = spec
    if problems:
        raise InvalidContractSpecError(problems)
    return specs
