import dataclasses
import json
import os
import re
import types
import typing
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

import jsonschema_rs

from data_contract_components.contract_definition.contract_spec import get_today
from data_contract_components.prevention.contract_report import contract_report, get_contract_report
from data_contract_components.prevention.contract_report.contract_report import (
    VALUE_LEVELS,
    ChangedFile,
    ContractReport,
    FileProblem,
    LineRange,
    MalformedReportError,
    Owner,
    ReportSource,
    from_json,
    to_json,
)
from data_contract_components.prevention.contract_report.pull_request_changes import add_changes
from tests import DatabaseTestCase, museum_project, settings_of
from tests.example_report import CAUSE, example_comparison, example_report, example_violation

SCHEMA_PATH = Path(contract_report.__file__).with_name("contract_report.schema.json")
SCHEMA = json.loads(SCHEMA_PATH.read_text())
TYPES = {str: "string", int: "integer", bool: "boolean"}
HOSTILE = "\n::error::"


def find_schema_problems(text: str) -> list[str]:
    return [error.message for error in jsonschema_rs.validator_for(SCHEMA).iter_errors(json.loads(text))]


def full_report() -> ContractReport:
    """A report with something in each of its lists, a call without a line, and a clause without one."""
    violation = example_violation(cause=dataclasses.replace(CAUSE, line=None), line=None)
    return dataclasses.replace(
        example_report(violations=(violation,)),
        problems=(FileProblem("a.json", 1, "$: is not valid JSON"),),
        comparison=example_comparison(),
        source=ReportSource("2026-11-26T12:30:00Z", "a" * 40, "main", "the embedded PostgreSQL 18", 7),
        place=CAUSE,
        diff=(ChangedFile("a.json", (LineRange(1, 2),)),),
    )


def schema_of(hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """The JSON Schema of a type; that of each dataclass is added to `definitions`, with its docstring."""
    arguments = typing.get_args(hint)
    match typing.get_origin(hint):
        case typing.Union | types.UnionType:
            return {"anyOf": [schema_of(arguments[0], definitions), {"type": "null"}]}
        case typing.Annotated:
            return schema_of(arguments[0], definitions) | dict(arguments[1:])
        case typing.Literal:
            return {"enum": list(arguments)}
        case container if container is tuple:
            return {"type": "array", "items": schema_of(arguments[0], definitions)}
    if not (isinstance(hint, type) and dataclasses.is_dataclass(hint)):
        return {} if hint is Any else {"type": TYPES[hint]}
    hints = typing.get_type_hints(hint, include_extras=True)
    definitions[hint.__name__] = {
        "description": " ".join(str(hint.__doc__).split()),
        "type": "object",
        "required": list(hints),
        "additionalProperties": False,
        "properties": {name: schema_of(part, definitions) for name, part in hints.items()},
    }
    return {"$ref": f"#/$defs/{hint.__name__}"}


def render_schema() -> str:
    """The content of contract_report.schema.json."""
    definitions: dict[str, Any] = {}
    root = schema_of(ContractReport, definitions)

    def render(value: Any, indent: str = "") -> str:
        text = json.dumps(value)
        if not isinstance(value, dict) or len(indent + text) <= 100:
            return text
        parts = [f"{indent}  {json.dumps(key)}: {render(part, indent + '  ')}" for key, part in value.items()]
        return "{\n" + ",\n".join(parts) + f"\n{indent}}}"

    return render({"$schema": "https://json-schema.org/draft/2020-12/schema", **root, "$defs": definitions}) + "\n"


class TestSchema(unittest.TestCase):
    maxDiff = None

    def test_it_is_the_schema_of_the_types(self) -> None:
        message = "python -m tests.test_contract_report writes it again"
        self.assertEqual(SCHEMA_PATH.read_text(), render_schema(), message)

    def test_what_one_end_writes_the_other_reads(self) -> None:
        for report in (full_report(), ContractReport("could not check", "no database")):
            text = to_json(report)
            self.assertEqual(find_schema_problems(text), [])
            self.assertEqual(from_json(text), report)


class TestFromJson(unittest.TestCase):
    def assert_malformed(self, text: str, message: str) -> None:
        with self.assertRaises(MalformedReportError) as caught:
            from_json(text)
        self.assertEqual(str(caught.exception), message)

    def change(self, path: str, value: Any) -> str:
        """The text of a report with another value at one place."""
        report = part = json.loads(to_json(full_report()))
        *keys, last = path.split(".")
        for key in keys:
            part = part[int(key) if isinstance(part, list) else key]
        part[int(last) if isinstance(part, list) else last] = value
        return json.dumps(report)

    def test_what_is_not_json_is_refused(self) -> None:
        for text in ("", "[" * 100_000, "{", "1" * 5000):
            self.assert_malformed(text, "$: is not valid JSON")

    def test_a_wrong_value_is_named_by_its_place_and_not_quoted(self) -> None:
        deep: Any = HOSTILE
        for _ in range(VALUE_LEVELS + 1):
            deep = [deep]
        outcomes = 'expected one of "passed", "violations", "could not check"'
        for path, value, problem in (
            ("outcome", HOSTILE, outcomes),
            ("outcome", [], outcomes),
            ("error", 1, "expected a string"),
            ("contracts", {}, "expected an array"),
            ("contracts.0", HOSTILE, "expected an object"),
            ("contracts.0.line", HOSTILE, "expected an integer"),
            ("diff.0.lines.0.first", None, "expected an integer"),
            ("contracts.0.line", True, "expected an integer"),
            ("contracts.0.line", 1.5, "expected an integer"),
            ("contracts.0.line", 0, "expected at least 1"),
            ("contracts.0.is_table_missing", 1, "expected true or false"),
            ("contracts.0.owner.email", None, "expected a string"),
            ("contracts.0.violations.0.line", -1, "expected at least 1"),
            ("contracts.0.violations.0.cause.line", f"1) [x](http://evil.example{HOSTILE}", "expected an integer"),
            ("contracts.0.clauses.0.expected", deep, f"is nested more than {VALUE_LEVELS} levels deep"),
            ("comparison.base_commit", "main", "does not match ^[0-9a-f]{7,64}$"),
            ("source.date", "yesterday", "does not match ^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"),
            ("source.pull_request", 0, "expected at least 1"),
            ("comparison.base_commit", "abcdef0\n", "does not match ^[0-9a-f]{7,64}$"),
            ("comparison.changes.0.contract_names.0", 1, "expected a string"),
        ):
            with self.subTest(path, value=str(value)[:50]):
                text, place = self.change(path, value), re.sub(r"\.(\d+)", r"[\1]", path)
                self.assert_malformed(text, f"$.{place}: {problem}")
                if value is not deep:
                    self.assertNotEqual(find_schema_problems(text), [])

    def test_each_key_must_be_there_and_no_other(self) -> None:
        def find_objects(part: Any, path: str = "$") -> typing.Iterator[tuple[dict[str, Any], str]]:
            if isinstance(part, dict):
                yield part, path
                for key, value in list(part.items()):
                    yield from find_objects(value, f"{path}.{key}")
            elif isinstance(part, list):
                for index, value in enumerate(part):
                    yield from find_objects(value, f"{path}[{index}]")

        report = json.loads(to_json(full_report()))
        objects = list(find_objects(report))
        self.assertGreater(len(objects), 20)
        for part, path in objects:
            for key in list(part):
                value = part.pop(key)
                self.assert_malformed(json.dumps(report), f'{path}: the key "{key}" is missing')
                self.assertNotEqual(find_schema_problems(json.dumps(report)), [])
                part[key] = value
            part[HOSTILE] = 1
            self.assert_malformed(json.dumps(report), f"{path}: has an unknown key")
            self.assertNotEqual(find_schema_problems(json.dumps(report)), [])
            del part[HOSTILE]

    def test_a_report_of_an_older_version_is_malformed(self) -> None:
        text = to_json(example_report()).replace('"enforcement"', '"effect"')
        self.assert_malformed(text, '$.contracts[0]: the key "enforcement" is missing')


class TestReportOfADatabase(DatabaseTestCase):
    def test_every_report_is_valid(self) -> None:
        with settings_of(museum_project()), mock.patch.dict(os.environ, DATABASE_URL=self.url):
            broken = get_contract_report.get_contract_report(get_today())
        # The contract names another database.
        self.assertEqual(broken.outcome, "violations")
        not_compared = add_changes(dataclasses.replace(broken, outcome="passed"), "nosuch", "fail")
        self.assertEqual(not_compared.outcome, "could not check")
        for report in (broken, not_compared):
            self.assertEqual(find_schema_problems(to_json(report)), [])
            self.assertEqual(from_json(to_json(report)), report)

    def test_an_owner_may_have_keys_of_its_own(self) -> None:
        self.assertEqual(
            get_contract_report.make_owner({"name": "a", "email": "b", "x-team": "c"}),  # type: ignore[typeddict-unknown-key]
            Owner("a", "b"),
        )


if __name__ == "__main__":
    SCHEMA_PATH.write_text(render_schema())
