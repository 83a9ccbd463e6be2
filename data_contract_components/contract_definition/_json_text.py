"""JSON for people: on which line of a file a value stands, and how a value is written in a message."""

import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

from data_contract_components.escaping import cut

# Of each value in a difference, and of what two long ones have in common before it.
VALUE_CHARACTERS = 60
COMMON_CHARACTERS = 20
# A string, a bracket or a comma, a line's end, or a number or word; colons and blanks are skipped.
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


def render_json_path(json_path: tuple[str | int, ...]) -> str:
    return "$" + "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in json_path)


def render_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def render_value(value: Any) -> str:
    """A value as a contract has it, a string without quotes and 32.0 as 32."""
    if isinstance(value, str):
        return value
    return render_json(int(value) if isinstance(value, float) and value.is_integer() else value)


def render_difference(before: Any, after: Any) -> str:
    """What changed in a value: of lists, which items are new or gone; of long values, the part where they differ."""
    if before is None or after is None:
        return f"is new: {_render_short(after)}" if before is None else f"is gone: {_render_short(before)}"
    if isinstance(before, list) and isinstance(after, list):
        new, gone = ([item for item in of if item not in other] for of, other in ((after, before), (before, after)))
        words = [f"has new {_render_short(new)}"] if new else []
        words += [f"no longer has {_render_short(gone)}"] if gone else []
        before, after = [item for item in before if item in after], [item for item in after if item in before]
        order = f"has another order, {render_difference(_render_plain(before), _render_plain(after))}"
        return "; ".join([*words, order] if before != after else words)
    texts = [_render_plain(before), _render_plain(after)]
    same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(*texts, strict=False))
    common = sum(1 for _ in same) - COMMON_CHARACTERS
    if common > 0 and max(map(len, texts)) > VALUE_CHARACTERS:
        texts = [f"…{text[common:]}" for text in texts]
    return f"was {_render_short(texts[0])}, is {_render_short(texts[1])}"


def _render_plain(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_render_plain, value))
    if isinstance(value, dict):
        return ".".join(map(_render_plain, value.values()))
    return " ".join(render_value(value).split())


def _render_short(value: Any) -> str:
    return cut(_render_plain(value), VALUE_CHARACTERS)
