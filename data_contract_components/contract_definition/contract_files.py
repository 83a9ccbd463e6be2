"""Step 3 of the flow: the contract files of a directory, each read once and checked to be a contract."""

import json
import math
import os
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from data_contract_components.contract_definition._json_text import find_json_lines
from data_contract_components.contract_definition.consumer_queries import read_queries
from data_contract_components.contract_definition.contract_spec import NO_CONTRACT, Contract, JsonPath, TableName
from data_contract_components.contract_definition.spec_problems import (
    InvalidContractSpecError,
    SpecProblem,
    find_spec_problems,
    locate_problem,
)
from data_contract_components.contract_definition.waivers import find_waiver_problems
from data_contract_components.settings import get_settings

NAME_ENDING = "_contract_spec.json"
# The name of a file that can be mistaken for a contract.
CONTRACT_LIKE = re.compile(r"contract[\W_]*spec|\.(json|ya?ml)", re.IGNORECASE)


def get_data_contract_specs(
    contract_directory: Path | str | None = None, root_directory: Path | None = None, *, may_be_none: bool = False
) -> dict[str, Contract]:
    """The contracts in `contract_directory` and its folders, by file stem, ordered by it; without one, the project's.

    Their paths are relative to `root_directory` (default: the contracts' directory; the project's are as git names
    them). A file that only looks like a contract is a problem, so that none stays unchecked because of its name or
    place.
    Raises: InvalidContractSpecError with every problem of every file; also where there is no contract, unless
    `may_be_none`.
    """
    if contract_directory is None:
        settings = get_settings()
        contract_directory, root_directory = settings.contracts, settings.git_directory
    directory = Path(contract_directory)
    root = root_directory or directory
    paths, problems = _find_files(directory, root)
    if not (paths or problems or may_be_none):
        what = NO_CONTRACT if directory.exists() else f"does not exist, so it {NO_CONTRACT}"
        problems.append(SpecProblem(directory, None, None, f"{what} (*{NAME_ENDING})"))
    contracts: list[Contract] = []
    for path in paths:
        contract, problems_of_file = read_contract(root, path)
        problems += problems_of_file
        if contract is not None:
            contracts.append(contract)
    problems += find_problems_between(root, contracts)
    if problems:
        raise InvalidContractSpecError(problems)
    return {contract.path.stem: contract for contract in contracts}


def _find_files(directory: Path, root: Path) -> tuple[list[Path], list[SpecProblem]]:
    """The contract files below `directory`, from `root` on, ordered by name; a problem for each that only looks so."""
    paths: list[Path] = []
    problems: list[SpecProblem] = []

    def refuse(path: Path, message: str) -> None:
        problems.append(SpecProblem(path, None, None, message))

    def refuse_folder(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            refuse(Path(error.filename), f"cannot be read: {error.strerror}")

    for folder, folder_names, names in os.walk(directory, onerror=refuse_folder):
        for name in folder_names:
            path = Path(folder, name)
            if path.is_symlink():
                refuse(path, "is a link to a folder, and links are not followed: put the folder itself here")
            elif name.lower().endswith(".json"):
                refuse(path, "is a folder with the name of a file: rename it")
        folder_names[:] = [name for name in folder_names if name not in ("__pycache__", ".ipynb_checkpoints")]
        for name in names:
            path = Path(folder, name)
            if name.endswith(NAME_ENDING) and not name.startswith("."):
                paths.append(path.relative_to(root))
            elif (CONTRACT_LIKE.search(name) or _has_version(path)) and not _is_known(path, directory):
                refuse(path, f"is not read as a contract: rename it to …{NAME_ENDING}, move it elsewhere or delete it")
    return sorted(paths, key=lambda path: (path.stem, path)), sorted(problems, key=lambda problem: problem.path)


def _has_version(path: Path) -> bool:
    """Whether the file, of any name, has the key that each contract has."""
    try:
        return path.is_file() and b'"spec-version"' in path.read_bytes()
    except OSError:
        return False


def _is_known(path: Path, directory: Path) -> bool:
    """Whether this is a JSON Schema, a Python module, or a helper file of an editor or the operating system."""
    if path.parent == directory / "schema" and path.name.endswith(".schema.json"):
        return True
    if path.name.startswith("."):
        # A swap file, macOS's ._x, or Emacs's .#x, a link to nowhere. A hidden contract begins as JSON does.
        try:
            return not path.is_file() or b"{" not in path.read_bytes()[:64]
        except OSError:
            return False
    return path.suffix == ".py" and path.stem.isidentifier()


def read_contract(
    directory: Path, path: Path, repository: Path | None = None
) -> tuple[Contract | None, list[SpecProblem]]:
    """The contract in the file `path` below `directory`, or everything that is wrong with it.

    It names no files outside of `repository`, by default `directory`.
    """
    mistakes: list[str] = []

    def refuse_constant(name: str) -> str:
        mistakes.append(f"{name} is not a JSON value")
        return name

    def read_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = dict(pairs)
        if len(keys) < len(pairs):
            mistakes.append("")
        return keys

    def read_float(number: str) -> float | str:
        # As text where it would be infinity.
        return float(number) if math.isfinite(float(number)) else number

    file = directory / path
    try:
        if not file.is_file():
            return None, [SpecProblem(file, None, None, "is not a file, or a link to nowhere: delete it")]
        text = file.read_text(encoding="utf-8-sig")
        spec = json.loads(text, object_pairs_hook=read_object, parse_constant=refuse_constant, parse_float=read_float)
        if "\\ud" in text.lower():
            json.dumps(spec, ensure_ascii=False).encode()  # half a surrogate pair can be escaped, and is no character
        problems = find_spec_problems(spec) or find_waiver_problems(spec)
    except json.JSONDecodeError as error:
        return None, [SpecProblem(file, error.lineno, None, f"is not valid JSON: {error.msg}, column {error.colno}")]
    except UnicodeError as error:
        return None, [SpecProblem(file, None, None, f"is not UTF-8 text: {error}")]
    except RecursionError:
        return None, [SpecProblem(file, None, None, "is nested too deeply for a contract")]
    except (OSError, ValueError) as error:
        return None, [SpecProblem(file, None, None, f"cannot be read: {getattr(error, 'strerror', None) or error}")]
    contract = Contract(spec, path, text)
    if mistakes:
        problems += _find_duplicate_keys(json_path for json_path, _ in find_json_lines(text))
    all_problems = [SpecProblem(file, None, None, mistake) for mistake in mistakes if mistake]
    all_problems += [locate_problem(directory, contract, *problem) for problem in problems]
    if not all_problems:
        queries, all_problems = read_queries(directory, contract, repository or directory)
        contract = replace(contract, queries=queries)
    return None if all_problems else contract, all_problems


def _find_duplicate_keys(json_paths: Iterable[JsonPath]) -> list[tuple[JsonPath, str]]:
    seen: set[JsonPath] = set()
    duplicates: list[tuple[JsonPath, str]] = []
    for json_path in json_paths:
        if json_path in seen:
            duplicates.append((json_path, f'the key "{json_path[-1]}" is there twice'))
        seen.add(json_path)
    return duplicates


def find_problems_between(directory: Path, contracts: Iterable[Contract]) -> list[SpecProblem]:
    """Where contracts of `directory`, each valid alone, contradict each other."""
    problems: list[SpecProblem] = []
    first: dict[tuple[str, ...], Path] = {}
    # Of the contracts that are active, the first of each database (None: of whichever is checked), by table.
    active: dict[TableName, dict[str | None, Path]] = {}
    for contract in contracts:
        spec, path = contract.spec, contract.path
        if (other := first.setdefault(("file", path.stem), path)) != path:
            message = f"{other} has the same file name: rename one of them"
            problems.append(SpecProblem(directory / path, None, None, message))
        if (other := first.setdefault(("name", spec["namespace"], spec["name"]), path)) != path:
            message = f"{other}, another contract in this namespace, has the same name"
            problems.append(locate_problem(directory, contract, ("name",), message))
        if spec.get("status", "active") != "active":
            continue
        database, others = spec["schema"].get("table_catalog"), active.setdefault(contract.table, {})
        if clashes := [other for name, other in others.items() if database is None or name in (database, None)]:
            message = f"{clashes[0]} is an active contract of this table, too"
            problems.append(locate_problem(directory, contract, ("schema", "table_name"), message))
        others.setdefault(database, path)
    for contract in contracts:
        namespace, replacement = contract.spec["namespace"], contract.spec.get("replacedBy")
        if replacement is not None and ("name", namespace, replacement) not in first:
            message = f'no contract in namespace "{namespace}" has the name "{replacement}"'
            problems.append(locate_problem(directory, contract, ("replacedBy",), message))
    return problems
