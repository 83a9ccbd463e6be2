import json
import re
import tomllib
import unittest
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from data_contract_components.data_assets._query_postgres_helper import PostgresDB
from data_contract_components.detection._get_data_catalog import get_data_catalog
from data_contract_components.detection._get_data_contract_specs import get_data_contract_specs
from data_contract_components.detection.contract_violation_detector import COMPARED_KEYS, ContractViolationDetector
from tests import BINARIES, start_server

CASES_DIRECTORY = Path(__file__).parent / "cases"
SHARED_SQL = (CASES_DIRECTORY / "shared.sql").read_text()
SHARED_CONTRACT = json.loads((CASES_DIRECTORY / "shared_contract_spec.json").read_text())
# The keys that may be null in a contract; the name of a type never is.
NULLABLE_KEYS = {
    *("character_maximum_length", "numeric_precision", "numeric_scale", "datetime_precision", "interval_type"),
    *("domain_name", "collation_name", "column_default", "references", "generation_expression"),
    *("array_element_character_maximum_length", "array_element_numeric_precision", "array_element_numeric_scale"),
    "array_element_datetime_precision",
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A promise, SQL, and the violations of the promise after the SQL: one table of a file `cases/<theme>.toml`.

    A file's own `promise`, `table` and `contract`, above its cases, are those of each case that does not give them.

    promise: the constraints and `array_element` of each column, as in a contract. TOML has no null, so "null" is null.
    table: the columns of `contracted`, which is created before `sql` runs. Without it, `sql` does that.
    expected: one violation per line.
    versions: those of PostgreSQL that the case is for, where not all of them know its SQL.
    contract, schema: keys that are added to the contract, and to its schema.
    """

    name: str
    promise: dict[str, dict[str, Any]]
    table: str = ""
    sql: str = ""
    expected: str = ""
    versions: list[int] = field(default_factory=lambda: [int(version) for version in BINARIES])
    contract: dict[str, Any] = field(default_factory=dict)
    schema: dict[str, Any] = field(default_factory=dict)

    def statements(self) -> str:
        return (f"create table contracted ({self.table});\n" if self.table else "") + self.sql

    def spec(self) -> dict[str, Any]:
        properties: dict[str, dict[str, Any]] = {}
        for name, promise in self.promise.items():
            properties[name] = {"constraints": _with_null(promise)}
            if element := properties[name]["constraints"].pop("array_element", None):
                properties[name]["array_element"] = _with_null(element)
        schema = SHARED_CONTRACT["schema"] | _with_null(self.schema) | {"properties": properties}
        return {**SHARED_CONTRACT, **self.contract, "schema": schema}


def _with_null(values: dict[str, Any]) -> dict[str, Any]:
    return {key: None if value == "null" else value for key, value in values.items()}


def read_cases() -> Iterator[Case]:
    for path in sorted(CASES_DIRECTORY.glob("*.toml")):
        theme = tomllib.loads(path.read_text())
        usual = {key: theme.pop(key) for key in ("promise", "table", "contract") if key in theme}
        for name, case in theme.items():
            yield Case(name=f"{path.stem}: {name}", **usual | case)


CASES = list(read_cases())


def get_catalog_after(sql: str, transaction: PostgresDB) -> pd.DataFrame:
    """The catalog of the table `contracted` after `sql`, which is then rolled back."""
    transaction.query("savepoint before")
    transaction.query(sql)
    catalog_df = get_data_catalog(transaction, {("public", "contracted")})
    transaction.query("rollback to savepoint before")
    return catalog_df


def render_violations(case: Case, catalog_df: pd.DataFrame) -> str:
    with TemporaryDirectory() as directory:
        (Path(directory) / "case_contract_spec.json").write_text(json.dumps(case.spec()))
        specs = get_data_contract_specs(directory)
    violations = ContractViolationDetector(specs, catalog_df).detect_constraint_violations()
    return "\n".join(f"{violation['column_name']}: {violation['violations']}" for violation in violations)


class TestCases(unittest.TestCase):
    maxDiff = None

    def test_each_case_has_the_expected_violations_on_every_version(self) -> None:
        # One connection each, as a new one has to read its own catalogs before it answers.
        databases = {
            int(version): self.enterContext(PostgresDB(start_server(self, binaries)).transaction())
            for version, binaries in BINARIES.items()
        }
        for database in databases.values():
            database.query(SHARED_SQL)
        with ThreadPoolExecutor() as pool:
            for case in CASES:
                versions = [version for version in databases if version in case.versions]
                catalogs = pool.map(
                    partial(get_catalog_after, case.statements()), (databases[version] for version in versions)
                )
                seen: list[tuple[pd.DataFrame, str]] = []
                for version, catalog_df in zip(versions, catalogs, strict=True):
                    with self.subTest(case.name, version=version):
                        # Comparing takes the longest, and depends on the catalog alone.
                        known = [violations for seen_df, violations in seen if seen_df.equals(catalog_df)]
                        violations = known[0] if known else render_violations(case, catalog_df)
                        seen.append((catalog_df, violations))
                        self.assertEqual(violations, case.expected.rstrip("\n"))

    def test_each_key_is_kept_and_broken_with_a_value_and_with_null_where_it_may_be_null(self) -> None:
        states: dict[str, set[tuple[str, str]]] = {key: set() for key in COMPARED_KEYS}
        for case in CASES:
            for name, column in case.spec()["schema"]["properties"].items():
                element = {f"array_element_{key}": value for key, value in column.get("array_element", {}).items()}
                for key, value in (column["constraints"] | element).items():
                    words = re.sub("[A-Z]", r" \g<0>", key).replace("_", " ").title()
                    verdict = "broken" if f"{name}: {words}: expected " in case.expected else "kept"
                    states[key].add((verdict, "null" if value is None else "value"))
        for key, found in states.items():
            values = ("value", "null") if key in NULLABLE_KEYS else ("value",)
            self.assertEqual(found, {(verdict, value) for verdict in ("kept", "broken") for value in values}, key)

    def test_no_key_is_compared_that_the_contract_does_not_mention(self) -> None:
        [case] = [case for case in CASES if case.name == "contracts: harmless_keys_not_mentioned"]
        self.assertEqual({key for promise in case.promise.values() for key in promise}, {"data_type"})
        self.assertEqual(case.expected, "")
