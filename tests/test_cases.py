import json
import shutil
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory

from data_contract_components.data_assets._query_postgres_helper import PostgresDB
from data_contract_components.detection._get_data_catalog import get_data_catalog
from data_contract_components.detection._get_data_contract_specs import get_data_contract_specs
from data_contract_components.detection.contract_violation_detector import COMPARED_KEYS, ContractViolationDetector
from tests import BINARIES, start_server

CASES_DIRECTORY = Path(__file__).parent / "cases"
RESET_SQL = """
do $$ declare name text; begin
    for name in
        select nspname from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema'
    loop execute format('drop schema %I cascade', name); end loop;
    drop publication if exists p;
    drop foreign data wrapper if exists w cascade;
    if exists (select from pg_roles where rolname = 'case_owner') then
        drop role case_owner;
    end if;
    create schema public;
end $$
"""


class TestCases(unittest.TestCase):
    """Each folder is a case: `schema.sql` is run, and `contract_spec.json` has the violations of `expected.txt`."""

    maxDiff = None

    def test_each_case_gives_what_is_expected_on_every_version(self) -> None:
        for version, binaries_directory in BINARIES.items():
            database = PostgresDB(start_server(self, binaries_directory))
            for case in sorted(CASES_DIRECTORY.iterdir()):
                with self.subTest(case.name, version=version):
                    database.query(RESET_SQL)
                    database.query((case / "schema.sql").read_text())
                    self.assertEqual(self.violations(case, database), (case / "expected.txt").read_text())

    def violations(self, case: Path, database: PostgresDB) -> str:
        with TemporaryDirectory() as directory:
            shutil.copy(case / "contract_spec.json", Path(directory) / "case_contract_spec.json")
            catalog_df = get_data_catalog(database, {("public", "contracted")})
            violations = ContractViolationDetector(
                get_data_contract_specs(directory), catalog_df
            ).detect_constraint_violations()
        return "".join(f"{violation['column_name']}: {violation['violations']}\n" for violation in violations)

    def test_each_key_of_the_dialect_is_kept_in_one_case_and_broken_in_another(self) -> None:
        expected = "".join(path.read_text() for path in CASES_DIRECTORY.glob("*/expected.txt"))
        kept = json.loads((CASES_DIRECTORY / "kept_every_key/contract_spec.json").read_text())
        kept_keys = {
            *(key for column in kept["schema"]["properties"].values() for key in column["constraints"]),
            *(
                f"array_element_{key}"
                for column in kept["schema"]["properties"].values()
                for key in column.get("array_element", {})
            ),
        }
        self.assertEqual(kept_keys, set(COMPARED_KEYS))
        for key in COMPARED_KEYS:
            words = "Primary Key" if key == "primaryKey" else key.replace("_", " ").title()
            self.assertIn(f": {words}: expected ", expected)
