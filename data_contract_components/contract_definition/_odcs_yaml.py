"""YAML, safely: values with the line of each, no tag, no alias, no second document; and text that is always the same."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from data_contract_components.contract_definition._json_text import render_json_path
from data_contract_components.contract_definition.contract_spec import JsonPath
from data_contract_components.contract_definition.spec_problems import SpecProblem

LARGEST_FILE = 5_000_000  # bytes
DEEPEST = 50
# YAML 1.2; version 1.1 also takes "yes", "012" and "1:30" for something else than text.
_WORDS = {"": None, "~": None, "null": None, "Null": None, "NULL": None} | {
    spelled: value for word, value in (("true", True), ("false", False)) for spelled in (word, word.title(), word.upper())
}
_NUMBER = re.compile(r"[-+]?(?:(0|[1-9][0-9]*)|(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?)")
_LITERAL = re.compile(r"(?:[!-~](?:[ -~]*[!-~])?)?(?:\n(?: *[!-~](?:[ -~]*[!-~])?)?)+")


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the other class has it
        return True


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, "|" if _LITERAL.fullmatch(text) else None)


_Dumper.add_representer(str, _represent_text)
# So that what only YAML 1.2 takes for a number is quoted as well.
_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(rf"(?:{_NUMBER.pattern}|0o[0-7]+)$"), [*"-+.0123456789"])


def render_yaml(value: Any) -> str:
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def read_yaml(path: Path) -> tuple[Any, dict[JsonPath, int], list[SpecProblem]]:
    """The content of a YAML file, the line of each value, and what is wrong: then the content is not to be used."""
    lines: dict[JsonPath, int] = {}
    problems: list[SpecProblem] = []

    def refuse(line: int | None, place: JsonPath | None, message: str) -> None:
        problems.append(SpecProblem(path, line, None if place is None else render_json_path(place), message))

    def build(event: Any, events: Iterator[Any], place: JsonPath) -> Any:
        line = lines[place] = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            return refuse(line, place, "is an alias, and those are not read: write the value itself")
        if event.tag is not None:
            refuse(line, place, f"has the tag {event.tag}, and tags are not read: write the value alone")
        if len(place) > DEEPEST:
            raise RecursionError
        if isinstance(event, yaml.ScalarEvent):
            return _read_word(event.value) if event.style is None else event.value
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[Any] = []
            while not isinstance(event := next(events), yaml.SequenceEndEvent):
                items.append(build(event, events, (*place, len(items))))
            return items
        keys: dict[str, Any] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent) or event.value == "<<":
                raise yaml.MarkedYAMLError(problem="a key is a text", problem_mark=event.start_mark)
            key = event.value
            if key in keys:
                refuse(event.start_mark.line + 1, (*place, key), f'the key "{key}" is there twice')
            keys[key] = build(next(events), events, (*place, key))
            lines[*place, key] = event.start_mark.line + 1
        return keys

    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            refuse(None, None, f"has more than {LARGEST_FILE:,} bytes")
            return None, lines, problems
        events = yaml.parse(content.decode("utf-8-sig"), Loader=yaml.SafeLoader)
        starts = (event for event in events if not isinstance(event, yaml.StreamStartEvent | yaml.DocumentStartEvent))
        value = build(next(starts), events, ())
        if not isinstance(next(events), yaml.DocumentEndEvent) or isinstance(event := next(events), yaml.DocumentStartEvent):
            refuse(event.start_mark.line + 1, None, "a second YAML document begins here: write it into a file of its own")
        return value, lines, problems
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        refuse(mark and mark.line + 1, None, f"is not valid YAML: {error.problem or error.context}")
    except RecursionError:
        refuse(None, None, "is nested too deeply for a contract")
    except (yaml.YAMLError, UnicodeError) as error:
        refuse(None, None, f"is not YAML text in UTF-8: {' '.join(str(error).split())}")
    except OSError as error:
        refuse(None, None, f"cannot be read: {error.strerror}")
    return None, lines, problems


def _read_word(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if number := _NUMBER.fullmatch(text):
        return int(text) if number[1] else float(text)
    return text
