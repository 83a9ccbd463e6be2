"""What this checkout changes in tables and contracts, compared with the base of a pull request.

python -m data_contract_components.detection._get_data_migration_changes --base REF
"""

import argparse
import dataclasses
import json
import sys
from pathlib import Path

from data_contract_components.command import command
from data_contract_components.contract_definition.contract_spec import Contract
from data_contract_components.contract_definition.spec_problems import InvalidContractSpecError
from data_contract_components.data_assets._query_postgres_helper import REPOSITORY_DIRECTORY
from data_contract_components.data_assets._scratch_databases import ScratchDatabases
from data_contract_components.detection._get_data_catalog import get_data_catalog
from data_contract_components.detection._get_data_contract_specs import (
    CONTRACTS_PATH,
    get_data_contract_specs,
    get_tables,
)
from data_contract_components.detection.contract_violation_detector import render_finding
from data_contract_components.detection.migration_changes.base_checkout import open_base_checkout
from data_contract_components.detection.migration_changes.changes import LOOSENED, SchemaChange
from data_contract_components.detection.migration_changes.comparison import MigrationComparison, Side, compare_sides
from data_contract_components.detection.migration_changes.migrations import Migrations, run_migrations
from data_contract_components.errors import ComparisonError, DataContractError
from data_contract_components.escaping import escape, escape_controls

LINE_CHARACTERS = 1000


def get_data_migration_changes(
    base: str, repository_directory: Path = REPOSITORY_DIRECTORY, *, has_checked_database: bool = False
) -> MigrationComparison:
    """What the working tree, uncommitted edits included, changes since it parted from `base`, a git ref.

    The migrations of both run in scratch databases on the server of database_url(); the checked database is not
    changed. With `has_checked_database`, the migrations of this checkout have built that one too, and it is also read:
    a revision can break there a promise that it keeps elsewhere.
    Raises: ComparisonError; InvalidContractSpecError of this checkout's contracts; DatabaseUnavailableError.
    """
    with open_base_checkout(base, repository_directory) as (base_commit, base_directory):
        base_contracts = _get_base_contracts(base_directory / CONTRACTS_PATH, base)
        head_contracts = get_data_contract_specs(repository_directory / CONTRACTS_PATH, may_be_none=True)
        tables = get_tables(base_contracts) | get_tables(head_contracts)
        with (
            ScratchDatabases() as scratch,
            Migrations(base_directory, f'the base "{base}"', repository_directory) as base_migrations,
            Migrations(repository_directory, "this checkout") as head_migrations,
        ):
            traces, catalogs = run_migrations(scratch, base_migrations, head_migrations, tables)
    # The contracts name the checked database.
    catalogs = tuple(catalog_df.assign(table_catalog=scratch.checked_database) for catalog_df in catalogs)
    return compare_sides(
        base,
        base_commit,
        Side(base_contracts, traces[0], catalogs[0], base_migrations.paths),
        Side(head_contracts, traces[1], catalogs[1], head_migrations.paths),
        get_data_catalog(tables=tables) if has_checked_database else None,
    )


def _get_base_contracts(directory: Path, base: str) -> dict[str, Contract]:
    try:
        return get_data_contract_specs(directory, may_be_none=True)
    except InvalidContractSpecError as error:
        problems = "\n".join(str(problem).replace(f"{directory}/", "") for problem in error.problems)
        raise ComparisonError(
            f'contracts of the base "{base}" cannot be read:\n{problems}', "Fix them in the base first."
        ) from error


def render_json(comparison: MigrationComparison) -> str:
    # JSON leaves DEL as it is, and its escape by print() is not JSON.
    return json.dumps(dataclasses.asdict(comparison), indent=2).replace("\x7f", "\\u007f")


def render_table(comparison: MigrationComparison) -> str:
    """Each section as a heading and one line per change or violation."""
    sections = (
        [_on_one_line(title), *(f"  {_on_one_line(line)}" for line in lines)]
        for title, lines in _get_sections(comparison).items()
    )
    return "\n\n".join("\n".join(lines) for lines in sections)


def render_markdown(comparison: MigrationComparison) -> str:
    """The same as headings and lists in GitHub's Markdown."""
    sections = (
        [f"### {escape(title)}", "", *(f"- {escape(line, LINE_CHARACTERS)}" for line in lines)]
        for title, lines in _get_sections(comparison).items()
    )
    return "\n\n".join("\n".join(lines).strip() for lines in sections)


def _on_one_line(text: str) -> str:
    return escape_controls(text).replace("\n", "\\n").replace("\t", "\\t")


def _get_sections(comparison: MigrationComparison) -> dict[str, list[str]]:
    """The lines by heading: the changes of the data always, the others only where there are any."""
    since = f"since {comparison.base} ({comparison.base_commit[:12]})"
    others = {
        "Changed contracts, the owner must agree": list(map(str, comparison.contract_changes)),
        "Contracts that this checkout breaks": list(map(render_finding, comparison.violations)),
        "Loosened contracts whose old promises are broken": list(map(render_finding, comparison.broken_promises)),
        "Contracts that the base breaks too": list(map(render_finding, comparison.earlier_violations)),
    }
    changes = {
        f"{'Schema changes' if comparison.changes else 'No schema change'} {since}": [
            _render_change(change) for change in comparison.changes
        ]
    }
    return changes | {title: lines for title, lines in others.items() if lines}


def _render_change(change: SchemaChange) -> str:
    """The change, the contracts of its table, and the line that made it."""
    details = [f"under contract {', '.join(change.contract_names)}"] if change.contract_names else []
    if place := change.place:
        details.append(f"{Path(place.path).name}:{place.line}" if place.line else Path(place.path).name)
    return f"{change} ({'; '.join(details)})" if details else str(change)


@command("the scratch databases are dropped")
def main(arguments: list[str] | None = None) -> int:
    """0: no contract is broken; 1: a contract, or a promise of the base, is broken; 2: could not compare."""
    parser = argparse.ArgumentParser(
        description="Show what this checkout changes in tables and contracts, compared with the base.",
        epilog="Exit status: 0 no promise is broken; 1 a contract, or the old promise of a loosened one, is broken; "
        "2 could not compare.",
    )
    parser.add_argument("--base", required=True, help="a git ref; compares with the commit at which HEAD left it")
    parser.add_argument("--format", choices=RENDERERS, default="table", help="default: %(default)s")
    parser.add_argument(
        "--loosened",
        choices=LOOSENED,
        default="fail",
        help="whether a contract that is loosened together with its table fails (default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    try:
        comparison = get_data_migration_changes(options.base)
    except DataContractError as error:
        print(f"could not compare: {error}", file=sys.stderr)
        return 2
    print(RENDERERS[options.format](comparison))
    return 1 if comparison.fails(options.loosened) else 0


RENDERERS = {"table": render_table, "json": render_json, "markdown": render_markdown}

if __name__ == "__main__":
    sys.exit(main())
