"""The .sql files that a contract names: the consumers' queries, one statement per file, and the rows that they need."""

from collections.abc import Iterator
from pathlib import Path

from data_contract_components.contract_definition._sql_text import (
    READING_KINDS,
    WRITING_KINDS,
    Statement,
    find_statements,
)
from data_contract_components.contract_definition.contract_spec import (
    ConsumerQuery,
    Contract,
    JsonPath,
)
from data_contract_components.contract_definition.spec_problems import SpecProblem, locate_problem
from data_contract_components.escaping import cut

LARGEST_FILE = 1_000_000  # bytes
KINDS = {"reader": READING_KINDS, "writer": WRITING_KINDS}


class UnusableFileError(Exception):
    """A file that a contract names cannot be used, for the reason in the message."""


def read_queries(
    directory: Path, contract: Contract, repository: Path
) -> tuple[tuple[ConsumerQuery, ...], list[SpecProblem]]:
    """The queries of a contract below `directory`, and what is wrong with their files.

    Nothing outside of `repository` is read, also where a link points there.
    """
    queries: list[ConsumerQuery] = []
    problems: list[SpecProblem] = []

    def read(name: str, place: JsonPath) -> str | None:
        try:
            return _read_text(directory / contract.path.parent / name, name, repository)
        except UnusableFileError as error:
            problems.append(locate_problem(directory, contract, place, str(error)))
        return None

    for index, consumer in enumerate(contract.spec.get("consumers", [])):
        rows = None
        if "rows" in consumer and (rows := read(consumer["rows"], ("consumers", index, "rows"))) is not None:
            path = directory / contract.path.parent / consumer["rows"]
            problems += _find_problems(path, rows, find_statements(rows), WRITING_KINDS)
        for number, name in enumerate(consumer.get("queries", [])):
            place = ("consumers", index, "queries", number)
            path = contract.path.parent / name
            if (text := read(name, place)) is None:
                continue
            statements = find_statements(text)
            problems += _find_problems(directory / path, text, statements, KINDS[consumer["role"]], is_query=True)
            names = (consumer["name"], consumer["role"])
            queries += (ConsumerQuery(*names, place, name, path, text, first, rows) for first in statements[:1])
    return tuple(queries), problems


def _read_text(file: Path, path: str, repository: Path) -> str:
    """Raises: UnusableFileError, which names `path`."""
    try:
        if not file.resolve().is_relative_to(repository.resolve()):
            raise UnusableFileError(f"{path} is a link out of the repository")
        if not file.is_file():
            raise UnusableFileError(f"{path} is not a file" if file.exists() else f"there is no file {path}")
        with file.open("rb") as stream:
            content = stream.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            raise UnusableFileError(f"{path} has more than {LARGEST_FILE:,} bytes")
        text = content.decode("utf-8-sig")
    except UnicodeError as error:
        raise UnusableFileError(f"{path} is not UTF-8 text: {error}") from error
    except (OSError, ValueError, RuntimeError) as error:  # the last for a link to itself
        reason = getattr(error, "strerror", None) or error
        raise UnusableFileError(f"{path} cannot be read: {reason}") from error
    if "\0" in text:
        raise UnusableFileError(f"{path} has a NUL character, which PostgreSQL takes for its end")
    return text


def _find_problems(
    path: Path, text: str, statements: list[Statement], kinds: tuple[str, ...], *, is_query: bool = False
) -> Iterator[SpecProblem]:
    """Where the file does not have statements of these kinds, a query's exactly one."""
    *others, last = kinds
    what = f"{', '.join(others)} or {last}"
    if not statements:
        yield SpecProblem(path, 1, None, f"has no statement: write one, {what}")
    for statement in statements:
        line = find_line_and_column(text, statement.start)[0]
        if statement.kind not in kinds:
            yield SpecProblem(path, line, None, f"is {cut(statement.kind)}; expected {what}")
        elif is_query and statement is not statements[0]:
            yield SpecProblem(path, line, None, "has a second statement: give each a file of its own")
            return


def find_line_and_column(text: str, offset: int) -> tuple[int, int]:
    """Both from 1."""
    line_start = text.rfind("\n", 0, offset) + 1
    return text.count("\n", 0, offset) + 1, offset - line_start + 1
