"""Loading 100,000 records takes no more memory than 3,000 do, and the 3,000 of objects.json take under 1.5 seconds.

As whole processes, the server already running. The larger file holds the records of objects.json again and again,
under other ids. Memory is the largest resident set that the process ever had.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import psycopg2

from data_contract_components.data_assets._query_postgres_helper import database_url
from data_contract_components.data_assets.seed_db import RECORDS_PATH

ROOT = Path(__file__).resolve().parents[1]
DATABASE = "benchmark_seeding"
ROUNDS = 7
LARGE_RECORDS = 100_000
LIMIT_SECONDS = 1.5
LIMIT_MEMORY_RATIO = 1.5
# Prints the largest resident set in bytes; ru_maxrss is in kilobytes on Linux, in bytes on macOS.
PROGRAM = """
import resource, sys
from data_contract_components.data_assets.seed_db import main
status = main(sys.argv[1:])
unit = 1 if sys.platform == "darwin" else 1024
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
sys.exit(status)
"""


def seed(path: Path, url: str) -> tuple[float, int]:
    """Seconds, and bytes of memory."""
    start = time.perf_counter()
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path)],
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": url},
        check=True,
        capture_output=True,
        text=True,
    )
    return time.perf_counter() - start, int(result.stdout.splitlines()[-1])


def write_large_file(path: Path) -> None:
    records = json.loads(RECORDS_PATH.read_text(encoding="utf-8"))
    with path.open("w", encoding="utf-8") as file:
        for number in range(LARGE_RECORDS):
            record = records[number % len(records)] | {"objectID": number}
            file.write(("[\n" if number == 0 else ",\n") + json.dumps(record, ensure_ascii=False))
        file.write("\n]\n")


def measure(url: str) -> int:
    small = [seed(RECORDS_PATH, url) for _ in range(ROUNDS)]
    seconds = statistics.median(seconds for seconds, _ in small)
    small_bytes = max(size_bytes for _, size_bytes in small)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "large.json"
        write_large_file(path)
        file_bytes = path.stat().st_size
        large_seconds, large_bytes = seed(path, url)
    print(f"{RECORDS_PATH.name}: {seconds:.2f} s (at most {LIMIT_SECONDS}), {small_bytes / 1e6:.0f} MB of memory")
    print(
        f"{LARGE_RECORDS:,} records, {file_bytes / 1e6:.0f} MB: {large_seconds:.1f} s, {large_bytes / 1e6:.0f} MB of "
        f"memory, {large_bytes / small_bytes:.2f} times (at most {LIMIT_MEMORY_RATIO})"
    )
    return 0 if seconds <= LIMIT_SECONDS and large_bytes / small_bytes <= LIMIT_MEMORY_RATIO else 1


def main() -> int:
    server_url = database_url()
    url = server_url.replace("/postgres?", f"/{DATABASE}?", 1)
    if url == server_url:
        print("this benchmark runs on the embedded database only: unset DATABASE_URL", file=sys.stderr)
        return 2
    with closing(psycopg2.connect(server_url)) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute(f"drop database if exists {DATABASE} with (force)")
        cursor.execute(f"create database {DATABASE}")
        try:
            subprocess.run(
                [sys.executable, "-m", "alembic", "upgrade", "head"],
                cwd=ROOT / "data_contract_components/data_assets",
                env=os.environ | {"DATABASE_URL": url},
                check=True,
                capture_output=True,
            )
            return measure(url)
        finally:
            cursor.execute(f"drop database {DATABASE} with (force)")


if __name__ == "__main__":
    sys.exit(main())
