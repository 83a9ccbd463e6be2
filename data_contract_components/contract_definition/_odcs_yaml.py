"""YAML as the files of the Open Data Contract Standard are: read with the line of each value, and written."""

import math
import re
from pathlib import Path
from typing import Any

import yaml

from data_contract_components.contract_definition._json_text import render_json_path
from data_contract_components.contract_definition.contract_spec import JsonPath
from data_contract_components.contract_definition.spec_problems import SpecProblem

LARGEST_FILE = 5_000_000  # bytes
_TAG = "tag:yaml.org,2002:"
_TAGS = {_TAG + name for name in ("str", "int", "float", "bool", "null", "timestamp", "seq", "map")}
# Lines that every reader takes as they are.
_BLOCK = re.compile(r"[!-~](?:[ -~]*[!-~])?(?:\n[ -~]*[!-~])+")


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - its name is that of the other class
        return True


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = "|" if _BLOCK.fullmatch(text) else None if text.isprintable() else '"'
    return dumper.represent_scalar(f"{_TAG}str", text, style)


_Dumper.add_representer(str, _represent_text)
# What only YAML 1.2 takes for a number is to be quoted, too.
_Dumper.add_implicit_resolver(
    f"{_TAG}float", re.compile(r"[-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?$|0o[0-7]+$"), [*"-+.0123456789"]
)


def render_yaml(value: Any) -> str:
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def read_yaml(path: Path) -> tuple[Any, dict[JsonPath, int], list[SpecProblem]]:
    """The content of a file, the line of each value, and what is wrong: then the content is not to be used.

    Raises: OSError.
    """
    lines: dict[JsonPath, int] = {}
    problems: list[SpecProblem] = []
    seen: set[int] = set()
    scalars = yaml.constructor.SafeConstructor()

    def refuse(line: int | None, place: JsonPath | None, message: str) -> None:
        problems.append(SpecProblem(path, line, None if place is None else render_json_path(place), message))

    def build(node: yaml.Node, place: JsonPath) -> Any:
        line = lines[place] = lines.get(place, node.start_mark.line + 1)
        if id(node) in seen:
            return refuse(line, place, "is an alias, and those are not read: write the value itself")
        seen.add(id(node))
        if node.tag not in _TAGS:
            return refuse(line, place, f"has the tag {node.tag}, and those are not read: write the value alone")
        if isinstance(node, yaml.SequenceNode):
            return [build(item, (*place, index)) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            try:
                value = node.value if node.tag == f"{_TAG}timestamp" else scalars.construct_object(node)
            except (LookupError, ValueError):
                return refuse(line, place, "is not of the type that its tag names")
            return node.value if isinstance(value, float) and not math.isfinite(value) else value
        keys: dict[str, Any] = {}
        for key_node, item in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else ""
            lines.setdefault((*place, key), line := key_node.start_mark.line + 1)
            if key in keys:
                refuse(line, (*place, key), "is there twice")
            if key_node.tag not in _TAGS or not isinstance(key_node, yaml.ScalarNode):
                refuse(line, (*place, key), "is no key: write a text")
            keys[key] = build(item, (*place, key))
        return keys

    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST_FILE + 1)
        if len(content) <= LARGEST_FILE:
            node = yaml.compose(content.decode("utf-8-sig"), Loader=yaml.SafeLoader)
            return node and build(node, ()), lines, problems
        refuse(None, None, f"has more than {LARGEST_FILE:,} bytes")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        words = " ".join(filter(None, (error.context, error.problem)))
        refuse(mark.line + 1 if mark else None, None, f"is not valid YAML: {words}")
    except UnicodeDecodeError as error:
        refuse(None, None, f"is not UTF-8 text: {error}")
    except (yaml.YAMLError, ValueError) as error:
        refuse(None, None, f"cannot be read: {' '.join(str(error).split())}")
    except RecursionError:
        refuse(None, None, "is nested too deeply for a contract")
    return None, lines, problems
