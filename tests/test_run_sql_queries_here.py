import os
import unittest
from typing import Any
from unittest import mock

import nbformat
from nbclient import NotebookClient

from tests import ROOT, DatabaseTestCase, museum_project, run

NOTEBOOK_PATH = ROOT / "run_sql_queries_here.ipynb"
DEPARTMENTS_SQL = "select department, count(*) as objects from object_gallery_info group by 1 order by 2 desc, 1"


def read_notebook() -> Any:
    return nbformat.read(NOTEBOOK_PATH, as_version=4)  # type: ignore[no-untyped-call]


class TestNotebookFile(unittest.TestCase):
    def test_it_is_committed_without_outputs(self) -> None:
        for cell in read_notebook().cells:
            if cell.cell_type == "code":
                self.assertEqual((cell.outputs, cell.execution_count), ([], None), cell.source)


class TestNotebook(DatabaseTestCase):
    def execute(self, *, allow_errors: bool = False) -> list[str]:
        """What each code cell shows: its HTML, or else its text."""
        notebook = read_notebook()
        client = NotebookClient(
            notebook, timeout=120, resources={"metadata": {"path": museum_project()}}, allow_errors=allow_errors
        )
        with mock.patch.dict(os.environ, DATABASE_URL=self.url):
            client.execute()
        outputs = [cell.outputs[0] if cell.outputs else {} for cell in notebook.cells if cell.cell_type == "code"]
        return [
            output.get("text") or output.get("data", {}).get("text/html") or str(output.get("evalue"))
            for output in outputs
        ]

    def test_every_cell_runs_on_the_sample_data(self) -> None:
        run(["data_contract_components.data_assets.seed_db"], museum_project(), self.url, check=True)
        ready, counts, worked, yours, columns, contracts, chart = self.execute()
        self.assertEqual(ready, "Ready: 8 tables.\n")
        self.assertEqual(counts.count("<td>3000</td>"), 8)
        self.assertEqual(worked.count("<tr>"), 5)
        self.assertEqual(yours.count("<tr>"), 10)
        self.assertIn("<td>additional_images</td>", columns)
        self.assertEqual(contracts.count(">object_images_contract_spec</td>"), 4)
        self.assertEqual(contracts.count("<tr>"), 1 + 33)
        for name in self.database.query(DEPARTMENTS_SQL)["department"]:
            self.assertIn(f">{name}</td>", chart)
        self.assertIn("linear-gradient", chart)

    def test_for_empty_tables_it_prints_how_to_fill_them(self) -> None:
        self.assertEqual(self.execute()[0], "The tables are empty. In a terminal: make seed\n")

    def test_without_tables_it_prints_how_to_create_them(self) -> None:
        self.database.query("drop schema public cascade; create schema public")
        self.assertEqual(
            self.execute(allow_errors=True)[0], "The database has no tables yet. In a terminal: make seed\n"
        )
