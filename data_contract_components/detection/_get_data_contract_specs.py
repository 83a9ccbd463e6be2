"""Step 3 of the flow: the contract files of a directory, read and found to be contracts."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from data_contract_components.contract_definition._json_text import find_json_lines
from data_contract_components.contract_definition.contract_spec import (
    ContractSpec,
    JsonPath,
    SpecProblem,
    find_spec_problems,
)
from data_contract_components.errors import InvalidContractSpecError

CONTRACT_DIRECTORY = Path(__file__).resolve().parents[1] / "contract_definition"
NAME_ENDING = "_contract_spec"


def get_data_contract_specs(contract_directory: Path | str = CONTRACT_DIRECTORY) -> dict[str, ContractSpec]:
    """The contracts in `contract_directory`, by file name without its ending, in the order of the names.

    Every JSON file there is a contract; so that none goes unchecked for its name, another name is a problem.
    Raises: InvalidContractSpecError with every problem of every file, also when there is no contract at all.
    """
    paths = sorted(Path(contract_directory).glob("*.json"), key=lambda path: path.stem)
    if not paths:
        message = f"holds no contract (*{NAME_ENDING}.json)"
        raise InvalidContractSpecError([SpecProblem(Path(contract_directory), 1, "$", message)])
    problems: list[SpecProblem] = []
    specs: dict[Path, ContractSpec] = {}
    for path in paths:
        spec, problems_of_file = _read_spec(path)
        problems += problems_of_file
        if not problems_of_file:
            specs[path] = spec
    problems += _find_problems_between(specs)
    if not problems and all(spec.get("status") == "retired" for spec in specs.values()):
        problems.append(SpecProblem(Path(contract_directory), 1, "$", "holds retired contracts only: none is checked"))
    if problems:
        raise InvalidContractSpecError(problems)
    return {path.stem: spec for path, spec in specs.items()}


def get_table_key(spec: ContractSpec) -> dict[str, str]:
    """The table under contract: a dict with the keys `table_catalog`, `table_schema` and `table_name`."""
    schema = spec["schema"]
    return {
        "table_catalog": schema["table_catalog"],
        "table_schema": schema["table_schema"],
        "table_name": schema["table_name"],
    }


def get_tables(specs: dict[str, ContractSpec]) -> set[tuple[str, str]]:
    """Schema and name of each table under contract."""
    return {(spec["schema"]["table_schema"], spec["schema"]["table_name"]) for spec in specs.values()}


def _read_spec(path: Path) -> tuple[Any, list[SpecProblem]]:
    """The file's content, and everything that is wrong with it."""
    if not path.stem.endswith(NAME_ENDING):
        return None, [SpecProblem(path, 1, "$", f"the name of a contract file ends in {NAME_ENDING}.json")]
    oddities: list[str] = []

    def refuse_constant(name: str) -> None:
        oddities.append(f"{name} is no JSON")

    def read_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = dict(pairs)
        if len(keys) < len(pairs):
            oddities.append("")
        return keys

    try:
        text = path.read_text(encoding="utf-8-sig")
        spec = json.loads(text, object_pairs_hook=read_object, parse_constant=refuse_constant)
        if "\\ud" in text.lower():
            json.dumps(spec, ensure_ascii=False).encode()  # half a surrogate pair can be escaped, and is no character
        spec_problems = find_spec_problems(spec)
    except json.JSONDecodeError as error:
        return None, [SpecProblem(path, error.lineno, "$", f"is no JSON: {error.msg}, column {error.colno}")]
    except UnicodeError as error:
        return None, [SpecProblem(path, 1, "$", f"is no UTF-8 text: {error}")]
    except RecursionError:
        return None, [SpecProblem(path, 1, "$", "is nested too deeply for a contract")]
    except (OSError, ValueError) as error:
        return None, [SpecProblem(path, 1, "$", f"cannot be read: {error}")]
    if not spec_problems and not oddities:
        return spec, []
    places = list(find_json_lines(text))
    spec_problems += [((), oddity) for oddity in oddities if oddity]
    spec_problems += _find_duplicate_keys(json_path for json_path, _ in places)
    lines = dict(places)
    return None, [_locate(path, lines, *problem) for problem in spec_problems]


def _find_duplicate_keys(json_paths: Iterable[JsonPath]) -> list[tuple[JsonPath, str]]:
    seen: set[JsonPath] = set()
    duplicates: list[tuple[JsonPath, str]] = []
    for json_path in json_paths:
        if json_path in seen:
            duplicates.append((json_path, f'the key "{json_path[-1]}" is there twice'))
        seen.add(json_path)
    return duplicates


def _find_problems_between(specs: dict[Path, ContractSpec]) -> list[SpecProblem]:
    """What is wrong with contracts that are each right by themselves."""
    problems: list[tuple[Path, JsonPath, str]] = []
    identities: dict[tuple[str, str], Path] = {}
    tables: dict[tuple[str, str, str], Path] = {}
    for path, spec in specs.items():
        first = identities.setdefault((spec["namespace"], spec["name"]), path)
        if first != path:
            problems.append((path, ("name",), f"{first.name} has this name in this namespace, too"))
        schema = spec["schema"]
        if spec.get("status", "active") == "active":
            table = (schema["table_catalog"], schema["table_schema"], schema["table_name"])
            first = tables.setdefault(table, path)
            if first != path:
                problems.append((path, ("schema", "table_name"), f"{first.name} is an active contract of it, too"))
    for path, spec in specs.items():
        replacement = spec.get("replacedBy")
        if replacement is not None and (spec["namespace"], replacement) not in identities:
            message = f'no contract in namespace "{spec["namespace"]}" has the name "{replacement}"'
            problems.append((path, ("replacedBy",), message))
    return [
        _locate(path, dict(find_json_lines(path.read_text(encoding="utf-8-sig"))), json_path, message)
        for path, json_path, message in problems
    ]


def _locate(path: Path, lines: dict[JsonPath, int], json_path: JsonPath, message: str) -> SpecProblem:
    # A key that is missing has no line; the object that lacks it has one.
    line = next(lines[json_path[:end]] for end in range(len(json_path), -1, -1) if json_path[:end] in lines)
    return SpecProblem(path, line, render_json_path(json_path), message)


def render_json_path(json_path: JsonPath) -> str:
    return "$" + "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in json_path)
