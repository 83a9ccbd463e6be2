"""What this checkout changes in tables and contracts, compared with the base of a pull request.

python -m data_contract_components.detection._get_data_migration_changes --base REF
"""

import argparse
import dataclasses
import datetime
import json
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd

from data_contract_components.command import add_today, command
from data_contract_components.contract_definition.contract_spec import Contract, get_today
from data_contract_components.contract_definition.spec_problems import InvalidContractSpecError
from data_contract_components.data_assets._migrations import Migrations
from data_contract_components.data_assets._query_postgres_helper import PostgresDB
from data_contract_components.data_assets._scratch_databases import ScratchDatabase, ScratchDatabases
from data_contract_components.detection._consumer_queries import ConsumerState
from data_contract_components.detection._get_data_catalog import get_data_catalog
from data_contract_components.detection._get_data_contract_specs import get_data_contract_specs, get_tables
from data_contract_components.detection.contract_violation_detector import render_finding
from data_contract_components.detection.migration_changes.changes import LOOSENED, SchemaChange
from data_contract_components.detection.migration_changes.checkouts import open_base_checkout, open_head_checkout
from data_contract_components.detection.migration_changes.comparison import MigrationComparison, Side, compare_sides
from data_contract_components.detection.migration_changes.run_both_sides import run_migrations
from data_contract_components.detection.migration_changes.scratch_verdicts import get_scratch_state
from data_contract_components.errors import THIS_CHECKOUT, ComparisonError, DataContractError, SettingsError
from data_contract_components.escaping import escape, escape_controls
from data_contract_components.settings import Settings, find_settings, get_settings

LINE_CHARACTERS = 1000


def get_data_migration_changes(
    base: str,
    settings: Settings | None = None,
    *,
    has_checked_database: bool = False,
    today: datetime.date | None = None,
) -> MigrationComparison:
    """What the working tree, uncommitted edits included, changes since it parted from `base`, a git ref.

    The migrations of both run in scratch databases on the server of database_url(); the checked database is not
    changed. With `has_checked_database`, the migrations of this checkout have built that one too, and it is also read:
    a revision can break there a promise that it keeps elsewhere. `today` None is the day in UTC.
    Raises: ComparisonError; InvalidContractSpecError of this checkout's contracts; DatabaseUnavailableError.
    """
    settings = settings or get_settings()
    name = f'the base "{base}"'
    with open_base_checkout(base, settings.git_directory) as (base_commit, base_directory):
        base_settings = _get_base_settings(settings, base_directory, name)
        base_contracts = _get_base_contracts(base_settings, name)
        head_contracts = get_data_contract_specs(settings.contracts, settings.git_directory, may_be_none=True)
        tables = get_tables(base_contracts) | get_tables(head_contracts)
        with (
            open_head_checkout(settings.git_directory) as head_directory,
            ScratchDatabases(has_surroundings=not settings.before_migrations) as scratch,
            Migrations(base_settings, name, settings.git_directory) as base_migrations,
            Migrations(settings.at(head_directory), THIS_CHECKOUT, settings.git_directory) as head_migrations,
        ):

            def read(database: ScratchDatabase) -> tuple[pd.DataFrame, ConsumerState]:
                catalog_df = get_data_catalog(PostgresDB(database.url), tables)
                # The contracts name the checked database.
                catalog_df = catalog_df.assign(table_catalog=scratch.checked_database)
                return catalog_df, get_scratch_state(base_contracts, head_contracts, database=database)

            traces, states = run_migrations(scratch, base_migrations, head_migrations, read)
            new_texts = {
                revision: (path, (head_directory / path).read_text(encoding="utf-8", errors="replace"))
                for revision, path in head_migrations.paths.items()
                if revision not in base_migrations.paths
            }
    return compare_sides(
        base,
        base_commit,
        Side(base_contracts, traces[0], *states[0], base_migrations.paths),
        Side(head_contracts, traces[1], *states[1], head_migrations.paths, new_texts),
        get_data_catalog(tables=tables) if has_checked_database else None,
        today or get_today(),
    )


def _get_base_settings(head_settings: Settings, base_directory: Path, name: str) -> Settings:
    """The base's own settings; this checkout's where the base has none yet."""
    settings = head_settings.at(base_directory)
    try:
        own = find_settings(settings.root_directory)
    except SettingsError as error:
        raise ComparisonError(f"the settings of {name} are wrong: {error.reason}", error.way_out) from error
    if own and own.root_directory == settings.root_directory.resolve():
        # The checkout has no .git of its own.
        return replace(own, root_directory=settings.root_directory, git_directory=settings.git_directory)
    sql_path = head_settings.root_directory / settings.before_migrations
    if sql_path.is_file() and not (settings.root_directory / settings.before_migrations).exists():
        return replace(settings, before_migrations=str(sql_path))
    return settings


def _get_base_contracts(settings: Settings, name: str) -> dict[str, Contract]:
    try:
        return get_data_contract_specs(settings.contracts, settings.git_directory, may_be_none=True)
    except InvalidContractSpecError as error:
        problems = "\n".join(str(problem).replace(f"{settings.git_directory}/", "") for problem in error.problems)
        raise ComparisonError(
            f"contracts of {name} cannot be read:\n{problems}", "Fix them in the base first."
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
        "New contracts": [str(change) for change in comparison.contract_changes if change.adds_contract],
        "Changed contracts, the owner must agree": [
            str(change) for change in comparison.contract_changes if not change.adds_contract
        ],
        "Contracts that this checkout breaks": list(map(render_finding, comparison.violations)),
        "Broken for a while, which was agreed": list(map(render_finding, comparison.waived_violations)),
        "Contracts that end without enough notice": list(map(render_finding, comparison.short_notices)),
        "Loosened contracts whose old promises are broken": [
            render_finding(promise) for promise in comparison.broken_promises if promise.key != "sunset"
        ],
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
        epilog="Exit status: 0 no promise is broken; 1 a contract, or the old promise of a loosened one, is broken, or "
        "a contract ends without enough notice; 2 could not compare.",
    )
    parser.add_argument("--base", required=True, help="a git ref; compares with the commit at which HEAD left it")
    parser.add_argument("--format", choices=RENDERERS, default="table", help="default: %(default)s")
    parser.add_argument(
        "--loosened",
        choices=LOOSENED,
        default="fail",
        help="whether a contract that is loosened together with its table fails (default: %(default)s)",
    )
    add_today(parser)
    options = parser.parse_args(arguments)
    try:
        comparison = get_data_migration_changes(options.base, today=options.today)
    except DataContractError as error:
        print(f"could not compare: {error}", file=sys.stderr)
        return 2
    print(RENDERERS[options.format](comparison))
    return 1 if comparison.fails(options.loosened) else 0


RENDERERS = {"table": render_table, "json": render_json, "markdown": render_markdown}

if __name__ == "__main__":
    sys.exit(main())
