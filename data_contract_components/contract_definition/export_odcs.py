"""Writes contracts as files of the Open Data Contract Standard (ODCS), with SQL for each clause."""

import argparse
import functools
import re
import string
import sys
import tomllib
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from data_contract_components.command import command
from data_contract_components.contract_definition import contract_files, contract_spec, spec_problems, table_lists
from data_contract_components.contract_definition._column_types import BOUNDS, parse_built_in_type
from data_contract_components.contract_definition._json_text import render_json
from data_contract_components.contract_definition._odcs_yaml import render_yaml
from data_contract_components.contract_definition.new_files import write_new_files

# Of what ODCS has no word for, and of the rules that are made from clauses.
PREFIX = "dataContracts"
# What ODCS says in words of its own, so that it is not kept beside them.
SAID, SAID_OF_COLUMN = ("name", "namespace", "doc", "schema"), ("description", "examples")
REFERENCE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\.[A-Za-z_][A-Za-z0-9_]*")
# Of all other types, tools know none, and some of a domain.
_LOGICAL_TYPES = {
    **dict.fromkeys(("text", "character varying", "character"), "string"),
    **dict.fromkeys(("smallint", "integer", "bigint"), "integer"),
    **dict.fromkeys(("numeric", "real", "double precision", "money"), "number"),
    **{f"{kind} {zone} time zone": kind for kind in ("timestamp", "time") for zone in ("with", "without")},
    **dict.fromkeys(("json", "jsonb"), "object"),
}
_LOGICAL_TYPES |= {"boolean": "boolean", "date": "date"}


def make_document(spec: Mapping[str, Any], standard: str = "3.2") -> dict[str, Any]:
    """A contract in the words of ODCS `standard`, without passwords; what is left of it, in customProperties."""
    address, _, query = re.sub("(?<=://)[^/?#]*@", "", spec["dataAssetResourceName"]).partition("?")
    address += f"?{query}" if query and "pass" not in query.lower() else ""
    kept = {key: value for key, value in spec.items() if key not in SAID} | {"dataAssetResourceName": address}
    return {
        "apiVersion": f"v{standard}.0",
        "kind": "DataContract",
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, render_json([spec["namespace"], spec["name"]]))),
        "version": "1.0.0",
        **make_head({**spec, "dataAssetResourceName": address}),
        "schema": [_make_table(spec, standard)],
        "customProperties": _keep(kept),
    }


def make_head(spec: Mapping[str, Any]) -> dict[str, Any]:
    """What the words of ODCS say of a contract, but for its table."""
    owner = spec["owner"]
    return {
        "status": spec.get("status", "active"),
        "name": spec["name"],
        "domain": spec["namespace"],
        "description": {"purpose": spec["doc"]},
        **_make_servers(spec["dataAssetResourceName"], spec["schema"]),
        "team": {"name": owner["name"], "members": [{"username": owner["email"], "role": "owner"}]},
        **({"support": [{"channel": owner["channel"]}]} if "channel" in owner else {}),
        **({"slaProperties": [{"property": "endOfSupport", "value": spec["sunset"]}]} if "sunset" in spec else {}),
    }


def find_variables(spec: Mapping[str, Any]) -> list[tuple[contract_spec.JsonPath, str]]:
    """The names that tools of ODCS would read as others, as "${NAME}" is a variable of the environment for them."""
    owner, schema = spec["owner"], spec["schema"]
    names: dict[contract_spec.JsonPath, str] = {(word,): spec[word] for word in ("name", "namespace")}
    names |= {("owner", word): owner.get(word, "") for word in ("name", "email", "channel")}
    names |= {("schema", word): schema.get(word, "") for word in ("table_catalog", "table_schema", "table_name")}
    names |= {("schema", "properties", name): name for name in schema["properties"]}
    message = 'tools of ODCS take "${" for a variable of the environment: choose a name without it'
    return [(place, message) for place, name in names.items() if "${" in name]


def _keep(value: Any) -> list[dict[str, Any]]:
    # Tools take "${NAME}" in any text for a variable of the environment. JSON has another spelling for it.
    text = render_json(value)
    return [{"property": PREFIX, "value": text.replace("${", r"\u0024{") if "${" in text else value}]


def _make_servers(address: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    try:
        parts = urlsplit(address)
        place = {"host": parts.hostname or "localhost", "port": parts.port or 5432}
    except ValueError:
        return {}
    place["database"] = schema.get("table_catalog") or unquote(parts.path[1:]).partition(".")[0]
    server = {"server": "postgres", "type": "postgres"} | place | {"schema": schema["table_schema"]}
    return {"servers": [server]} if parts.scheme.startswith("postgres") else {}


def _make_table(spec: Mapping[str, Any], standard: str) -> dict[str, Any]:
    schema, columns, quality = spec["schema"], spec["schema"]["properties"], _make_rules(spec)
    flagged = [name for name, column in columns.items() if column["constraints"].get("primaryKey")]
    key = schema.get("primaryKey", flagged) or []
    # Tools take the columns that have the word for the whole key.
    key = key if {*key} <= {*columns} else []
    relationships = []
    for entry in schema.get("foreignKeys", []):
        ends = (
            (schema["table_name"], entry["columns"]),
            (entry["references"]["table_name"], entry["references"]["columns"]),
        )
        sources, targets = ([f"{table_name}.{name}" for name in names] for table_name, names in ends)
        if all(map(REFERENCE.fullmatch, sources + targets)):
            relationships.append({"type": "foreignKey", "from": sources, "to": targets})
    return {
        "name": schema["table_name"],
        "logicalType": "object",
        "physicalType": "view" if "VIEW" in schema.get("table_type", "") else "table",
        **({"relationships": relationships} if relationships else {}),
        "properties": [
            _make_property(name, column, key, standard)
            | {"quality": quality.get(name, [])}
            | {"customProperties": _keep({key: value for key, value in column.items() if key not in SAID_OF_COLUMN})}
            for name, column in columns.items()
        ],
        "quality": quality.get(None, []),
        "customProperties": _keep({key: value for key, value in schema.items() if key != "properties"}),
    }


def _make_property(name: str, column: Mapping[str, Any], key: list[str], standard: str) -> dict[str, Any]:
    constraints, target = column["constraints"], column["constraints"].get("references")
    words: dict[str, Any] = {"name": name, **_make_type(constraints, column.get("array_element"))}
    words |= {word: column[word] for word in SAID_OF_COLUMN if word in column}
    words |= {"required": not constraints["is_nullable"]} if "is_nullable" in constraints else {}
    words |= {"unique": constraints["unique"]} if "unique" in constraints else {}
    words |= {"primaryKey": True, "primaryKeyPosition": key.index(name) + 1} if name in key else {}
    # PostgreSQL does not compare a domain over an enum with its labels.
    is_enum = constraints["data_type"] == "USER-DEFINED" and constraints.get("domain_name") is None
    has_variable = "${" in "".join(constraints.get("enum") or ())
    if constraints.get("enum") and is_enum and not has_variable and standard >= "3.2":
        words["enum"] = [{"value": label} for label in constraints["enum"]]
    if target and REFERENCE.fullmatch(reference := f"{target['table_name']}.{target['column_name']}"):
        words["relationships"] = [{"type": "foreignKey", "to": reference}]
    return words


def _make_type(constraints: Mapping[str, Any], element: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The type in two words, the physical one as in information_schema, with the bounds that are promised."""
    text, names = constraints["data_type"], spec_problems.get_type_names()
    built_in = parse_built_in_type(constraints.get("physicalType", ""), names)
    values = {**(built_in.constraints if built_in else {}), **constraints}
    is_domain = constraints.get("domain_name") is not None
    if text == "ARRAY" and element and not is_domain and element["data_type"] not in ("ARRAY", "USER-DEFINED"):
        items = _make_type(element)
        return {"logicalType": "array", "physicalType": f"{items['physicalType']}[]", "items": items}
    words = {"logicalType": _LOGICAL_TYPES[text]} if text in _LOGICAL_TYPES and not is_domain else {}
    bounds: list[Any] = [values.get(key) for key in BOUNDS.get(text, ())]
    # Without its precision, a time has 6 digits. Of an interval, tools know none.
    if bounds and None not in bounds and text != "interval" and not ("time" in text and bounds == [6]):
        head, space, rest = text.partition(" ") if "time" in text else (text, "", "")
        text = f"{head}({','.join(str(int(bound)) for bound in bounds)}){space}{rest}"
    return words | {"physicalType": text}


@functools.cache
def _read_rules() -> dict[str, dict[str, str]]:
    return tomllib.loads(Path(__file__).with_name("odcs_rules.toml").read_text(encoding="utf-8"))


def _make_rules(spec: Mapping[str, Any]) -> dict[str | None, list[dict[str, Any]]]:
    """The rules of each column's clauses, and of the whole table's under None. They give 0 where the clause is kept."""
    rules: dict[str | None, list[dict[str, Any]]] = {}
    for clause in contract_spec.find_clauses(spec):  # type: ignore[arg-type]
        if query := _make_query(clause, spec["schema"]):
            words = f"{clause.column_name}: {clause.key}: {render_json(clause.expected)}"
            name = f"{PREFIX}-{re.sub('[^A-Za-z0-9]+', '-', clause.key).strip('-')}"
            rule = {"id": name, "description": words, "type": "sql", "dimension": "conformity"}
            column_name = clause.column_name if "properties" in clause.json_path[:2] else None
            rules.setdefault(column_name, []).append(rule | {"query": query, "mustBe": 0})
    return rules


def _make_query(clause: contract_spec.Clause, schema: Mapping[str, Any]) -> str | None:
    rules, key, expected = _read_rules(), table_lists.strip_index(clause.key), clause.expected
    column_name, is_of_table = clause.column_name, "properties" not in clause.json_path[:2]
    values = {"column_name": column_name, "is_expected": expected not in (None, False)}
    if key.startswith("additional") and expected:
        return None
    if key == "additionalColumns":
        expected = list(schema["properties"])
    elif key == "additionalConstraints":
        expected = sorted(map(_order, table_lists.find_listed(schema)), key=render_json)
    elif key in table_lists.TABLE_LISTS:
        expected = _order(table_lists.identify_entry(key, expected if is_of_table else [column_name]))
    elif key == "primaryKey" and not is_of_table:
        key = "primaryKey_of_column"
    elif key in ("primaryKey", "references") and expected is None:
        key = f"no_{key}"
    elif key == "references":
        expected = [expected[name] for name in ("table_schema", "table_name", "column_name")]
    elif key == "fields":
        expected = [[*field] for field in expected.items()]
    template, base = rules["rules"].get(key), key.removeprefix(contract_spec.ELEMENT_PREFIX)
    if template is None and base in rules["values"]:
        which = "$is_base" if base == key else "$is_element"
        template = rules["parts"]["type"].replace("$value", rules["values"][base]).replace("$which", which)
    values |= {"expected": expected} | {name: schema[name] for name in ("table_schema", "table_name")}
    literals = {name: _render_literal(value) for name, value in values.items()}
    return template and string.Template(_insert_parts(template)).substitute(literals)


@functools.cache
def _insert_parts(text: str) -> str:
    """`text` with the parts that it names, each as far to the right as the line that names it."""
    parts = _read_rules()["parts"]
    while match := re.search(rf"(?m)^( *)(.*?)\$({'|'.join(parts)})\b", text):
        part = parts[match[3]].replace("\n", f"\n{match[1]}")
        text = f"{text[: match.start()]}{match[1]}{match[2]}{part}{text[match.end() :]}"
    return text


def _order(identity: Any) -> list[Any]:
    """What identify_entry() returns, as JSON has it."""
    return [sorted(part) if isinstance(part, frozenset) else part for part in identity]


def _render_literal(value: Any) -> str:
    """SQL for a value, for lists their JSON. No brace opens in it, as tools fill in what stands in braces."""
    if isinstance(value, str | list):
        text = (value if isinstance(value, str) else render_json(value)).replace("'", "''")
        return f"('{text}')".replace("{", "' || chr(123) || '") if "{" in text else f"'{text}'"
    return render_json(int(value) if isinstance(value, float) else value)


@command("no file was written")
def main(arguments: list[str] | None = None) -> int:
    """0: the files are written; 1: a contract is not valid; 2: could not write."""
    parser = argparse.ArgumentParser(description="Write contracts as files of the Open Data Contract Standard.")
    parser.add_argument("contract", nargs="*", type=Path, help="a contract's file; default: all of the project")
    parser.add_argument("--standard-version", choices=("3.1", "3.2"), default="3.2", help="of ODCS; default: 3.2")
    parser.add_argument("--output", type=Path, default=Path(), help="a directory; default: this one")
    options = parser.parse_args(arguments)
    texts: dict[Path, str] = {}
    try:
        for contract in _read_contracts(options.contract):
            name = f"{contract.path.name.removesuffix(contract_files.NAME_ENDING)}.odcs.yaml"
            texts[options.output / name] = render_yaml(make_document(contract.spec, options.standard_version))
    except spec_problems.InvalidContractSpecError as error:
        print(*error.problems, sep="\n", file=sys.stderr)
        return 1
    write_new_files(texts)
    print(*texts, sep="\n")
    return 0


def _read_contracts(paths: list[Path]) -> list[contract_spec.Contract]:
    """Raises: InvalidContractSpecError."""
    read = [contract_files.read_contract(Path(), path, path.parent) for path in paths]
    contracts = [contract for contract, _ in read if contract]
    contracts = contracts if paths else list(contract_files.get_data_contract_specs().values())
    problems = [problem for _, of_file in read for problem in of_file]
    for contract in contracts:
        problems += [spec_problems.locate_problem(Path(), contract, *found) for found in find_variables(contract.spec)]
    names, words = [path.name for path in paths], "another one has the same file name"
    twice = [path for index, path in enumerate(paths) if path.name in names[:index]]
    if problems := problems + [spec_problems.SpecProblem(path, None, None, words) for path in twice]:
        raise spec_problems.InvalidContractSpecError(problems)
    return contracts


if __name__ == "__main__":
    sys.exit(main())
