import json
import re
from dataclasses import replace

from data_contract_components.data_assets._query_postgres_helper import PostgresDB
from data_contract_components.prevention.contract_report.contract_report import from_json
from tests import CONTRACT_TESTS, CONTRACTS, run, url_of_database
from tests.repositories import CONTRACT, RepositoryTestCase, setUpModule

__all__ = ["setUpModule"]

# The renderings besides that of the last one are made of nothing but its report.
DETECTION = "data_contract_components.detection"
COMMANDS = (
    ["unittest", CONTRACT_TESTS],
    [f"{DETECTION}.contract_coverage_detector"],
    [f"{DETECTION}.contract_violation_detector"],
    [f"{DETECTION}.contract_mutation_score", "--in-place"],
    ["data_contract_components.prevention.report", "--base", "main"],
)


class TestDatabaseNames(RepositoryTestCase):
    """The whole project in a repository, and the tables of its feature branch in databases of several names."""

    def setUp(self) -> None:
        super().setUp()
        self.copy_project()
        self.write(CONTRACTS / "../../.gitignore", "contract_report.json\n__pycache__/\n")

    def migrate(self, name: str) -> str:
        """The URL of the database with the tables of this checkout."""
        server = PostgresDB(self.url)
        if name == "postgres":
            self.addCleanup(server.query, "drop schema public cascade; create schema public")
        else:
            server.query(f"create database {name}")
            self.addCleanup(server.query, f"drop database {name} with (force)")
        directory = self.root / "data_contract_components/data_assets"
        run(["alembic", "upgrade", "head"], directory, url_of_database(name), check=True)
        return url_of_database(name)

    def test_a_contract_that_names_no_database_has_the_same_verdict_and_text_in_each(self) -> None:
        spec = json.loads(self.read(CONTRACT)) | {"spec-version": "1.2.0"}
        del spec["schema"]["table_catalog"]
        gone = spec | {"name": "gone", "schema": spec["schema"] | {"table_name": "gone"}}
        self.write(CONTRACTS / "gone_contract_spec.json", json.dumps(gone, indent=2))
        self.write(CONTRACT, json.dumps(spec, indent=2))
        self.commit_to_main()
        self.write_revision(
            "b",
            'op.drop_column("object_images", "additional_images")\nop.drop_column("object_images", "created_at")',
        )
        columns = spec["schema"]["properties"]
        del columns["created_at"]
        columns["primary_image"]["constraints"]["references"] = {
            "table_schema": "public",
            "table_name": "object",
            "column_name": "object_id",
        }
        self.write(CONTRACT, json.dumps(spec, indent=2))
        self.commit()
        results = []
        for name in ("app", "app_ci", "postgres"):
            url = self.migrate(name)
            outputs = {}
            for command in COMMANDS:
                result = run(command, self.root, url)
                self.assertNotRegex(result.stdout, "could not|errors=")
                outputs[" ".join(command)] = (result.returncode, re.sub(r"in [\d.]+s", "", result.stdout))
            report = from_json((self.root / "contract_report.json").read_text())
            # The source names the database and the time.
            results.append((outputs, replace(report, source=None)))
        self.assertEqual(results[0], results[2])
        self.assertEqual(results[1], results[2])
        self.assertEqual(
            [(contract.table_name, contract.table_catalog, len(contract.violations)) for contract in report.contracts],
            [("gone", None, 4), ("object_images", None, 2)],
        )
        self.assertEqual(len(report.broken_promises), 1)
        self.assertEqual(outputs[" ".join(COMMANDS[1])], (1, "missing: gone\n"))
