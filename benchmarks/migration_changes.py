"""Ten revisions on either side cost under 2 seconds more than none; two hundred on either side take under 30.

On either side means that the pull request edits the first of them, so that none is shared: each is applied twice, and
its calls looked at one by one. Each revision makes a table, changes it and adds to the one before. The smallest of
some rounds counts, as whatever else the machine does only adds to it.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from data_contract_components.data_assets._query_postgres_helper import database_url
from data_contract_components.detection._get_data_migration_changes import get_data_migration_changes
from data_contract_components.settings import CHAPTERS_CONFIG, CHECKOUT_DIRECTORY, find_settings

COMPONENTS = "data_contract_components"
MIGRATIONS_PATH = Path("data_contract_components/data_assets/db_migrations")
ROUNDS = 3
LIMIT_SECONDS_OF_TEN = 2.0
LIMIT_SECONDS_OF_TWO_HUNDRED = 30.0
GIT = ["git", "-c", "user.name=Benchmark", "-c", "user.email=benchmark@museum.org"]
REVISION = """
import sqlalchemy as sa
from alembic import op

revision = "{number:03}"
down_revision = {down_revision}


def upgrade():
    op.create_table(
        "table_{number:03}",
        sa.Column("object_id", sa.Integer, primary_key=True, comment="The museum's number."),
        sa.Column("title", sa.Text, comment="What it is called."),
        sa.Column("labels", sa.ARRAY(sa.Text)),
        sa.Column("created_at", sa.DateTime, nullable=False, server_default=sa.text("CURRENT_TIMESTAMP")),
    )
    op.alter_column("table_{number:03}", "title", new_column_name="name")
    op.add_column("table_{previous:03}", sa.Column("added_{number:03}", sa.String(80)))
"""


def write_repository(root: Path, count: int) -> None:
    """The branch `main` with `count` revisions, checked out."""
    versions = root / MIGRATIONS_PATH / "versions"
    versions.mkdir(parents=True)
    (versions / "none.txt").touch()
    for path in (CHAPTERS_CONFIG, MIGRATIONS_PATH / "env.py"):
        shutil.copy(CHECKOUT_DIRECTORY / path, root / path)
    ignored = shutil.ignore_patterns("__pycache__", "db_migrations")
    shutil.copytree(CHECKOUT_DIRECTORY / COMPONENTS, root / COMPONENTS, ignore=ignored, dirs_exist_ok=True)
    for number in range(count):
        down_revision = repr(f"{number - 1:03}") if number else None
        text = REVISION.format(number=number, down_revision=down_revision, previous=max(number - 1, 0))
        (versions / f"{number:03}.py").write_text(text)
    for arguments in (["init", "-q", "-b", "main"], ["add", "--all"], ["commit", "-q", "-m", "Base"]):
        subprocess.run([*GIT, *arguments], cwd=root, check=True)


def seconds(count: int, *, is_edited: bool) -> tuple[float, int]:
    """How long the comparison takes, and how many changes it finds."""
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        write_repository(root, count)
        if is_edited:
            path = root / MIGRATIONS_PATH / "versions/000.py"
            path.write_text(path.read_text().replace('"labels"', '"label"'))
        start = time.perf_counter()
        comparison = get_data_migration_changes("main", find_settings(root))
        return time.perf_counter() - start, len(comparison.changes)


def main() -> int:
    os.environ["DATABASE_URL"] = database_url()  # keeps the embedded server running until the end
    seconds(0, is_edited=False)
    none, _ = min(seconds(0, is_edited=False) for _ in range(ROUNDS))
    ten, ten_changes = min(seconds(10, is_edited=True) for _ in range(ROUNDS))
    shared, _ = seconds(200, is_edited=False)
    two_hundred, changes = seconds(200, is_edited=True)
    print(f"no revision: {none:.2f} s")
    print(f"10 on either side: {ten - none:.2f} s more (at most {LIMIT_SECONDS_OF_TEN}), {ten_changes} change")
    print(f"200, all shared: {shared:.1f} s")
    print(f"200 on either side: {two_hundred:.1f} s (at most {LIMIT_SECONDS_OF_TWO_HUNDRED}), {changes} change")
    is_right = (ten_changes, changes) == (1, 1)
    is_fast = ten - none < LIMIT_SECONDS_OF_TEN and max(shared, two_hundred) < LIMIT_SECONDS_OF_TWO_HUNDRED
    return 0 if is_right and is_fast else 1


if __name__ == "__main__":
    sys.exit(main())
