import json
import re
import shutil
import unittest
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from data_contract_components.data_assets._query_postgres_helper import PostgresDB
from data_contract_components.detection._get_data_catalog import get_data_catalog
from data_contract_components.detection._get_data_contract_specs import get_data_contract_specs
from data_contract_components.detection.contract_violation_detector import COMPARED_KEYS, ContractViolationDetector
from tests import BINARIES, start_server

CASES_DIRECTORY = Path(__file__).parent / "cases"
# The first line of a `schema.sql` for some versions only.
VERSIONS_LINE = re.compile(r"-- PostgreSQL ([\d, ]+)\n")
# Those of which a contract can say null; a type's own name is never null.
NULLABLE_KEYS = (
    *("character_maximum_length", "numeric_precision", "numeric_scale", "datetime_precision", "interval_type"),
    *("domain_name", "collation_name", "column_default", "references", "array_element_character_maximum_length"),
    *("array_element_numeric_precision", "array_element_numeric_scale", "array_element_datetime_precision"),
)


def get_catalog_after(sql: str, transaction: PostgresDB) -> pd.DataFrame:
    """The catalog of the contracted table after `sql`, of which nothing is kept."""
    transaction.query("savepoint before")
    transaction.query(sql)
    catalog_df = get_data_catalog(transaction, {("public", "contracted")})
    transaction.query("rollback to savepoint before")
    return catalog_df


class TestCases(unittest.TestCase):
    """Each folder is a case: `schema.sql` is run, and `contract_spec.json` has the violations of `expected.txt`."""

    maxDiff = None

    def test_each_case_gives_what_is_expected_on_every_version(self) -> None:
        # One connection each, as a new one has to read its own catalogs before it answers.
        databases = {
            version: self.enterContext(PostgresDB(start_server(self, binaries)).transaction())
            for version, binaries in BINARIES.items()
        }
        with ThreadPoolExecutor() as pool:
            for case in sorted(CASES_DIRECTORY.iterdir()):
                sql = (case / "schema.sql").read_text()
                match = VERSIONS_LINE.match(sql)
                versions = [version for version in databases if not match or version in match[1].split(", ")]
                catalogs = pool.map(partial(get_catalog_after, sql), (databases[version] for version in versions))
                seen: list[tuple[pd.DataFrame, str]] = []
                for version, catalog_df in zip(versions, catalogs, strict=True):
                    with self.subTest(case.name, version=version):
                        # The verdict takes the longest, and hangs on the catalog alone.
                        known = [violations for seen_df, violations in seen if seen_df.equals(catalog_df)]
                        violations = known[0] if known else self.violations(case, catalog_df)
                        seen.append((catalog_df, violations))
                        self.assertEqual(violations, (case / "expected.txt").read_text())

    def violations(self, case: Path, catalog_df: pd.DataFrame) -> str:
        with TemporaryDirectory() as directory:
            shutil.copy(case / "contract_spec.json", Path(directory) / "case_contract_spec.json")
            specs = get_data_contract_specs(directory)
        violations = ContractViolationDetector(specs, catalog_df).detect_constraint_violations()
        return "".join(f"{violation['column_name']}: {violation['violations']}\n" for violation in violations)

    def test_each_key_of_the_dialect_is_kept_and_broken_with_a_value_and_with_null(self) -> None:
        states: dict[str, set[tuple[str, str]]] = {key: set() for key in COMPARED_KEYS}
        for case in CASES_DIRECTORY.iterdir():
            expected = (case / "expected.txt").read_text()
            schema = json.loads((case / "contract_spec.json").read_text())["schema"]
            for name, column in schema["properties"].items():
                element = {f"array_element_{key}": value for key, value in column.get("array_element", {}).items()}
                for key, value in (column["constraints"] | element).items():
                    words = "Primary Key" if key == "primaryKey" else key.replace("_", " ").title()
                    verdict = "broken" if f"{name}: {words}: expected " in expected else "kept"
                    states[key].add((verdict, "null" if value is None else "value"))
        nullable = set(NULLABLE_KEYS)
        for key, found in states.items():
            values = ("value", "null") if key in nullable else ("value",)
            self.assertEqual(found, {(verdict, value) for verdict in ("kept", "broken") for value in values}, key)

    def test_no_key_is_looked_at_that_the_contract_does_not_mention(self) -> None:
        case = CASES_DIRECTORY / "harmless_keys_not_mentioned"
        spec = json.loads((case / "contract_spec.json").read_text())
        for column in spec["schema"]["properties"].values():
            self.assertEqual([*column["constraints"]], ["data_type"])
