"""What a contract check costs beside its imports, beside more tables and contracts, and beside datacontract-cli.

As whole processes, on an embedded server that runs already. The commands are run in turns, so that whatever else the
machine does meets all of them; the medians are compared. Prints the table of docs/development.md. datacontract-cli
(requirements-datacontract-cli.txt) is installed on first use, into its own virtual environment.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from data_contract_components.data_assets._embedded_postgres import start_embedded_postgres, stop_embedded_postgres
from data_contract_components.data_assets._query_postgres_helper import PostgresDB
from data_contract_components.detection._get_data_catalog import CatalogColumn, get_data_catalog
from data_contract_components.detection._table_contract import generate_contract_spec

ROOT = Path(__file__).resolve().parents[1]
ROUNDS = 9
TABLES = 5_000
CONTRACTS = 1_000
COLUMN_TYPES = ("text", "varchar(20)", "numeric(10, 2)", "timestamp", "text[]", "boolean", "bigint")
COLUMNS = ["c0 integer primary key", *(f"c{i} {COLUMN_TYPES[i % len(COLUMN_TYPES)]}" for i in range(1, 20))]
CONTRACT_TESTS = ["-m", "unittest", "data_contract_components/prevention/test_data_contract_violations.py", "-v"]
DATACONTRACT_DIRECTORY = ROOT / ".venv" / "datacontract-cli"
# The chapter's contract in the form that datacontract-cli reads, the Open Data Contract Standard.
DATACONTRACT = """
version: 1.0.0
kind: DataContract
apiVersion: v3.1.0
id: object-images
name: object_images
status: active
servers:
- {{server: met, type: postgres, host: {host}, port: 5432, database: postgres, schema: public}}
schema:
- name: object_images
  physicalType: table
  properties:
  - {{name: object_id, logicalType: integer, physicalType: integer, primaryKey: true, required: true}}
  - {{name: primary_image, logicalType: string, physicalType: text}}
  - {{name: additional_images, logicalType: array, physicalType: array, items: {{name: item, logicalType: string}}}}
  - {{name: created_at, logicalType: timestamp, physicalType: timestamp without time zone, required: true}}
"""


def make_project(directory: Path) -> Path:
    """A copy of the project, whose contracts may be replaced."""
    shutil.copytree(ROOT / "data_contract_components", directory / "data_contract_components")
    return directory


def migrate(url: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "alembic", "upgrade", "head"],
        cwd=ROOT / "data_contract_components/data_assets",
        env=os.environ | {"DATABASE_URL": url},
        check=True,
        capture_output=True,
    )


def add_tables(database: PostgresDB) -> None:
    columns = ", ".join(COLUMNS)
    for start in range(0, TABLES, 500):
        database.query("".join(f"create table t{i} ({columns});" for i in range(start, start + 500)))
    database.query("analyze")


def write_contracts(database: PostgresDB, contract_directory: Path, count: int, spec_version: str) -> None:
    """The contracts of the tables t0, t1 and so on."""
    for path in contract_directory.glob("*.json"):
        path.unlink()
    columns_of_table: dict[str, list[CatalogColumn]] = {}
    for column in CatalogColumn.from_df(get_data_catalog(database, {("public", f"t{i}") for i in range(count)})):
        columns_of_table.setdefault(column.table_name, []).append(column)
    for name, columns in columns_of_table.items():
        words = {
            "name": name,
            "namespace": "benchmark",
            "dataAssetResourceName": f"postgresql://localhost:5432/many.{name}",
            "doc": "",
            "owner": {"name": "benchmark", "email": "benchmark@example.org"},
        }
        spec = generate_contract_spec(columns, {}, spec_version, words)
        (contract_directory / f"{name}_contract_spec.json").write_text(json.dumps(spec, indent=2))


def contract_in_many_tables(contract_directory: Path) -> None:
    for path in contract_directory.glob("*.json"):
        spec = json.loads(path.read_text())
        spec["schema"]["table_catalog"] = "many"
        path.write_text(json.dumps(spec, indent=2))


def install_datacontract_cli() -> Path:
    program = DATACONTRACT_DIRECTORY / "bin" / "datacontract"
    if not program.exists():
        requirements = Path(__file__).with_name("requirements-datacontract-cli.txt")
        subprocess.run([sys.executable, "-m", "venv", "--clear", DATACONTRACT_DIRECTORY], check=True)
        subprocess.run([DATACONTRACT_DIRECTORY / "bin" / "pip", "install", "-qq", "-r", requirements], check=True)
    return program


def timed(command: list[str | Path], directory: Path, **environment: str) -> Callable[[], float]:
    def seconds() -> float:
        start = time.perf_counter()
        subprocess.run(command, cwd=directory, env=os.environ | environment, check=True, capture_output=True)
        return time.perf_counter() - start

    return seconds


def measure(directory: Path, url: str) -> int:
    PostgresDB(url).query("create database many")
    many_url = urlsplit(url)._replace(path="/many").geturl()
    projects = {name: make_project(directory / name) for name in ("one", "one_of_many", "thousand")}
    contracts = "data_contract_components/contract_definition"
    for database_url in (url, many_url):
        migrate(database_url)
    add_tables(PostgresDB(many_url))
    contract_in_many_tables(projects["one_of_many"] / contracts)
    write_contracts(PostgresDB(many_url), projects["thousand"] / contracts, CONTRACTS, "1.0.0")
    datacontract_path = directory / "datacontract.yaml"
    datacontract_path.write_text(DATACONTRACT.format(host=parse_qs(urlsplit(url).query)["host"][0]))

    tests: list[str | Path] = [sys.executable, *CONTRACT_TESTS]
    commands = {
        "import pandas, sqlalchemy, psycopg2": timed(
            [sys.executable, "-c", "import pandas, sqlalchemy, psycopg2"], directory
        ),
        "one contract, eight tables": timed(tests, projects["one"], DATABASE_URL=url),
        f"one contract, {TABLES:,} more tables of 20 columns": timed(
            tests, projects["one_of_many"], DATABASE_URL=many_url
        ),
        f"{CONTRACTS:,} contracts of 20 columns": timed(tests, projects["thousand"], DATABASE_URL=many_url),
        "datacontract-cli, one contract, eight tables": timed(
            [install_datacontract_cli(), "test", datacontract_path],
            directory,
            DATACONTRACT_POSTGRES_USERNAME="postgres",
            DATACONTRACT_POSTGRES_PASSWORD="none",
        ),
    }
    for command in commands.values():
        command()
    rounds = [[command() for command in commands.values()] for _ in range(ROUNDS)]
    seconds = [statistics.median(column) for column in zip(*rounds, strict=True)]
    imports, one, one_of_many, thousand, datacontract = seconds
    limits = [
        ("", True),
        (f"{one / imports:.2f} of the imports, at most 1.3", one / imports <= 1.3),
        (f"{one_of_many / one:.2f} of one in eight, at most 1.2", one_of_many / one <= 1.2),
        (f"{thousand / one:.2f} of one, at most 3.5", thousand / one <= 3.5),
        (f"{datacontract / one:.2f} of one, at least 2.5", datacontract / one >= 2.5),
    ]
    print("| what | seconds | times |\n| --- | ---: | --- |")
    for name, median, (words, _) in zip(commands, seconds, limits, strict=True):
        print(f"| {name} | {median:.2f} | {words} |")
    return 0 if all(is_kept for _, is_kept in limits) else 1


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        url = start_embedded_postgres(directory / "server")
        try:
            return measure(directory, url)
        finally:
            stop_embedded_postgres(directory / "server")


if __name__ == "__main__":
    sys.exit(main())
