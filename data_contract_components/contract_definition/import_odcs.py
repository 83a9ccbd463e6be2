"""Reads a file of the Open Data Contract Standard (ODCS), and writes a contract for each of its tables."""

import argparse
import contextlib
import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from data_contract_components.command import command
from data_contract_components.contract_definition import contract_files, export_odcs, new_files
from data_contract_components.contract_definition._column_types import ALIASES, BOUNDS, parse_built_in_type
from data_contract_components.contract_definition._json_text import VALUE_CHARACTERS, render_json, render_json_path
from data_contract_components.contract_definition._odcs_yaml import read_yaml
from data_contract_components.contract_definition.contract_spec import Contract, JsonPath
from data_contract_components.contract_definition.spec_problems import (
    InvalidContractSpecError,
    SpecProblem,
    find_spec_problems,
    get_type_names,
)
from data_contract_components.contract_definition.waivers import find_waiver_problems
from data_contract_components.escaping import cut
from data_contract_components.settings import get_settings

NEWEST = "1.2.0"
STATUSES = ("draft", "active", "deprecated", "retired")
# The clause of a word that is true. A word that is false, as it is by default, promises nothing.
FLAGS = {"required": ("is_nullable", False), "unique": ("unique", True), "primaryKey": ("primaryKey", True)}
# Types to begin with, by the logical types that are not called like a type.
TYPES = {"string": "text", "number": "numeric", "timestamp": "timestamp with time zone", "array": "text[]"}
TYPES |= {"time": "time without time zone", "object": "jsonb", "map": "jsonb", "vector": "vector(1536)"}
TYPE_KEYS = {
    *("data_type", "interval_type", "udt_name", "domain_name", "collation_name", "physicalType", "enum", "fields"),
    *(key for keys in BOUNDS.values() for key in keys),
    "dimensions",
}
# Where the parts of a contract come from.
PLACES = {"owner": "team", "sunset": "slaProperties", "doc": "description", "dataAssetResourceName": "servers"}
PLACES |= {"namespace": "domain", "waivers": "customProperties"}
KINDS: dict[type, str] = {
    str: "a text",
    int: "a whole number",
    bool: "true or false",
    list: "a list",
    dict: "an object",
}


# What PostgreSQL prints of no type's name unless that is in double quotes.
_NO_NAME = re.compile("[A-Z<>]")


def _render(value: Any) -> str:
    return cut(render_json(value), VALUE_CHARACTERS)


class _Reader:
    """Makes contracts by the words of a document alone. `problems` are in it, `rest` is not said."""

    def __init__(self, document: Any, version: str) -> None:
        self.document, self.version = document, version
        self.problems: list[tuple[JsonPath, str]] = []
        self.rest: list[tuple[JsonPath, Any]] = []

    def get(self, node: Any, place: JsonPath, word: Any, kind: type) -> Any:
        """The value of the word in the node at `place`; an empty one where it is absent, null or of another kind."""
        value = node.get(word)
        if value is not None and type(value) is not kind:
            self.problems.append(((*place, word), f"expected {KINDS[kind]}; found {_render(value)}"))
        return value if type(value) is kind else kind()

    def get_objects(self, node: Any, place: JsonPath, word: str) -> list[Any]:
        values = dict(enumerate(self.get(node, place, word, list)))
        return [self.get(values, (*place, word), index, dict) for index in values]

    def get_name(self, node: Any, place: JsonPath) -> str:
        name, physical_name = (self.get(node, place, word, str) for word in ("name", "physicalName"))
        return str(physical_name or name)

    def keep(self, node: Any, place: JsonPath, *said: str) -> dict[str, Any]:
        """The x-odcs of what is made from a node: its words but those that are said, or that an export has added."""
        added = [item for word in ("customProperties", "quality") for item in self.get_objects(node, place, word)]
        added = [
            item
            for item in added
            if export_odcs.PREFIX in (item.get("property"), str(item.get("id")).partition("-")[0])
        ]
        words = {
            word: [item for item in value if item not in added] if isinstance(value, list) else value
            for word, value in node.items()
            if word not in said and (word != "name" or value != self.get_name(node, place))
        }
        words = {word: value for word, value in words.items() if value not in (None, [])}
        self.rest += [((*place, word), value) for word, value in words.items()]
        return {"x-odcs": words} if words else {}

    def make_spec(self, index: int) -> dict[str, Any]:
        document, words = self.document, ("schema", "servers", "slaProperties")
        tables, servers, items = (self.get_objects(document, (), word) for word in words)
        server: Any = next((server for server in servers if str(server.get("type")).startswith("postgres")), {})
        if servers and not server:
            self.problems.append((("servers",), "none is of the type postgres, and only that is checked here: add one"))
        schema = self._make_schema(tables[index], ("schema", index), str(server.get("schema") or "public"))
        name = schema["table_name"]
        database = str(server.get("database") or "postgres")
        host = f"{server.get('host') or 'localhost'}:{server.get('port') or 5432}"
        title, status = self.get(document, (), "name", str) or name, document.get("status")
        ends = [item.get("value") for item in items if item.get("property") == "endOfSupport"]
        if status == "deprecated" and not ends:
            rule = "write it into slaProperties, with property: endOfSupport"
            self.problems.append((("status",), f"the last day of what is deprecated is missing: {rule}"))
        spec = {
            "spec-version": self.version,
            "name": title if len(tables) == 1 else f"{title}-{name}",
            "namespace": self.get(document, (), "domain", str) or schema["table_schema"],
            "dataAssetResourceName": f"postgresql://{host}/{quote(database)}.{quote(name)}",
            "doc": self.get(document, (), "description", dict).get("purpose") or tables[index].get("description") or "",
            "owner": self._make_owner(),
            "status": status if status in STATUSES else "draft",
            **({"sunset": ends[0]} if ends else {}),
            "schema": schema,
        }
        said = [word for word, value in export_odcs.make_head(spec).items() if document.get(word) == value]
        return spec | self.keep(document, (), "apiVersion", "kind", "domain", "schema", *said)

    def _make_owner(self) -> dict[str, str]:
        # Up to version 3.0 of ODCS, the team is the list of its members.
        document, team = self.document, {"members": self.document.get("team")}
        team = team if isinstance(team["members"], list) else self.get(document, (), "team", dict)
        members, support = self.get_objects(team, ("team",), "members"), self.get_objects(document, (), "support")
        member = next((node for node in members if "owner" in str(node.get("role")).lower()), (members or [{}])[0])
        name = team.get("name") or member.get("name") or member.get("username")
        texts = [str(text) for text in (member.get("username"), *(node.get("channel") for node in support))]
        emails, channels = [text for text in texts if "@" in text], [text for text in texts[1:] if "@" not in text]
        if not name or not emails:
            rule = "write a member with role: owner whose username is an e-mail address"
            self.problems.append((("team",), f"the owner's e-mail address is missing: {rule}"))
        return {"name": name, "email": "".join(emails[:1])} | ({"channel": channels[0]} if channels else {})

    def _make_schema(self, table: Any, place: JsonPath, table_schema: str) -> dict[str, Any]:
        columns = self.get_objects(table, place, "properties")
        names = [self.get_name(node, (*place, "properties", number)) for number, node in enumerate(columns)]
        key = [number for number, node in enumerate(columns) if node.get("primaryKey") is True]
        key.sort(key=lambda i: self.get(columns[i], (*place, "properties", i), "primaryKeyPosition", int))
        foreign_keys = _make_foreign_keys(self.get_objects(table, place, "relationships"), table_schema)
        schema: dict[str, Any] = {"table_schema": table_schema, "table_name": self.get_name(table, place)}
        if not schema["table_name"]:
            self.problems.append((place, "has no name: write one"))
        schema |= {"table_type": "VIEW"} if str(table.get("physicalType")).lower() == "view" else {}
        schema |= {"primaryKey": [names[number] for number in key]} if key and self.version >= NEWEST else {}
        schema |= {"foreignKeys": foreign_keys} if foreign_keys else {}
        said = ("physicalName", "logicalType", "physicalType", "properties", "relationships")
        schema["properties"] = {}
        for number, (node, name) in enumerate(zip(columns, names, strict=True)):
            if not name:
                self.problems.append(((*place, "properties", number), "has no name: write one"))
            elif name in schema["properties"]:
                self.problems.append(((*place, "properties", number), f'another column has the name "{name}"'))
            schema["properties"][name] = self._make_column(node, (*place, "properties", number), table_schema)
        return schema | self.keep(table, place, *said[: 5 if foreign_keys else 4])

    def _make_column(self, node: Any, place: JsonPath, table_schema: str) -> dict[str, Any]:
        constraints, element = self._make_type(node, place)
        for word, (key, value) in FLAGS.items():
            constraints |= {key: value} if self.get(node, place, word, bool) else {}
        labels = [item.get("value") for item in self.get_objects(node, place, "enum")]
        keys = _make_foreign_keys(self.get_objects(node, place, "relationships"), table_schema, ["this.column"])
        said = ["physicalName", "logicalType", "physicalType", "items", *FLAGS, "primaryKeyPosition"]
        if labels and constraints["data_type"] == "USER-DEFINED":
            constraints["enum"] = labels
            said.append("enum")
        if len(keys) == 1:
            target = keys[0]["references"]
            constraints["references"] = target | {"column_name": target.pop("columns")[0]}
            said.append("relationships")
        texts = {word: node[word] for word in export_odcs.SAID_OF_COLUMN if word in node}
        return texts | {"constraints": constraints} | element | self.keep(node, place, *said, *texts)

    def _make_type(self, node: Any, place: JsonPath) -> tuple[dict[str, Any], dict[str, Any]]:
        """The clauses on the type, and on that of the elements."""
        name, items = self.get(node, place, "physicalType", str), self.get(node, place, "items", dict)
        name = f"{items.get('physicalType', '')}[]".lstrip("[]") if name.lower() in ("", "array") and items else name
        base = re.sub(r"\(.*?\)|\[\d*\]", "", name.lower()).strip()
        built_in, logical_type = parse_built_in_type(name, get_type_names()), str(node.get("logicalType") or "string")
        is_named = base not in ("array", "user-defined")
        rule = ""
        if not name:
            rule = f"write what it is in PostgreSQL, such as physicalType: {TYPES.get(logical_type, logical_type)}"
            self.problems.append((place, f"has no physicalType: {rule}"))
        elif built_in is None and is_named and base in ALIASES:
            head, space, rest = ALIASES[base].partition(" ") if "time" in base else (ALIASES[base], "", "")
            bounds, brackets = ("".join(re.findall(part, name)) for part in (r"\([\d, ]+\)", r"\[\d*\]"))
            rule = f"write {head}{bounds}{space}{rest}{brackets}"
        elif built_in is None and is_named and _NO_NAME.search(re.sub('"[^"]*"', "", name)):
            rule = "a type of your own is written in lower case, or with its name in double quotes"
        if name and rule:
            self.problems.append(((*place, "physicalType"), f"PostgreSQL has no type {_render(name)}: {rule}"))
        kind = "ARRAY" if "[" in name or base == "array" else "USER-DEFINED"
        words = built_in.constraints if built_in else {"data_type": kind}
        constraints = {key: value for key, value in words.items() if key != "numeric_scale" or self.version > "1.0.0"}
        if name and self.version >= NEWEST and is_named:
            constraints["physicalType"] = built_in.text if built_in else name
        element = parse_built_in_type(re.sub(r"( ?\[\d*\])+$", "", name), get_type_names())
        words = {**element.constraints} if element else {"data_type": "USER-DEFINED"}
        return constraints, {"array_element": words} if name.endswith("]") else {}


def _make_foreign_keys(nodes: list[Any], table_schema: str, source: Any = None) -> list[Any]:
    """Those of a table, or of its column `source`; none where one of them is not written as table.column."""
    keys: list[Any] = []
    for node in nodes:
        ends = [end if isinstance(end, list) else [end] for end in (source or node.get("from"), node.get("to"))]
        texts = [str(text) for end in ends for text in end]
        if len(ends[0]) != len(ends[1]) or not texts or not all(map(export_odcs.REFERENCE.fullmatch, texts)):
            return []
        names = [text.partition(".")[2] for text in texts]
        target = {"table_schema": table_schema, "table_name": texts[-1].partition(".")[0]}
        sources, targets = names[: len(ends[0])], names[len(ends[0]) :]
        keys.append({"columns": sources, "references": target | {"columns": targets}})
    return keys


def _find_kept(node: Any) -> Any:
    """What an export has put into customProperties; None where there is nothing of the kind."""
    items = node.get("customProperties")
    found = [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    value = next((item.get("value") for item in found if item.get("property") == export_odcs.PREFIX), None)
    with contextlib.suppress(ValueError):
        value = json.loads(value) if isinstance(value, str) else value
    return value if isinstance(value, dict) else None


def _find_exported(reader: _Reader, index: int) -> Any:
    """The contract that was exported, with the texts and names of today; None where this is no export."""
    document, table = reader.document, reader.get_objects(reader.document, (), "schema")[index]
    kept, kept_of_table = _find_kept(document), _find_kept(table)
    if kept is None or kept_of_table is None:
        return None
    properties = {
        reader.get_name(node, ()): {word: node[word] for word in export_odcs.SAID_OF_COLUMN if word in node} | column
        for node in reader.get_objects(table, (), "properties")
        if (column := _find_kept(node)) is not None
    }
    doc = reader.get(document, (), "description", dict).get("purpose")
    said = {"name": document.get("name"), "namespace": document.get("domain"), "doc": doc}
    return kept | said | {"schema": kept_of_table | {"properties": properties}}


def _merge(kept: Any, before: Any, now: Any) -> Any:
    """What was exported, with what is other `now` than `before`, by the words alone."""
    kept = {} if kept is None else kept
    if not (isinstance(kept, dict) and isinstance(before, dict) and isinstance(now, dict)):
        return now
    if any(before.get(key) != now.get(key) for key in ("data_type", "physicalType")):
        kept, before = ({key: value for key, value in node.items() if key not in TYPE_KEYS} for node in (kept, before))
    changed = [key for key in {**before, **now} if before.get(key, ...) != now.get(key, ...)]
    merged = {key: value for key, value in kept.items() if key not in changed or key in now}
    return merged | {key: _merge(kept.get(key), before.get(key), now[key]) for key in changed if key in now}


def _find_place(json_path: JsonPath, index: int, names: list[str]) -> JsonPath:
    """Where in a file the value at `json_path` of a contract comes from; `names` are those of the columns."""
    match json_path:
        case "schema", "properties", str(name), *_:
            return "schema", index, "properties", names.index(name)
        case "schema", *_:
            return "schema", index
        case str(word), *_:
            return (PLACES.get(word, word),)
    return ()


def read_odcs(path: Path) -> tuple[list[Contract], list[SpecProblem], list[SpecProblem]]:
    """The contracts of a file, what they cannot say, and what is wrong: then they are not to be used."""
    document, lines, problems = read_yaml(path)
    contracts, notes = dict[Path, Contract](), list[SpecProblem]()

    def locate(place: JsonPath, message: str) -> SpecProblem:
        line = next((lines[place[:end]] for end in range(len(place), -1, -1) if place[:end] in lines), 1)
        return SpecProblem(path, line, render_json_path(place), message)

    if problems:
        return [], [], problems
    head = document if isinstance(document, dict) else {}
    for word, pattern, example in (("apiVersion", r"v3\..*", "v3.2.0"), ("kind", "DataContract", "DataContract")):
        if not re.fullmatch(pattern, str(head.get(word))):
            rule = f"expected {word}: {example}; found {_render(head.get(word))}"
            problems.append(locate((word,), f"is not of the Open Data Contract Standard 3: {rule}"))
    if problems:
        return [], [], problems
    tables = document["schema"] if isinstance(document.get("schema"), list) else []
    if not tables:
        problems.append(locate(("schema",), "expected a list of tables"))
    for index in range(len(tables)):
        place, spec_version = ("schema", index), str((_find_kept(document) or {}).get("spec-version", NEWEST))
        reader = _Reader(document, spec_version)
        spec = reader.make_spec(index)
        if (exported := _find_exported(reader, index)) is not None:
            if mistakes := find_spec_problems(exported):
                kept = (*place, "customProperties")
                words = "what an export kept here is damaged"
                problems += [locate(kept, f"{words}: {render_json_path(at)}: {text}") for at, text in mistakes]
                continue
            before = _Reader(export_odcs.make_document(exported, str(head["apiVersion"])[1:4]), reader.version)
            spec = _merge(exported, before.make_spec(0), spec)
            reader.rest = [word for word in reader.rest if word not in before.rest]
            reader.problems = [problem for problem in reader.problems if problem not in before.problems]
        names, refused = [*spec["schema"]["properties"]], [at for at, _ in reader.problems]
        for json_path, text in find_spec_problems(spec) or find_waiver_problems(spec):  # type: ignore[arg-type]
            at = _find_place(json_path, index, names)
            if not any(other[: len(at)] == at for other in refused):
                reader.problems.append((at, f"{render_json_path(json_path)} of the contract: {text}"))
        problems += [locate(*problem) for problem in reader.problems]
        notes += [locate(at, "is kept under x-odcs, and not checked") for at, _ in reader.rest]
        file = Path(new_files.make_file_name(spec["schema"]["table_schema"], spec["schema"]["table_name"]))
        if file in contracts:
            problems.append(locate(place, f"another table of this file would be in the same file, {file}"))
        contracts[file] = Contract(spec, file, new_files.render_contract(spec))  # type: ignore[arg-type]
    notes, problems = (sorted(dict.fromkeys(found), key=lambda one: one.line or 0) for found in (notes, problems))
    return list(contracts.values()), notes, problems


@command("no file was written")
def main(arguments: list[str] | None = None) -> int:
    """0: the contracts are written; 1: something is wrong with the file; 2: could not write."""
    parser = argparse.ArgumentParser(description="Write the tables of a file of ODCS 3 as contracts.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--output", type=Path, help="a directory; default: that of the project's contracts")
    options = parser.parse_args(arguments)
    directory = options.output or get_settings().contracts
    contracts, notes, problems = read_odcs(options.file)
    texts = {directory / contract.path: contract.text for contract in contracts}
    if not (problems or options.output or any(map(Path.exists, texts))):
        try:
            others = contract_files.get_data_contract_specs(may_be_none=True).values()
            found = contract_files.find_problems_between(directory, [*others, *contracts])
            problems = [replace(one, path=options.file, line=None) if one.json_path else one for one in found]
        except InvalidContractSpecError as error:
            problems = error.problems
    if problems:
        print(*problems, sep="\n", file=sys.stderr)
        return 1
    new_files.write_new_files(texts)
    print(*notes, *texts, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
