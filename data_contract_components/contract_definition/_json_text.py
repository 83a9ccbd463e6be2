"""JSON as people meet it: on which line of a file a value stands, and how a value is written in a message."""

import json
import re
from collections.abc import Iterator
from typing import Any

BLANKS = re.compile(r"[ \t\n\r]*")
DECODER = json.JSONDecoder()


def find_json_lines(text: str) -> Iterator[tuple[tuple[str | int, ...], int]]:
    """The path of each value in `text`, which is JSON, and the line on which it (its key, in an object) begins.

    In the text's order; a path comes twice when its key does. (Python's own decoder tells the lines of mistakes only.)
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


def render_value(value: Any) -> str:
    """A value as a contract has it, words without quotes and 32.0 as 32."""
    if isinstance(value, str):
        return value
    return json.dumps(int(value) if isinstance(value, float) and value.is_integer() else value, ensure_ascii=False)
