"""The contract tests as a whole process cost at most 1.5 times the imports they stand on, the server already running.

Both commands are run in turns, so that whatever else the machine does meets both; the medians are compared.
"""

import statistics
import subprocess
import sys
import time
from pathlib import Path

from data_contract_components.data_assets._query_postgres_helper import database_url

ROOT = Path(__file__).resolve().parents[1]
ROUNDS = 15
LIMIT = 1.5
IMPORTS = ["-c", "import pandas, sqlalchemy, psycopg2"]
CONTRACT_TESTS = ["-m", "unittest", "data_contract_components/prevention/test_data_contract_violations.py", "-v"]


def seconds(arguments: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> int:
    database_url()  # keeps the embedded server running until the end
    seconds(IMPORTS)
    seconds(CONTRACT_TESTS)
    rounds = [(seconds(IMPORTS), seconds(CONTRACT_TESTS)) for _ in range(ROUNDS)]
    imports, contract_tests = (statistics.median(column) for column in zip(*rounds, strict=True))
    ratio = contract_tests / imports
    print(f"imports {imports:.3f} s, contract tests {contract_tests:.3f} s: {ratio:.2f} times, at most {LIMIT}")
    return 0 if ratio <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
