import copy
import datetime
import json
import unittest
from pathlib import Path
from typing import Any

from data_contract_components.contract_definition.contract_spec import Contract
from data_contract_components.contract_definition.spec_problems import find_spec_problems
from data_contract_components.detection.contract_violation_detector import COMPARED_KEYS
from data_contract_components.detection.migration_changes.contract_changes import (
    find_clause_changes,
    find_contract_changes,
    with_stronger_clauses,
)
from tests import read_data
from tests.contracts import chapters_spec

ABSENT = object()
TARGET = {"table_schema": "public", "table_name": "object", "column_name": "object_id"}
CLAUSES = json.loads(read_data("clause_changes.json"))
# Of each key: two values, and what the way there and back are, to readers, and where there are writers.
CONSTRAINTS: dict[str, list[Any]] = CLAUSES["columns"]
# The type that a column needs, so that a contract may have the key.
TYPES = {
    "character_maximum_length": "character varying",
    "numeric_precision": "numeric",
    "numeric_scale": "numeric",
    "datetime_precision": "time with time zone",
    "interval_type": "interval",
}


def spec_with(path: str = "x-nothing", value: Any = None, **more: Any) -> Any:
    """A contract in which `value` stands at `path`, or nothing where it is ABSENT."""
    spec: Any = chapters_spec(**{"spec-version": "1.2.0"}, **more)
    column = {"constraints": {"data_type": "ARRAY"}, "array_element": {"data_type": "text"}}
    spec["schema"]["properties"] = {"c": column}
    *keys, last = path.split(".")
    part = spec
    for key in keys:
        part = part[key]
    part.pop(last, None)
    if value is not ABSENT:
        part[last] = value
    return spec


def path_of(key: str) -> str:
    if key.startswith("array_element_"):
        return f"schema.properties.c.array_element.{key.removeprefix('array_element_')}"
    return f"schema.properties.c.constraints.{key}"


WRITERS = {"consumers": [{"name": "App", "role": "writer", "reason": "Fills it."}]}


class TestFindClauseChanges(unittest.TestCase):
    def kinds(self, path: str, before: Any, after: Any, **more: Any) -> list[tuple[str, str]]:
        changes = find_clause_changes(spec_with(path, before, **more), spec_with(path, after, **more))
        return [(".".join(map(str, json_path)), kind) for json_path, _, _, kind in changes]

    def test_the_table_of_this_test_has_every_compared_key_with_valid_values(self) -> None:
        self.assertEqual(set(CONSTRAINTS), set(COMPARED_KEYS))
        for key, (value, other, *_) in CONSTRAINTS.items():
            for found in (value, other):
                spec = spec_with(path_of(key), found)
                column = spec["schema"]["properties"]["c"]
                part = "array_element" if key.startswith("array_element_") else "constraints"
                if data_type := TYPES.get(key.removeprefix("array_element_")):
                    column[part]["data_type"] = data_type
                if column["constraints"]["data_type"] != "ARRAY":
                    del column["array_element"]
                self.assertEqual(find_spec_problems(spec), [])

    def test_each_clause_of_a_column_is_loosened_tightened_added_or_removed(self) -> None:
        for key, (value, other, *kinds) in CONSTRAINTS.items():
            path = path_of(key)
            with self.subTest(key):
                self.assertEqual(self.kinds(path, value, copy.deepcopy(value)), [])
                self.assertEqual(self.kinds(path, value, ABSENT), [(path, "removed")])
                self.assertEqual(self.kinds(path, ABSENT, value), [(path, "added")])
                for more, there, back in (({}, *kinds[:2]), (WRITERS, *kinds[2:])):
                    self.assertEqual(self.kinds(path, value, other, **more), [(path, there)])
                    self.assertEqual(self.kinds(path, other, value, **more), [(path, back)])

    def test_other_keys_are_clauses_or_wording(self) -> None:
        for path, kind, *values in CLAUSES["others"]:
            with self.subTest(path, values=values):
                # An empty list stands for no value.
                before, after = (value[0] if value else ABSENT for value in values)
                self.assertEqual(self.kinds(path, before, after), [(path, kind)])

    def test_the_same_promise_written_differently_is_not_a_change(self) -> None:
        self.assertEqual(self.kinds("status", ABSENT, "active"), [])
        self.assertEqual(self.kinds("schema.additionalColumns", ABSENT, True), [])
        self.assertEqual(self.kinds("schema.additionalConstraints", ABSENT, True), [])
        self.assertEqual(self.kinds(path_of("numeric_precision"), 32, 32.0), [])

    def test_an_earlier_sunset_is_loosened_and_a_later_one_tightened(self) -> None:
        def spec(sunset: str | None) -> Any:
            return spec_with(status="deprecated", sunset=sunset) if sunset else spec_with()

        for before, after, kinds in (
            ("2026-01-31", "2026-01-30", ["loosened"]),
            ("2026-01-31", "2026-02-01", ["tightened"]),
            (None, "2026-01-31", ["loosened", "loosened"]),
            ("2026-01-31", None, ["tightened", "tightened"]),
        ):
            changes = find_clause_changes(spec(before), spec(after))
            self.assertEqual([kind for *_, kind in changes], kinds)

    def test_a_waiver_is_loosened_when_it_is_new_or_longer_or_for_another_clause(self) -> None:
        waiver = {"clause": "$.schema.unique[0]", "reason": "a", "agreedBy": "b", "until": "2026-12-10"}
        other = waiver | {"clause": "$.schema.unique[1]"}
        for before, after, expected in (
            (ABSENT, [waiver], [("waivers.0", "loosened")]),
            ([waiver], [other, waiver], [("waivers.0", "loosened")]),
            ([waiver], [other], [("waivers", "tightened"), ("waivers.0", "loosened")]),
            ([waiver], [waiver | {"until": "2026-12-11"}], [("waivers.0.until", "loosened")]),
            ([waiver], [waiver | {"until": "2026-12-09"}], [("waivers.0.until", "tightened")]),
            ([waiver], [waiver | {"reason": "c"}], [("waivers.0.reason", "metadata")]),
            ([waiver, other], [other, waiver], []),
            ([waiver], ABSENT, [("waivers", "tightened")]),
        ):
            with self.subTest(before=before, after=after):
                self.assertEqual(self.kinds("waivers", before, after), expected)

    def test_fewer_days_of_notice_are_loosened(self) -> None:
        for before, after, kind in (
            (30, 29, "loosened"),
            (30, ABSENT, "loosened"),
            (30, 31, "tightened"),
            (ABSENT, 1, "tightened"),
        ):
            self.assertEqual(self.kinds("noticeDays", before, after), [("noticeDays", kind)])

    def test_a_new_bound_is_tightened_and_another_order_of_labels_is_loosened(self) -> None:
        length, labels = path_of("character_maximum_length"), path_of("enum")
        self.assertEqual(self.kinds(length, None, 80), [(length, "tightened")])
        self.assertEqual(self.kinds(length, 80, None), [(length, "loosened")])
        self.assertEqual(self.kinds(labels, ["a", "b"], ["b", "a"]), [(labels, "loosened")])

    def test_a_reference_to_another_column_is_loosened(self) -> None:
        path = path_of("references")
        self.assertEqual(self.kinds(path, TARGET, TARGET | {"column_name": "id"}), [(path, "loosened")])

    def test_another_order_of_fields_is_loosened(self) -> None:
        path = path_of("fields")
        self.assertEqual(self.kinds(path, {"x": "text", "y": "text"}, {"y": "text", "x": "text"}), [(path, "loosened")])

    def test_each_entry_of_a_list_is_a_clause_whatever_its_place_and_the_order_of_its_columns(self) -> None:
        target = {"table_schema": "public", "table_name": "pairs", "columns": ["x", "y"]}
        key = {"columns": ["a", "b"], "references": target}
        turned = {"columns": ["b", "a"], "references": target | {"columns": ["y", "x"]}}
        other = {"columns": ["a", "b"], "references": target | {"columns": ["y", "x"]}}
        for name, before, after, expected in (
            ("unique", [["a"], ["b", "c"]], [["c", "b"], ["a"]], []),
            ("unique", [["a"], ["b", "c"]], [["c", "b"], ["d"]], [("unique", "removed"), ("unique.1", "added")]),
            ("foreignKeys", [key], [turned], []),
            ("foreignKeys", [key], [other], [("foreignKeys", "removed"), ("foreignKeys.0", "added")]),
            ("checks", ["(a > 0)"], ABSENT, [("checks", "removed")]),
            ("checks", ABSENT, ["(a > 0)"], [("checks.0", "added")]),
            ("checks", ABSENT, [], []),
        ):
            with self.subTest(before=before, after=after):
                kinds = self.kinds(f"schema.{name}", before, after)
                self.assertEqual(kinds, [(f"schema.{path}", kind) for path, kind in expected])

    def test_a_new_entry_is_loosened_if_additional_constraints_were_excluded(self) -> None:
        base, head = (spec_with("schema.additionalConstraints", False) for _ in range(2))
        head["schema"]["checks"] = ["(a > 0)"]
        self.assertEqual([kind for *_, kind in find_clause_changes(base, head)], ["loosened"])

    def test_a_new_column_is_loosened_if_additional_columns_were_excluded(self) -> None:
        column = {"constraints": {"data_type": "text"}}
        base, head = spec_with("schema.additionalColumns", False), spec_with("schema.additionalColumns", False)
        head["schema"]["properties"]["d"] = column
        self.assertEqual([kind for *_, kind in find_clause_changes(base, head)], ["loosened"])


TODAY = datetime.date(2026, 6, 1)


def contracts(**specs: Any) -> dict[str, Contract]:
    return {name: Contract(spec, Path(f"{name}.json"), json.dumps(spec, indent=2)) for name, spec in specs.items()}


class TestFindContractChanges(unittest.TestCase):
    def test_the_line_is_that_of_the_clause_or_of_what_contained_it(self) -> None:
        base, head = spec_with(path_of("is_nullable"), False), spec_with("doc", "Other.")
        text = json.dumps(head, indent=2)
        wording, removed = find_contract_changes(contracts(a=base), contracts(a=head), TODAY)
        lines = text.splitlines()
        self.assertIn('"doc"', lines[(wording.place.line or 0) - 1])
        self.assertIn('"constraints"', lines[(removed.place.line or 0) - 1])
        self.assertEqual(removed.json_path, "$.schema.properties.c.constraints.is_nullable")
        self.assertEqual((removed.before, removed.after, removed.kind), (False, None, "removed"))

    def test_the_owner_is_that_of_the_base(self) -> None:
        head = spec_with("owner", {"name": "Nobody", "email": "no@museum.org"})
        changes = find_contract_changes(contracts(a=spec_with()), contracts(a=head), TODAY)
        self.assertEqual({change.owner_email for change in changes}, {"data-eng@museum.org"})

    def test_it_is_known_whether_the_contract_of_the_base_was_binding(self) -> None:
        draft, active = spec_with("status", "draft"), spec_with("status", "active")
        expired = spec_with("status", "deprecated", sunset="2020-01-01")
        for base, head, was_binding in (
            (active, {"a": draft}, True),
            (active, {}, True),
            (draft, {"a": active}, False),
            (draft, {}, False),
            (expired, {}, False),
        ):
            (change,) = find_contract_changes(contracts(a=base), contracts(**head), TODAY)
            self.assertEqual(change.was_binding, was_binding, change)

    def test_whole_contracts_are_added_removed_and_renamed(self) -> None:
        other = spec_with("name", "other")
        changes = find_contract_changes(contracts(a=spec_with()), contracts(b=other), TODAY)
        self.assertEqual(
            [(c.contract_name, c.kind, c.place.line) for c in changes], [("a", "removed", None), ("b", "added", 1)]
        )
        (change,) = find_contract_changes(contracts(a=other), contracts(b=other), TODAY)
        self.assertEqual((change.contract_name, change.kind, change.place.line), ("b", "metadata", 1))


class TestWithStrongerClauses(unittest.TestCase):
    def test_the_contract_of_the_base_gets_the_clauses_that_are_tightened(self) -> None:
        base, head = spec_with(path_of("is_nullable"), True), spec_with(path_of("is_nullable"), False)
        base["schema"]["properties"]["d"] = {"constraints": {"data_type": "text"}}
        both = contracts(base=base, head=head)
        owed: Any = with_stronger_clauses(both["base"], both["head"]).spec
        self.assertFalse(owed["schema"]["properties"]["c"]["constraints"].pop("is_nullable"))
        self.assertTrue(base["schema"]["properties"]["c"]["constraints"].pop("is_nullable"))
        self.assertEqual(owed, base)
