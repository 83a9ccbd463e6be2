"""Where in a JSON text a value stands: Python's own decoder tells it of mistakes only."""

import json
import re
from collections.abc import Iterator

BLANKS = re.compile(r"[ \t\n\r]*")
DECODER = json.JSONDecoder()


def find_json_lines(text: str) -> Iterator[tuple[tuple[str | int, ...], int]]:
    """The path of each value in `text`, which is JSON, and the line on which it (its key, in an object) begins.

    In the text's order; a path comes twice when its key does.
    """
    yield (), 1
    yield from _find_lines(text, _skip_blanks(text, 0), ())


def _find_lines(text: str, position: int, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], int]]:
    """The lines of all that is inside the value at `position`."""
    if text[position] not in "{[":
        return
    closing = "}" if text[position] == "{" else "]"
    index = 0
    position = _skip_blanks(text, position + 1)
    while text[position] != closing:
        key: str | int = index
        line = text.count("\n", 0, position) + 1
        if closing == "}":
            key, position = DECODER.raw_decode(text, position)
            position = _skip_blanks(text, _skip_blanks(text, position) + 1)
        yield (*path, key), line
        yield from _find_lines(text, position, (*path, key))
        _, position = DECODER.raw_decode(text, position)
        position = _skip_blanks(text, position)
        if text[position] == ",":
            position = _skip_blanks(text, position + 1)
        index += 1


def _skip_blanks(text: str, position: int) -> int:
    match = BLANKS.match(text, position)
    return match.end() if match else position
