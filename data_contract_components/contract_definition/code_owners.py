"""The lines of CODEOWNERS by which GitHub asks the owner of a contract to approve its changes.

python -m data_contract_components.contract_definition.code_owners
"""

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from data_contract_components.command import command
from data_contract_components.contract_definition.contract_files import get_data_contract_specs
from data_contract_components.contract_definition.contract_spec import Contract
from data_contract_components.contract_definition.spec_problems import SpecProblem, locate_problem
from data_contract_components.errors import DataContractError
from data_contract_components.escaping import CONTROLS
from data_contract_components.settings import get_settings

COMMAND = "python -m data_contract_components.contract_definition.code_owners"
# GitHub reads the first of these that exists, and there the last line that matches counts.
LOCATIONS = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS")
BEGIN, END = f"# BEGIN data contracts, written by {COMMAND}", "# END data contracts"
# GitHub Docs, "About code owners": a "#" cannot be escaped there.
INEXPRESSIBLE = re.compile(rf"[\\#]|(?! )\s|{CONTROLS.pattern}")
# GitHub skips a line with a bracket that no backslash escapes.
UNESCAPED_BRACKET = re.compile(r"(?:\\.|[^\\\[\]])*[\[\]]")
# In place of a blank in a name, as the package puts slashes there, which its "*" does not match.
BLANK = "\ue000"


def find_code_owner_problems(contracts: Mapping[str, Contract], directory: Path | None = None) -> list[SpecProblem]:
    """The contracts whose changes others than owner.github approve, or nobody; and lines of contracts that are gone.

    `directory` is the repository's root (default: the project's), to which the contracts' paths are relative.
    Shape: ordered by contract, then by line. Raises: OSError.
    """
    directory = directory or get_settings().git_directory
    path, lines = _read(directory)
    start, end, problems = _find_block(path, lines)
    owned = find_owned_contracts(contracts)
    names = [contract.path.as_posix() for contract in owned]
    for contract, name, (found, number) in zip(owned, names, _match(lines, names), strict=True):
        owner = contract.spec["owner"]["github"]
        if {one.lower() for one in found} == {owner.lower()}:
            continue
        way_out = f"run {COMMAND}"
        if special := INEXPRESSIBLE.search(name):
            way_out = f"rename it, as CODEOWNERS has no way to write {special[0]!a}"
        elif number and number > end:
            way_out = f"move this line above line {start + 1}, and {way_out}"
        if number:
            who = " or ".join(found) or "nobody"
            message = f"changes of {name} are approved by {who}, not by {owner} alone: {way_out}"
            problems.append(SpecProblem(path, number, None, message))
        else:
            message = f"{owner} is not asked, as no line of CODEOWNERS names this file: {way_out}"
            problems.append(locate_problem(directory, contract, ("owner", "github"), message))
    for number, text in enumerate(lines[start + 1 : end - 1], start + 2):
        if re.match(r"\s*[^\s#]", text) and not any(line for _, line in _match([text], names)):
            message = f'"{text.strip()}" is the line of no contract that has owner.github: run {COMMAND}'
            problems.append(SpecProblem(path, number, None, message))
    return problems


def write_code_owners(contracts: Mapping[str, Contract], directory: Path) -> None:
    """The contracts' lines are between the markers, and all else in the file is as it was. A new block comes last.

    Raises: DataContractError where the markers are not a pair, OSError.
    """
    path, lines = _read(directory)
    start, end, problems = _find_block(path, lines)
    if problems:
        raise DataContractError(f"{problems[0]}; nothing was written")
    line_end = "\r\n" if any(line.endswith("\r\n") for line in lines) else "\n"
    rules = [
        "/" + re.sub(r"[ *?[\]]", r"\\\g<0>", name) + " " + contract.spec["owner"]["github"]
        for contract in find_owned_contracts(contracts)
        if not INEXPRESSIBLE.search(name := contract.path.as_posix())
    ]
    head = "".join(lines[:start])
    if rules and head and not head.endswith("\n"):
        head += line_end
    block = line_end.join([BEGIN, *rules, END, ""]) if rules else ""
    before, after = "".join(lines), head + block + "".join(lines[end:])
    if after and after != before:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(after.encode("utf-8", "surrogateescape"))
    elif before and not after:
        path.unlink()  # as GitHub would read an empty file in place of another


def _read(directory: Path) -> tuple[Path, list[str]]:
    """The file that GitHub reads, or is to read, and its lines, from which each byte can be restored."""
    path = next((path for name in LOCATIONS if (path := directory / name).is_file()), directory / LOCATIONS[0])
    text = path.read_bytes().decode("utf-8", "surrogateescape") if path.exists() else ""
    return path, text.splitlines(keepends=True)


def _find_block(path: Path, lines: list[str]) -> tuple[int, int, list[SpecProblem]]:
    """Start and end of the block, and what is wrong with its markers; without a pair, an empty block at the end."""
    marks = [(number, line.strip()) for number, line in enumerate(lines) if line.strip() in (BEGIN, END)]
    if [mark for _, mark in marks] == [BEGIN, END]:
        return marks[0][0], marks[1][0] + 1, []
    found = ", ".join(str(number + 1) for number, _ in marks)
    message = f'expected one line "{BEGIN}", and below it one "{END}"; found line {found}'
    problems = [SpecProblem(path, marks[-1][0] + 1, None, message)] if marks else []
    return len(lines), len(lines), problems


def _match(lines: Sequence[str], names: Sequence[str]) -> list[tuple[list[str], int | None]]:
    """The owners of each file, and the line that says so, as GitHub reads the lines."""
    if not names:
        return []
    # Here, as contracts without owner.github do not need the package.
    from codeowners import CodeOwners

    # Unlike the package, GitHub also ends a line where a comment begins.
    texts = [re.sub(r"\s#.*", "", line.replace("\\ ", BLANK)).rstrip() for line in lines]
    rules = CodeOwners("\n".join("" if UNESCAPED_BRACKET.match(text) else text for text in texts))
    matches = (rules.matching_line(name.replace(" ", BLANK)) for name in names)
    return [([owner for _, owner in owners], number) for owners, number, *_ in matches]


def find_owned_contracts(contracts: Mapping[str, Contract]) -> list[Contract]:
    """The contracts that have owner.github, ordered by path; also retired ones, which a change can revive."""
    owned = (contract for contract in contracts.values() if "github" in contract.spec["owner"])
    return sorted(owned, key=lambda contract: contract.path.as_posix())


@command("CODEOWNERS may be written")
def main(arguments: list[str] | None = None) -> int:
    """0: the owners of the contracts approve their changes; 1: not all do; 2: nothing could be written or checked."""
    parser = argparse.ArgumentParser(prog=COMMAND, description="Write the lines of CODEOWNERS that contracts ask for.")
    parser.add_argument("--check", action="store_true", help="write nothing, and only look for problems")
    is_check = parser.parse_args(arguments).check
    directory, contracts = get_settings().git_directory, get_data_contract_specs()
    if not is_check:
        write_code_owners(contracts, directory)
    problems, count = find_code_owner_problems(contracts, directory), len(find_owned_contracts(contracts))
    name = _read(directory)[0].relative_to(directory).as_posix()
    summary = f"{name} asks the owners of {count} of {len(contracts)} contracts for approval"
    print("\n".join(map(str, problems)) or (summary if count else "no contract has owner.github"))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
