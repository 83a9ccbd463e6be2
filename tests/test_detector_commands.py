import os
import subprocess
import sys
from pathlib import Path

from data_contract_components.data_assets._query_postgres_helper import PostgresDB
from tests import ProjectTestCase, run, run_embedded_server

DETECTION = Path("data_contract_components/detection")
CONTRACT = Path("data_contract_components/contract_definition/object_images_contract_spec.json")


class TestDetectorCommands(ProjectTestCase):
    """The detectors as commands, typed as a path; the project is on Python's path, as it is when it is installed."""

    def outputs(self) -> list[tuple[int, str]]:
        """Status and output, of the coverage detector and then of the violation detector."""
        environment = os.environ | {"DATABASE_URL": "", "PYTHONPATH": str(self.project)}
        results = [
            subprocess.run(
                [sys.executable, DETECTION / name],
                cwd=self.project,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for name in ("contract_coverage_detector.py", "contract_violation_detector.py")
        ]
        return [(result.returncode, result.stdout) for result in results]

    def test_they_print_what_they_find_and_end_with_the_status_of_it(self) -> None:
        url = run_embedded_server(self.project)
        run(["alembic", "upgrade", "head"], self.project / "data_contract_components/data_assets", check=True)
        self.assertEqual(self.outputs(), [(0, "nothing wrong\n"), (0, "nothing wrong\n")])
        PostgresDB(url).query("alter table object_images drop column primary_image")
        name = "object_images_contract_spec, object_images.primary_image"
        message = "Column 'primary_image' is defined in contract but missing from data catalog"
        self.assertEqual(self.outputs(), [(0, "nothing wrong\n"), (1, f"{name}: {message}\n")])
        PostgresDB(url).query("alter table object_images rename to images")
        status, output = self.outputs()[0]
        self.assertEqual((status, output), (1, "missing: object_images\n"))
        (self.project / CONTRACT).write_text("{")
        for status, output in self.outputs():
            self.assertEqual(status, 2)
            self.assertIn("invalid contract files, nothing was checked:\n", output)
