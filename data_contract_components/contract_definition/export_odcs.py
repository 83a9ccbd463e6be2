"""Writes contracts as files of the Open Data Contract Standard, with SQL for each clause."""

import argparse
import functools
import json
import re
import string
import sys
import tomllib
import uuid
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from data_contract_components.command import command
from data_contract_components.contract_definition._column_types import BOUNDS, parse_built_in_type
from data_contract_components.contract_definition._json_text import render_json
from data_contract_components.contract_definition._odcs_yaml import render_yaml
from data_contract_components.contract_definition.contract_files import NAME_ENDING, get_data_contract_specs, read_contract
from data_contract_components.contract_definition.contract_spec import (
    ELEMENT_PREFIX,
    WHOLE_TABLE,
    Clause,
    Contract,
    find_clauses,
)
from data_contract_components.contract_definition.spec_problems import InvalidContractSpecError, get_type_names
from data_contract_components.contract_definition.table_lists import find_listed, strip_index

# Of what no word of the standard is for, and of the rules that are made from the clauses.
PREFIX = "dataContracts"
STANDARDS = ("3.1", "3.2")
NAME_CHARACTER = "[^A-Za-z0-9]+"
# What other words of the standard say, so that it is not kept a second time.
MOVED, MOVED_OF_COLUMN = ("name", "namespace", "doc", "schema"), ("description", "examples")
LOGICAL_TYPES = {
    **dict.fromkeys(("smallint", "integer", "bigint"), "integer"),
    **dict.fromkeys(("numeric", "real", "double precision", "money"), "number"),
    **dict.fromkeys(("timestamp without time zone", "timestamp with time zone"), "timestamp"),
    **dict.fromkeys(("time without time zone", "time with time zone"), "time"),
    **dict.fromkeys(("json", "jsonb"), "object"),
    **{"boolean": "boolean", "date": "date", "ARRAY": "array", "USER-DEFINED": None},
}
_REFERENCE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\.[A-Za-z_][A-Za-z0-9_]*")


def make_document(spec: Mapping[str, Any], standard: str) -> dict[str, Any]:
    """A contract in the words of the standard, in their usual order."""
    name, owner, sunset = json.dumps([spec["namespace"], spec["name"]]), spec["owner"], spec.get("sunset")
    address = _hide_password(spec["dataAssetResourceName"])
    kept = {key: value for key, value in spec.items() if key not in MOVED} | {"dataAssetResourceName": address}
    return {
        "apiVersion": f"v{standard}.0",
        "kind": "DataContract",
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, name)),
        "version": "1.0.0",
        "status": spec.get("status", "active"),
        "name": spec["name"],
        "domain": spec["namespace"],
        "description": {"purpose": spec["doc"]},
        **_make_servers(address, spec["schema"]),
        "schema": [_make_object(spec, standard)],
        "team": {"name": owner["name"], "members": [{"username": owner["email"], "role": "owner"}]},
        **({"support": [{"channel": owner["channel"]}]} if "channel" in owner else {}),
        **({"slaProperties": [{"property": "endOfSupport", "value": sunset}]} if sunset else {}),
        "customProperties": _keep(kept),
    }


def _keep(value: Any) -> list[dict[str, Any]]:
    # Tools take "${NAME}" in any text for a variable of the environment. JSON has another spelling for it.
    text = render_json(value)
    return [{"property": PREFIX, "value": text.replace("${", "\\u0024{") if "${" in text else value}]


def _hide_password(address: str) -> str:
    parts = urlsplit(address)
    query = "" if "pass" in parts.query.lower() else parts.query
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query=query).geturl()


def _make_servers(address: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "localhost", parts.port or 5432
    except ValueError:
        return {}
    if not parts.scheme.startswith("postgres"):
        return {}
    database = schema.get("table_catalog") or unquote(parts.path[1:]).partition(".")[0]
    place = {"host": host, "port": port, "database": database, "schema": schema["table_schema"]}
    return {"servers": [{"server": "postgres", "type": "postgres"} | place]}


def _make_object(spec: Mapping[str, Any], standard: str) -> dict[str, Any]:
    schema, quality = spec["schema"], _make_rules(spec)
    name, columns = schema["table_name"], schema["properties"]
    flagged = [name for name, column in columns.items() if column["constraints"].get("primaryKey")]
    key = schema.get("primaryKey", flagged) or []
    relationships = [
        {"type": "foreignKey", "from": sources, "to": targets}
        for entry in schema.get("foreignKeys", [])
        for sources in [[f"{name}.{column}" for column in entry["columns"]]]
        for targets in [[f"{entry['references']['table_name']}.{column}" for column in entry["references"]["columns"]]]
        if all(map(_REFERENCE.fullmatch, sources + targets))
    ]
    return {
        "name": name,
        "logicalType": "object",
        "physicalType": {"VIEW": "view", "MATERIALIZED VIEW": "view"}.get(schema.get("table_type", ""), "table"),
        **({"relationships": relationships} if relationships else {}),
        "properties": [
            _make_property(name, column, key, standard) | ({"quality": quality[name]} if quality.get(name) else {})
            | {"customProperties": _keep({k: value for k, value in column.items() if k not in MOVED_OF_COLUMN})}
            for name, column in columns.items()
        ],
        **({"quality": quality[WHOLE_TABLE]} if WHOLE_TABLE in quality else {}),
        "customProperties": _keep({key: value for key, value in schema.items() if key != "properties"}),
    }


def _make_property(name: str, column: Mapping[str, Any], key: list[str], standard: str) -> dict[str, Any]:
    constraints, target = column["constraints"], column["constraints"].get("references")
    words: dict[str, Any] = {"name": name} | _make_type(constraints, column.get("array_element"))
    words |= {word: column[word] for word in MOVED_OF_COLUMN if word in column}
    if "is_nullable" in constraints:
        words["required"] = not constraints["is_nullable"]
    if "unique" in constraints:
        words["unique"] = constraints["unique"]
    if name in key:
        words |= {"primaryKey": True, "primaryKeyPosition": key.index(name) + 1}
    if constraints.get("enum") and standard >= "3.2" and constraints["data_type"] == "USER-DEFINED":
        words["enum"] = [{"value": label} for label in constraints["enum"]]
    if target and _REFERENCE.fullmatch(reference := f"{target['table_name']}.{target['column_name']}"):
        words["relationships"] = [{"type": "foreignKey", "to": reference}]
    return words


def _make_type(constraints: Mapping[str, Any], element: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The type in two words, the physical one as information_schema has it, with the bounds that are promised."""
    built_in = parse_built_in_type(constraints.get("physicalType", ""), get_type_names())
    values = (built_in.constraints if built_in else {}) | constraints
    text = constraints["data_type"]
    logical = LOGICAL_TYPES.get(text, "string")
    words = {"logicalType": logical} if logical else {}
    bounds = [values.get(key) for key in BOUNDS.get(text, ())]
    if bounds and None not in bounds and text != "interval" and not ("time" in text and bounds == [6]):
        head, space, rest = text.partition(" ") if "time" in text else (text, "", "")
        text = f"{head}({','.join(str(int(bound)) for bound in bounds)}){space}{rest}"
    if text == "ARRAY" and element and element["data_type"] not in ("ARRAY", "USER-DEFINED"):
        items = _make_type(element)
        return words | {"physicalType": f"{items['physicalType']}[]", "items": items}
    return words | {"physicalType": text}


@functools.cache
def _read_rules() -> dict[str, dict[str, str]]:
    return tomllib.loads(Path(__file__).with_name("odcs_rules.toml").read_text(encoding="utf-8"))


def _make_rules(spec: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """For each column, and for the whole table, the rules of the clauses that tools of the standard do not check."""
    rules: dict[str, list[dict[str, Any]]] = {}
    for clause in find_clauses(spec):
        if query := _make_query(clause, spec["schema"]):
            rules.setdefault(clause.column_name, []).append({
                "id": f"{PREFIX}-{re.sub(NAME_CHARACTER, '-', clause.key).strip('-')}",
                "description": f"{clause.column_name}: {clause.key}: {render_json(clause.expected)}".replace("${", "$ {"),
                "type": "sql",
                "dimension": "conformity",
                "query": query,
                "mustBe": 0,
            })
    return rules


def _make_query(clause: Clause, schema: Mapping[str, Any]) -> str | None:
    key, expected, is_column = strip_index(clause.key), clause.expected, clause.column_name != WHOLE_TABLE
    values: dict[str, Any] = {"expected": expected, "is_expected": expected not in (None, False)}
    values |= {"column_name": clause.column_name} | {name: schema[name] for name in ("table_schema", "table_name")}
    texts: dict[str, str] = {}
    base = key.removeprefix(ELEMENT_PREFIX)
    rules = _read_rules()
    if key in ("additionalColumns", "additionalConstraints") and expected:
        return None
    match key:
        case "additionalColumns":
            values["columns"] = list(schema["properties"])
        case "additionalConstraints":
            values |= _find_listed(schema)
        case "primaryKey" if is_column:
            key = "primaryKey_of_column"
        case "primaryKey" | "references" if expected is None:
            key = f"no_{key}"
        case "unique":
            values["columns"] = sorted(expected if isinstance(expected, list) else [clause.column_name], key=str.encode)
        case "references":
            values |= {f"target_{name.split('_')[1]}": expected[f"{name}"] for name in ()}
            values |= {"target_schema": expected["table_schema"], "target_table": expected["table_name"]}
            values["target_column"] = expected["column_name"]
        case "foreignKeys":
            target, sources, targets = _describe_foreign_key(expected)
            values |= {"target_schema": target[0], "target_table": target[1]}
            values |= {"source_columns": sources, "target_columns": targets}
        case "fields":
            values |= {"names": list(expected), "types_of_fields": list(expected.values())}
    template = rules["rules"].get(key)
    if template is None and base in rules["values"]:
        which = "is_base" if base == key else "is_element"
        template = rules["parts"]["type"].replace("$value", rules["values"][base]).replace("$which", f"${which}")
    if template is None:
        return None
    literals = {name: _render_literal(value) for name, value in values.items()} | texts
    return string.Template(_insert(template, rules["parts"])).substitute(literals)


def _insert(text: str, parts: Mapping[str, str]) -> str:
    """`text` with the parts that it names, each indented as its place is."""

    def insert(match: re.Match[str]) -> str:
        if match[1] not in parts:
            return match[0]
        line = text[text.rfind("\n", 0, match.start()) + 1 : match.start()]
        indent = line[: len(line) - len(line.lstrip())]
        return _insert(parts[match[1]], parts).replace("\n", "\n" + indent)

    return re.sub(r"\$(\w+)", insert, text.strip())


def _describe_foreign_key(entry: Mapping[str, Any]) -> tuple[list[str], list[str], list[str]]:
    target = entry["references"]
    pairs = sorted({*zip(entry["columns"], target["columns"], strict=True)}, key=lambda pair: [*map(str.encode, pair)])
    return [target["table_schema"], target["table_name"]], [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def _find_listed(schema: Mapping[str, Any]) -> dict[str, Any]:
    """What a table may have beside its primary key, by the names of the rule."""
    listed: dict[str, list[str]] = {"unique_listed": [], "foreign_keys_listed": [], "checks_listed": []}
    for identity in find_listed(schema):
        kind, *parts = identity  # type: ignore[misc]
        if kind == "unique":
            listed["unique_listed"].append(render_json(sorted(parts[0], key=str.encode)))
        elif kind == "foreignKeys":
            pairs = sorted(parts[2], key=lambda pair: [*map(str.encode, pair)])
            listed["foreign_keys_listed"].append(
                render_json([*parts[:2], [pair[0] for pair in pairs], [pair[1] for pair in pairs]])
            )
        else:
            listed["checks_listed"].append(parts[0])
    return {name: sorted(entries) for name, entries in listed.items()}


def _render_literal(value: Any) -> str:
    """SQL for a value. Tools fill in what stands in braces, so there is none; PostgreSQL has no text with a NUL."""
    if isinstance(value, list):
        return f"array[{', '.join(map(_render_literal, value))}]::text[]"
    if isinstance(value, str):
        text = "'" + value.replace("\0", "\uffff").replace("'", "''").replace("{", "' || chr(123) || '") + "'"
        return f"({text})" if "{" in value else text
    return render_json(int(value) if isinstance(value, float) else value)


def write_files(files: Mapping[Path, str]) -> None:
    """The files are there. Raises: OSError, also where one is there with another text; then no file was changed."""
    with ExitStack() as undo:
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_file() and path.read_bytes() == text.encode():
                continue
            with path.open("x", encoding="utf-8", newline="\n") as file:
                undo.callback(path.unlink)
                file.write(text)
        undo.pop_all()


@command("nothing was written")
def main(arguments: list[str] | None = None) -> int:
    """0: the files are written; 1: a contract is not valid; 2: could not write."""
    parser = argparse.ArgumentParser(description="Write contracts as files of the Open Data Contract Standard.")
    parser.add_argument("contract", nargs="*", type=Path, help="a contract's file; default: all of the project")
    parser.add_argument("--standard-version", choices=STANDARDS, default=STANDARDS[-1])
    parser.add_argument("--output", type=Path, default=Path(), help="a directory; default: this one")
    options = parser.parse_args(arguments)
    try:
        contracts = _read_contracts(options.contract) or list(get_data_contract_specs().values())
    except InvalidContractSpecError as error:
        print(*error.problems, sep="\n", file=sys.stderr)
        return 1
    files = {
        options.output / f"{contract.path.name.removesuffix(NAME_ENDING)}.odcs.yaml": render_yaml(
            make_document(contract.spec, options.standard_version)
        )
        for contract in contracts
    }
    write_files(files)
    print(*files, sep="\n")
    return 0


def _read_contracts(paths: list[Path]) -> list[Contract]:
    """Raises: InvalidContractSpecError."""
    read = [read_contract(path.parent, Path(path.name)) for path in paths]
    if problems := [problem for _, of_file in read for problem in of_file]:
        raise InvalidContractSpecError(problems)
    return [contract for contract, _ in read if contract]


if __name__ == "__main__":
    sys.exit(main())
