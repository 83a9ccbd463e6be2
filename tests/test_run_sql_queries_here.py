import os
import re
import unittest
from typing import Any
from unittest import mock

import nbformat
from nbclient import NotebookClient

from data_contract_components.data_assets._query_postgres_helper import PostgresDB
from tests import BINARIES, ROOT, museum_project, run, start_server

NOTEBOOK_PATH = ROOT / "run_sql_queries_here.ipynb"
DEPARTMENTS_SQL = "select department, count(*) from object_gallery_info group by 1"
CENTURY = re.compile(r"<!-- (-?\d?000(?: B\.C\.)?|0) -->\n")


def read_notebook() -> Any:
    return nbformat.read(NOTEBOOK_PATH, as_version=4)  # type: ignore[no-untyped-call]


class TestNotebookFile(unittest.TestCase):
    def test_it_is_committed_without_outputs(self) -> None:
        for cell in read_notebook().cells:
            if cell.cell_type == "code":
                self.assertEqual((cell.outputs, cell.execution_count), ([], None), cell.source)


class TestNotebook(unittest.TestCase):
    def setUp(self) -> None:
        # A server of its own, as the contract names the database, too.
        self.url = start_server(self, BINARIES["18"])
        self.database = PostgresDB(self.url)
        run(["alembic", "upgrade", "head"], museum_project(), self.url, check=True)

    def execute(self, cells: int | None = None, *, allow_errors: bool = False) -> list[str]:
        """What each of the first `cells` shows last, if it has code: its picture, its HTML, or else its text."""
        notebook = read_notebook()
        notebook.cells = notebook.cells[:cells]
        resources = {"metadata": {"path": museum_project()}}
        # Jupyter may send what one print() writes in two parts.
        options: dict[str, Any] = {"allow_errors": allow_errors, "coalesce_streams": True}
        client = NotebookClient(notebook, timeout=120, resources=resources, **options)
        with mock.patch.dict(os.environ, DATABASE_URL=self.url):
            client.execute()
        outputs = [cell.outputs[-1] if cell.outputs else {} for cell in notebook.cells if cell.cell_type == "code"]
        return [
            output.get("text")
            or output.get("data", {}).get("image/svg+xml")
            or output.get("data", {}).get("text/html")
            or str(output.get("evalue"))
            for output in outputs
        ]

    def test_every_cell_runs_on_the_sample_data(self) -> None:
        run(["data_contract_components.data_assets.seed_db"], museum_project(), self.url, check=True)
        ready, departments, centuries, worked, yours, tables, clauses, kept, broken = self.execute()
        self.assertEqual(ready, "Ready: 8 tables.\n")
        # matplotlib draws text as glyphs, and has the text in a comment.
        for department, objects in self.database.get_rows(DEPARTMENTS_SQL):
            self.assertIn(f"<!-- {department} -->", departments)
            self.assertIn(f"<!-- {objects} -->", departments)
        self.assertEqual(set(CENTURY.findall(centuries)), {"2000 B.C.", "1000 B.C.", "0", "1000", "2000"})
        self.assertEqual(worked.count("<tr>"), 5)
        self.assertEqual(yours.count("<tr>"), 10)
        self.assertEqual(tables.count("<td>3000</td>"), 8)
        self.assertEqual(tables.count("<td>object_images_contract_spec</td>"), 1)
        self.assertEqual(clauses.count("<td>kept</td>"), 26)
        self.assertEqual(clauses.count("<td>timestamp without time zone</td>"), 2)
        self.assertEqual(kept, "All contracts are kept.\n")
        self.assertEqual(
            broken,
            "object_images_contract_spec, object_images.primary_image: "
            "Column 'primary_image' is defined in contract but missing from data catalog\n",
        )

    def test_a_broken_clause_is_shown_beside_what_is_found(self) -> None:
        run(["data_contract_components.data_assets.seed_db"], museum_project(), self.url, check=True)
        self.database.query("alter table object_images drop additional_images, alter primary_image type varchar(200)")
        clauses, broken = self.execute(allow_errors=True)[-3:-1]
        self.assertIn("<td>text</td>\n      <td>character varying</td>\n      <td>broken</td>", clauses)
        self.assertEqual(clauses.count("<td></td>\n      <td>missing</td>"), 6)
        self.assertEqual(clauses.count("<td>kept</td>"), 19)
        self.assertEqual(len(broken.splitlines()), 2)

    def test_for_empty_tables_it_prints_how_to_fill_them(self) -> None:
        self.assertEqual(self.execute(2), ["The tables are empty. In a terminal: make seed\n"])

    def test_without_tables_it_prints_how_to_create_them(self) -> None:
        self.database.query("drop schema public cascade; create schema public")
        self.assertEqual(self.execute(2), ["The database has no tables yet. In a terminal: make seed\n"])
