"""What the mutation score of 78 contracts with 8,000 clauses costs per clause, beside the change of one column's type.

On an embedded server of its own. The change is a statement in a savepoint that is rolled back, without any check: what
PostgreSQL needs at least for a broken clause, on the same machine with whatever else it does.
"""

import contextlib
import io
import os
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.contract_checks import write_contracts
from data_contract_components.data_assets._embedded_postgres import start_embedded_postgres, stop_embedded_postgres
from data_contract_components.data_assets._query_postgres_helper import PostgresDB
from data_contract_components.detection.contract_mutation_score.__main__ import main as score

TABLES = 78
CHANGES = 300
LIMIT = 4.0
COLUMNS_SQL = """
    id integer primary key, parent_id integer references t0 (id), name varchar(80) not null unique, tags text[],
    price numeric(10, 2), state state not null, added_at timestamp not null default current_timestamp, is_new boolean
"""


def seconds_of_change(database: PostgresDB) -> float:
    """The median of some changes of a column's type."""
    seconds = []
    with database.transaction() as transaction:
        for _ in range(CHANGES):
            start = time.perf_counter()
            transaction.query("savepoint before; alter table t1 alter name type text using null")
            transaction.query("rollback to savepoint before")
            seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def measure(url: str, directory: Path) -> int:
    database = PostgresDB(url)
    tables = "".join(f"create table t{number} ({COLUMNS_SQL});" for number in range(TABLES))
    database.query(f"create type state as enum ('a', 'b'); {tables} analyze")
    write_contracts(database, directory, TABLES, "1.1.0")
    os.environ["DATABASE_URL"] = url
    output = io.StringIO()
    seconds_before = seconds_of_change(database)
    start = time.perf_counter()
    with contextlib.redirect_stdout(output):
        status = score([str(directory), "--in-place"])
    seconds = time.perf_counter() - start
    change = statistics.mean((seconds_before, seconds_of_change(database)))
    count = int(re.findall(r"of (\d+) noticed", output.getvalue())[-1])
    ratio = seconds / count / change
    print(f"{TABLES} contracts, {count:,} clauses: {seconds:.0f} s, {count / seconds:.0f} clauses per second")
    print(f"a clause costs {ratio:.1f} changes of a column's type (at most {LIMIT})")
    return 0 if status == 0 and ratio <= LIMIT else 1


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        server = Path(name, "server")
        contracts = Path(name, "contracts")
        contracts.mkdir()
        url = start_embedded_postgres(server)
        try:
            return measure(url, contracts)
        finally:
            stop_embedded_postgres(server)


if __name__ == "__main__":
    sys.exit(main())
