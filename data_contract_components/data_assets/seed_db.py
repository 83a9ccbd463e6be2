"""Loads the records of a JSON file into the tables that the migrations built: seed_db.py [FILE]."""

import argparse
import itertools
import json
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

# Run as a file, without the virtual environment: the hint of missing_packages.
sys.path.append(str(Path(__file__).resolve().parents[2]))
from data_contract_components import missing_packages as missing_packages

# isort: split
import psycopg2
from psycopg2.extensions import cursor
from psycopg2.extras import execute_values
from tqdm import tqdm

from data_contract_components.command import command
from data_contract_components.data_assets._museum_records import (
    TABLES,
    RejectedRecord,
    UnreadableRecordsError,
    convert_records,
    read_records,
)
from data_contract_components.data_assets._query_postgres_helper import SQL_DIRECTORY, connect, database_url, read_sql
from data_contract_components.errors import DataContractError, QueryError

RECORDS_PATH = Path(__file__).parent / "db_migrations" / "raw_data" / "objects.json"
BATCH_RECORDS = 2_000

# psycopg2 sends a list as an array of text, which PostgreSQL does not turn into other arrays by itself.
CASTS = {"tags": "%s::json[]", "additionalImages": "%s::text[]"}

MISSING_COLUMNS_SQL = read_sql(SQL_DIRECTORY / "missing_columns.sql")
SUMMARY_SQL = read_sql(SQL_DIRECTORY / "summary.sql")
DEPARTMENTS_SQL = read_sql(SQL_DIRECTORY / "top_departments.sql")


class UnfitTablesError(DataContractError):
    """The tables differ from those that this checkout's migrations build, so nothing was loaded."""

    def __init__(self, missing_columns: list[str]) -> None:
        super().__init__(
            f"the database lacks {', '.join(missing_columns)}; nothing was changed.\n"
            "Rebuild them in data_contract_components/data_assets: `alembic downgrade base`, `alembic upgrade head`. "
            "Where a migration changed them on purpose, change TABLES in _museum_records.py with it."
        )
        self.missing_columns = missing_columns


def load_records(cur: cursor, records: Iterator[Any]) -> tuple[int, list[RejectedRecord]]:
    """The eight tables have the records, and no others; returns their number and the rejected ones. Commits nothing."""
    cur.execute(f"truncate {', '.join(TABLES)}")
    rejected: list[RejectedRecord] = []
    all_rows = convert_records(records, rejected)
    count = 0
    while batch := list(itertools.islice(all_rows, BATCH_RECORDS)):
        for table, columns in TABLES.items():
            casts = ", ".join(["%s", *(CASTS.get(key, "%s") for key in columns.values())])
            statement = f"insert into {table} (object_id, {', '.join(columns)}) values %s"
            rows = [rows_of_record[table] for rows_of_record in batch]
            execute_values(cur, statement, rows, template=f"({casts})", page_size=BATCH_RECORDS)
        count += len(batch)
    return count, rejected


def ensure_tables_fit(cur: cursor) -> None:
    """The database has each table and column of TABLES. Raises: UnfitTablesError with those that it lacks."""
    wanted = [(table, column) for table, columns in TABLES.items() for column in ("object_id", *columns)]
    tables, columns = zip(*wanted, strict=True)
    cur.execute(MISSING_COLUMNS_SQL, (list(tables), list(columns)))
    if missing := [name for (name,) in cur]:
        raise UnfitTablesError(missing)


def get_summary(cur: cursor) -> str:
    """The number of objects, and the largest departments, as text."""
    cur.execute(SUMMARY_SQL)
    objects, public_domain, with_images = cur.fetchone() or ()
    cur.execute(DEPARTMENTS_SQL)
    lines = [f"{objects:,} objects, {public_domain:,} in the public domain, {with_images:,} with images"]
    return "\n".join([*lines, "top departments:", *(f"{count:>8,}  {department}" for department, count in cur)])


@command("nothing was changed")
def main(arguments: list[str] | None = None) -> int:
    """0: all loaded, or --check found no difference; 1: records were rejected, or tables differ; 2: could not run."""
    parser = argparse.ArgumentParser(
        description="Load the museum's records into the tables that the migrations built, and remove what is there.",
        epilog="Exit status: 0 all loaded, or no difference; 1 records rejected, or tables differ; 2 could not run.",
    )
    parser.add_argument("file", type=Path, nargs="?", default=RECORDS_PATH, help="a JSON array (default: %(default)s)")
    parser.add_argument("--skip-rejected", action="store_true", help="load the others when records do not fit")
    parser.add_argument("--rejected-file", type=Path, help="where --skip-rejected writes these (default: beside FILE)")
    parser.add_argument("--check", action="store_true", help="only compare the tables' row counts with the file")
    options = parser.parse_args(arguments)
    if options.rejected_file and not options.skip_rejected:
        parser.error("--rejected-file goes with --skip-rejected")
    if options.rejected_file and options.rejected_file.resolve() == options.file.resolve():
        parser.error("--rejected-file would overwrite FILE")
    try:
        with closing(connect(database_url())) as open_connection, open_connection.cursor() as cur:
            ensure_tables_fit(cur)
            return _check(cur, options.file) if options.check else _seed(cur, options)
    except psycopg2.Error as error:
        raise QueryError(error.pgcode, str(error).strip()) from error


def _seed(cur: cursor, options: argparse.Namespace) -> int:
    count, rejected = load_records(cur, _read_with_progress(options.file))
    for record in rejected:
        print(record, file=sys.stderr)
    if rejected and not options.skip_rejected:
        print(f"{len(rejected)} rejected; nothing was changed (--skip-rejected loads the others)", file=sys.stderr)
        return 1
    if not count:
        raise UnreadableRecordsError(f"{options.file} has no record that fits; nothing was changed")
    if rejected:
        path = options.rejected_file or options.file.with_suffix(".rejected.json")
        _write_rejected(path, rejected, options.file)
        print(f"{len(rejected)} rejected, see {path}", file=sys.stderr)
    cur.connection.commit()
    print(get_summary(cur))
    return 1 if rejected else 0


def _write_rejected(path: Path, rejected: list[RejectedRecord], records_path: Path) -> None:
    """The file at `path` has the rejected records and their reasons; one record is in memory at a time."""
    reasons = {record.position: record.reason for record in rejected}
    with path.open("w", encoding="utf-8") as file:
        for position, record in enumerate(read_records(records_path), start=1):
            if position in reasons:
                entry = {"position": position, "reason": reasons[position], "record": record}
                file.write(("[\n" if position == rejected[0].position else ",\n") + json.dumps(entry))
        file.write("\n]\n")


def _check(cur: cursor, path: Path) -> int:
    rejected: list[RejectedRecord] = []
    expected = sum(1 for _ in convert_records(_read_with_progress(path), rejected))
    cur.execute(" union all ".join(f"select '{table}', count(*) from {table}" for table in TABLES))
    counts = dict(cur.fetchall())
    problems = [f"{table}: expected {expected}, found {counts[table]}" for table in TABLES if counts[table] != expected]
    problems += map(str, rejected)
    for problem in problems:
        print(problem)
    if not problems:
        print(f"each of the {len(TABLES)} tables has as many rows as {path.name} records: {expected:,}")
    return 1 if problems else 0


def _read_with_progress(path: Path) -> Iterator[Any]:
    size_bytes = path.stat().st_size
    with tqdm(total=size_bytes, unit="B", unit_scale=True, desc=path.name, leave=False, disable=None) as progress:
        yield from read_records(path, progress.update)


if __name__ == "__main__":
    sys.exit(main())
