import json
import unittest
from typing import Any

from data_contract_components.contract_definition.contract_spec import WHOLE_TABLE
from data_contract_components.detection.migration_changes.causes import find_cause
from data_contract_components.detection.migration_changes.changes import Place, SchemaChange
from tests import read_data


def change(
    kind: Any, column_name: str | None, key: str | None = None, before: Any = None, after: Any = None, table: str = "t"
) -> SchemaChange:
    return SchemaChange(kind, "public", table, column_name, key, before, after, True, (), Place("r.py", 1, "r"))


def find(changes: list[SchemaChange], column_name: str, key: str, *values: Any) -> SchemaChange | None:
    return find_cause(changes, "public", "t", column_name, key, *values)


class TestFindCause(unittest.TestCase):
    def test_the_cause_is_the_change_of_the_key_or_else_of_the_column_or_else_of_the_table(self) -> None:
        table = change("removed", None)
        column = change("renamed", "a", "column_name")
        key = change("changed", "a", "is_nullable")
        self.assertIs(find([table, column, key], "a", "is_nullable"), key)
        self.assertIs(find([table, column, key], "a", "data_type"), column)
        self.assertIs(find([table, column, key], "b", "column_name"), table)

    def test_a_change_of_another_key_column_or_table_is_not_the_cause(self) -> None:
        changes = [change("changed", "a", "is_nullable"), change("changed", None, "comment")]
        self.assertIsNone(find(changes, "a", "data_type"))
        self.assertIsNone(find(changes, "b", "is_nullable"))
        self.assertIsNone(find_cause([change("removed", None)], "other", "t", "a", "column_name"))

    def test_a_whole_type_is_broken_by_whatever_part_of_it_changed(self) -> None:
        other = change("changed", "a", "comment")
        for key, cause in (
            ("physicalType", "numeric_scale"),
            ("physicalType", "array_element_udt_name"),
            ("fields", "field"),
            ("generation_expression", "generation_expression"),
        ):
            with self.subTest(cause):
                of_key = change("changed", "a", cause)
                self.assertIs(find([other, of_key], "a", key), of_key)
                self.assertIsNone(find([other], "a", key))

    def test_a_promise_of_the_whole_table_is_broken_by_the_constraint_or_its_columns(self) -> None:
        for name, case in json.loads(read_data("causes.json")).items():
            changes = [change(*values) for values in case["changes"]]
            with self.subTest(name):
                cause = find(changes, WHOLE_TABLE, case["key"], case["expected"], case["found"])
                self.assertIs(cause, None if case["cause"] is None else changes[case["cause"]])
