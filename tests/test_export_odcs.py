import re
import unittest
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, cast

from data_contract_components.contract_definition.contract_spec import WHOLE_TABLE, Contract, ContractSpec
from data_contract_components.contract_definition.export_odcs import make_document
from data_contract_components.data_assets._query_postgres_helper import PostgresDB
from data_contract_components.detection._get_data_catalog import get_data_catalog
from data_contract_components.detection.contract_violation_detector import ContractViolationDetector
from tests import BINARIES, start_server
from tests.test_cases import CASES, SHARED_SQL, Case

# So that no rule depends on how the session prints things.
OTHER_SETTINGS = """
set local search_path = pg_catalog; set local timezone = 'Asia/Tokyo'; set local datestyle = 'German';
"""
Broken = set[tuple[str, str]]


def find_rules(document: dict[str, Any]) -> dict[tuple[str, str], str]:
    """The queries by column, or WHOLE_TABLE, and the rule's id."""
    [table] = document["schema"]
    places = {WHOLE_TABLE: table} | {column["name"]: column for column in table["properties"]}
    return {(name, rule["id"]): rule["query"] for name, place in places.items() for rule in place.get("quality", [])}


def find_broken(database: PostgresDB, document: dict[str, Any]) -> Broken:
    """What the rules say."""
    broken: Broken = set()
    for place, query in find_rules(document).items():
        database.query(OTHER_SETTINGS)
        [[count]] = database.get_rows(query)
        if count:
            broken.add(place)
    return broken


def find_violations(database: PostgresDB, spec: ContractSpec, contract: Contract) -> Broken:
    """What the detector says, in the same words; of a column that is missing, nothing else."""
    catalog_df = get_data_catalog(database, {contract.table})
    violations = ContractViolationDetector({"a": contract}, catalog_df).find_violations(
        "binding", "reported", "unchecked"
    )
    return {(WHOLE_TABLE if v.key == "additionalColumns" else v.column_name, make_id(v.key)) for v in violations}


def make_id(key: str) -> str:
    return "dataContracts-" + re.sub("[^A-Za-z0-9]+", "-", key).strip("-")


def judge(case: Case, transaction: PostgresDB) -> tuple[Broken, Broken]:
    spec = cast(ContractSpec, case.spec())
    transaction.query("savepoint before")
    transaction.query(case.statements())
    try:
        found = find_broken(transaction, make_document(spec, "3.2"))
        expected = find_violations(transaction, spec, Contract(spec, Path("a"), ""))
    finally:
        transaction.query("rollback to savepoint before")
    missing = {name for name, key in expected if key == make_id("column_name")}
    return {place for place in found if place[0] not in missing}, {p for p in expected if p[0] not in missing}


class TestRules(unittest.TestCase):
    maxDiff = None

    def test_the_rules_of_each_case_are_broken_where_the_detector_finds_violations_on_every_version(self) -> None:
        databases = {
            int(version): self.enterContext(PostgresDB(start_server(self, binaries)).transaction())
            for version, binaries in BINARIES.items()
        }
        for database in databases.values():
            database.query(SHARED_SQL)
        with ThreadPoolExecutor() as pool:
            for case in CASES:
                versions = [version for version in databases if version in case.versions]
                verdicts = pool.map(partial(judge, case), (databases[version] for version in versions))
                for version, (found, expected) in zip(versions, verdicts, strict=True):
                    with self.subTest(case.name, version=version):
                        self.assertEqual(found, expected)
