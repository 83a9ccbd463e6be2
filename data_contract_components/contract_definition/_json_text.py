"""JSON as people meet it: on which line of a file a value stands, and how a value is written in a message."""

import json
import re
from collections.abc import Iterator
from typing import Any

# A string, a bracket or a comma, a line's end, or a number or word; colons and blanks tell nothing.
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],\n]|[^\s{}\[\],:"]+')


def find_json_lines(text: str) -> Iterator[tuple[tuple[str | int, ...], int]]:
    """The path of each value in `text`, which is valid JSON, and the line on which it (its key, in an object) begins.

    In the text's order; a path comes twice when its key does. (Python's own decoder gives the lines of mistakes only.)
    """
    yield (), 1
    line = 1
    # Where the token stands: of each open array the index, of each open object the key, None before there is one.
    path: list[str | int | None] = []
    for token in TOKEN.findall(text):
        place = path[-1] if path else ""
        if token == "\n":
            line += 1
        elif token == ",":
            path[-1] = place + 1 if isinstance(place, int) else None
        elif token in "]}":
            path.pop()
        else:
            if place is None:
                path[-1] = json.loads(token)
            if place is None or isinstance(place, int):
                yield tuple(path), line  # type: ignore[arg-type]
            if token in "[{":
                path.append(0 if token == "[" else None)


def render_value(value: Any) -> str:
    """A value as a contract has it, words without quotes and 32.0 as 32."""
    if isinstance(value, str):
        return value
    return json.dumps(int(value) if isinstance(value, float) and value.is_integer() else value, ensure_ascii=False)
