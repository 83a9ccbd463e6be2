"""200 queries cost under 2 seconds in a check, and 500 under 10 in the comparison with a base.

The queries are of all kinds and read two tables of some columns; a tenth are a writer's, and are run. Those in a check
are measured as what they cost more than none, and the comparison as a whole. The smallest of some rounds counts, as
whatever else the machine does only adds to it.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.migration_changes import MIGRATIONS_PATH, write_repository
from data_contract_components.data_assets._query_postgres_helper import database_url
from data_contract_components.detection._get_data_migration_changes import get_data_migration_changes
from data_contract_components.settings import CHAPTERS_CONTRACTS, find_settings

ROUNDS = 3
REVISIONS = 3
LIMIT_SECONDS_OF_CHECK = 2.0
LIMIT_SECONDS_OF_COMPARISON = 10.0
READER = """
with labelled as (select object_id, unnest(labels) as label from table_000)
select first.object_id, first.name, count(labelled.label) as labels, max(second.created_at) as last_{number}
from table_000 as first
join table_001 as second using (object_id)
left join labelled on labelled.object_id = first.object_id
where first.name like %(pattern)s and second.created_at > now() - interval '{number} days'
group by first.object_id, first.name
order by labels desc
"""
WRITER = "insert into table_000 (object_id, name) values ({number}, 'Made up') on conflict (object_id) do nothing\n"


def write_contract(root: Path, queries: int) -> None:
    """The contract of the first table, with consumers of so many queries."""
    directory = root / CHAPTERS_CONTRACTS
    names = [f"queries/{number:03}.sql" for number in range(queries)]
    for number, name in enumerate(names):
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text((READER if number % 10 else WRITER).format(number=number))
    (path,) = directory.glob("*_contract_spec.json")
    spec = json.loads(path.read_text()) | {"spec-version": "1.2.0"}
    spec["schema"] = {"table_schema": "public", "table_name": "table_000"} | {
        "properties": {"name": {"constraints": {"data_type": "text"}}}
    }
    spec["consumers"] = [
        {"name": role.title(), "role": role, "reason": "It is measured.", "queries": names_of_role}
        for role, names_of_role in (("reader", [n for i, n in enumerate(names) if i % 10]), ("writer", names[::10]))
    ]
    path.write_text(json.dumps(spec, indent=2))


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def check(root: Path) -> Callable[[], object]:
    command = [sys.executable, "-m", "data_contract_components.prevention.report"]

    def run() -> None:
        process = subprocess.run(command, cwd=root, capture_output=True, text=True)
        assert process.returncode == 0, process.stdout + process.stderr

    return run


def compare(root: Path) -> Callable[[], object]:
    def run() -> None:
        comparison = get_data_migration_changes("main", find_settings(root))
        assert not comparison.violations, comparison.violations
        assert not comparison.untried_queries, comparison.untried_queries

    return run


def measure(queries: int, make: Callable[[Path], Callable[[], object]], *, is_changed: bool) -> float:
    """The smallest time of `make` in a repository with so many queries; with a change, in a pull request's."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        write_repository(root, REVISIONS)
        write_contract(root, queries)
        author = ["-c", "user.name=Benchmark", "-c", "user.email=benchmark@museum.org"]
        subprocess.run(["git", "add", "--all"], cwd=root, check=True)
        subprocess.run(["git", *author, "commit", "-qam", "Change"], cwd=root, check=True)
        if is_changed:
            path = root / MIGRATIONS_PATH / "versions/002.py"
            path.write_text(path.read_text().replace('"labels"', '"words"'))
        else:
            command = [sys.executable, "-m", "data_contract_components.data_assets.migrate_db"]
            subprocess.run(command, cwd=root, check=True, capture_output=True)
        call = make(root)
        call()
        return min(seconds(call) for _ in range(ROUNDS))


def main() -> int:
    os.environ["DATABASE_URL"] = database_url()  # keeps the embedded server running until the end
    no_check, checked = (measure(queries, check, is_changed=False) for queries in (0, 200))
    no_comparison, compared = (measure(queries, compare, is_changed=True) for queries in (0, 500))
    print(f"200 queries in a check: {checked - no_check:.2f} s more (at most {LIMIT_SECONDS_OF_CHECK})")
    more = f"{compared - no_comparison:.2f} s more than none"
    print(f"500 queries with a base: {compared:.2f} s (at most {LIMIT_SECONDS_OF_COMPARISON}), {more}")
    is_fast = checked - no_check < LIMIT_SECONDS_OF_CHECK and compared < LIMIT_SECONDS_OF_COMPARISON
    return 0 if is_fast else 1


if __name__ == "__main__":
    sys.exit(main())
