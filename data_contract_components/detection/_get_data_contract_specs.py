"""Step 3 of the flow: the contract files of a directory, read and found to be contracts."""

import json
from pathlib import Path

from data_contract_components.contract_definition.contract_spec import ContractSpec, SpecProblem, find_spec_problems
from data_contract_components.errors import InvalidContractSpecError

CONTRACT_DIRECTORY = Path(__file__).resolve().parents[1] / "contract_definition"
NAME_ENDING = "_contract_spec"


def get_data_contract_specs(contract_directory: Path | str) -> dict[str, ContractSpec]:
    """The contracts in `contract_directory`, by file name without its ending, in the order of the names.

    Every JSON file there is a contract; so that none goes unchecked for its name, another name is a problem.
    Raises: InvalidContractSpecError with every problem of every file, also when there is no contract at all.
    """
    specs: dict[str, ContractSpec] = {}
    problems: list[SpecProblem] = []
    paths = sorted(Path(contract_directory).glob("*.json"), key=lambda path: path.stem)
    if not paths:
        problems.append(SpecProblem(Path(contract_directory), "$", f"holds no contract (*{NAME_ENDING}.json)"))
    for path in paths:
        if not path.stem.endswith(NAME_ENDING):
            problems.append(SpecProblem(path, "$", f"the name of a contract file ends in {NAME_ENDING}.json"))
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
