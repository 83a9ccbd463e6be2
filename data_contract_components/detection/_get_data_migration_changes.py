"""What this checkout does to the data, compared with the base of a pull request.

python -m data_contract_components.detection._get_data_migration_changes --base REF
"""

import argparse
import dataclasses
import json
import re
import sys
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from data_contract_components.command import command
from data_contract_components.contract_definition._json_text import VALUE_CHARACTERS, cut, render_difference
from data_contract_components.contract_definition.contract_spec import Contract, Owner
from data_contract_components.contract_definition.spec_problems import InvalidContractSpecError
from data_contract_components.data_assets._query_postgres_helper import REPOSITORY_DIRECTORY, PostgresDB
from data_contract_components.data_assets._scratch_databases import ScratchDatabases
from data_contract_components.detection._get_data_catalog import get_data_catalog
from data_contract_components.detection._get_data_contract_specs import get_data_contract_specs, get_tables
from data_contract_components.detection.contract_violation_detector import ContractViolationDetector, Violation
from data_contract_components.detection.migration_changes.base_checkout import open_base_checkout
from data_contract_components.detection.migration_changes.changes import ContractChange, SchemaChange
from data_contract_components.detection.migration_changes.contract_changes import (
    CONTRACTS_PATH,
    find_contract_changes,
    match_contracts,
    with_stronger_clauses,
)
from data_contract_components.detection.migration_changes.migration_trace import TableName, Trace
from data_contract_components.detection.migration_changes.migrations import Migrations
from data_contract_components.detection.migration_changes.schema_changes import find_schema_changes
from data_contract_components.errors import ComparisonError, DataContractError
from data_contract_components.escaping import escape_controls

# Title, names of the columns, and rows of cells.
Section = tuple[str, tuple[str, ...], list[tuple[str, ...]]]


@dataclass(frozen=True)
class MigrationComparison:
    """What the pull request itself brings; `base_commit` is where it parted from `base`.

    `violations` are new in this checkout, `earlier_violations` are in the base too. `broken_promises` are violations
    of the base's contracts that this checkout's do not show, as a clause was loosened or removed. `owners` are those of
    the base's contracts; `head_names` are the names that contracts of the base have now.
    """

    base: str
    base_commit: str
    changes: tuple[SchemaChange, ...]
    contract_changes: tuple[ContractChange, ...]
    violations: tuple[Violation, ...]
    earlier_violations: tuple[Violation, ...]
    broken_promises: tuple[Violation, ...]
    owners: dict[str, Owner] = field(default_factory=dict)
    head_names: dict[str, str] = field(default_factory=dict)

    def is_stopped(self, loosened: Literal["fail", "report"] = "fail") -> bool:
        """Whether the pull request must not pass: it breaks a contract, or (unless "report") loosens and breaks one."""
        return bool(self.violations or (loosened == "fail" and self.broken_promises))


def get_data_migration_changes(
    base: str, repository_directory: Path = REPOSITORY_DIRECTORY, *, has_checked_database: bool = False
) -> MigrationComparison:
    """What the working tree, uncommitted edits included, changes since it parted from `base`, a git ref.

    The migrations of both run in scratch databases on the server of database_url(); the checked database is not
    touched. With `has_checked_database`, those of this checkout built that one as well, and what it breaks of the
    promises that were loosened counts too: a revision can do there what it does not do elsewhere. Raises:
    ComparisonError; InvalidContractSpecError of this checkout's contracts; DatabaseUnavailableError.
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
    # The contracts speak of the checked database.
    base_df, head_df = (catalog_df.assign(table_catalog=scratch.checked_database) for catalog_df in catalogs)
    head_names = match_contracts(base_contracts, head_contracts)
    promised_contracts = base_contracts | {
        name: with_stronger_clauses(base_contracts[name], head_contracts[head_name])
        for name, head_name in head_names.items()
    }
    base_violations = ContractViolationDetector(base_contracts, base_df).find_violations("binding")
    promised_violations = ContractViolationDetector(promised_contracts, head_df).find_violations("binding")
    head_violations = ContractViolationDetector(head_contracts, head_df).find_violations("binding")
    if has_checked_database:
        checked_df = get_data_catalog(tables=tables)
        checked_violations = ContractViolationDetector(promised_contracts, checked_df).find_violations("binding")
        known_violations = ContractViolationDetector(head_contracts, checked_df).find_violations("binding")
        promised_violations += _subtract(checked_violations, (*promised_violations, *known_violations))
    contract_names: dict[TableName, set[str]] = {}
    for name, contract in [*base_contracts.items(), *head_contracts.items()]:
        contract_names.setdefault(contract.table, set()).add(name)
    return MigrationComparison(
        base,
        base_commit,
        tuple(find_schema_changes(*traces, head_migrations.paths, contract_names)),
        tuple(find_contract_changes(base_contracts, head_contracts)),
        violations=_subtract(head_violations, base_violations),
        earlier_violations=_subtract(head_violations, _subtract(head_violations, base_violations)),
        broken_promises=_subtract(promised_violations, (*head_violations, *base_violations)),
        owners={name: contract.spec["owner"] for name, contract in base_contracts.items()},
        head_names=head_names,
    )


def _get_base_contracts(directory: Path, base: str) -> dict[str, Contract]:
    try:
        return get_data_contract_specs(directory, may_be_none=True)
    except InvalidContractSpecError as error:
        problems = "\n".join(str(problem).replace(f"{directory}/", "") for problem in error.problems)
        raise ComparisonError(
            f'contracts of the base "{base}" cannot be read:\n{problems}', "Fix them in the base first."
        ) from error


def run_migrations(
    scratch: ScratchDatabases, base: Migrations, head: Migrations, tables: Collection[tuple[str, str]]
) -> tuple[tuple[Trace, Trace], tuple[pd.DataFrame, pd.DataFrame]]:
    """What was done on both sides after the revisions that they share, and their catalogs of `tables` in the end."""
    database = scratch.create()
    for side in (base, head):
        side.begin_reading(database)
    for side in (base, head):
        side.end_reading()
    shared = base.count_shared(head)
    if shared:
        base.begin(database, shared, is_traced=False)
        _, paths = base.end()
        if not base.has_files_of(head, paths):  # the same revisions read other files
            database, shared = scratch.create(), 0
    if shared == len(base.paths):
        base_df = get_data_catalog(PostgresDB(database.url), tables)
        head.begin(database)
        head_trace, _ = head.end()
        base_trace = Trace(head_trace.first, [], head_trace.first)
    else:
        head_database = scratch.create(database)
        base.begin(database)
        head.begin(head_database)
        (base_trace, _), (head_trace, _) = base.end(), head.end()
        base_df = get_data_catalog(PostgresDB(database.url), tables)
        database = head_database
    head_df = get_data_catalog(PostgresDB(database.url), tables)
    return (base_trace, head_trace), (base_df, head_df)


def _subtract(violations: Collection[Violation], known: Collection[Violation]) -> tuple[Violation, ...]:
    """Those that are not known under any contract: a contract's file may have another name."""
    known_facts = {_get_facts(violation) for violation in known}
    return tuple(violation for violation in violations if _get_facts(violation) not in known_facts)


def _get_facts(violation: Violation) -> tuple[str, ...]:
    table = (violation.table_catalog, violation.table_schema, violation.table_name)
    return *table, violation.column_name, violation.key, str(violation)


def render_json(comparison: MigrationComparison) -> str:
    # JSON leaves DEL as it is, and its escape by print() is not JSON.
    return json.dumps(dataclasses.asdict(comparison), indent=2).replace("\x7f", "\\u007f")


def render_table(comparison: MigrationComparison) -> str:
    """Each section as a table with aligned columns."""
    texts: list[str] = []
    for title, names, rows in _get_sections(comparison):
        lines = [names, *([_escape_controls(cell) for cell in row] for row in rows)]
        widths = [max(len(line[position]) for line in lines) for position in range(len(names))]
        padded = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
        texts.append("\n".join([_escape_controls(title), *(f"  {line}".rstrip() for line in padded if rows)]))
    return "\n\n".join(texts)


def render_markdown(comparison: MigrationComparison) -> str:
    """Each section as a table of GitHub's Markdown; what comes from files and the database stands in code spans."""
    texts: list[str] = []
    for title, names, rows in _get_sections(comparison):
        lines = [names, ["---"] * len(names), *([_render_code(cell) for cell in row] for row in rows)]
        table = [f"| {' | '.join(line)} |" for line in lines if rows]
        texts.append("\n\n".join([f"### {_escape_markdown(title)}", *filter(None, ["\n".join(table)])]))
    return "\n\n".join(texts)


def _get_sections(comparison: MigrationComparison) -> list[Section]:
    """The changes of the data, always; the other sections only where they have rows."""
    since = f"since {comparison.base} ({comparison.base_commit[:12]})"
    violation_names = ("contract", "table", "column", "issue")
    changes: Section = (
        f"{'Changes' if comparison.changes else 'No change'} of the data {since}",
        ("table", "column", "change", "under contract", "where"),
        [_render_change(change) for change in comparison.changes],
    )
    others: list[Section] = [
        (
            "Contracts changed: each needs its owner",
            ("contract", "clause", "change", "before", "after", "owner"),
            [_render_contract_change(change) for change in comparison.contract_changes],
        ),
        ("Contracts that this breaks", violation_names, _render_violations(comparison.violations)),
        (
            "Broken promises of the base, which no contract makes any more",
            violation_names,
            _render_violations(comparison.broken_promises),
        ),
        ("Broken before", violation_names, _render_violations(comparison.earlier_violations)),
    ]
    return [changes, *(section for section in others if section[2])]


def _render_change(change: SchemaChange) -> tuple[str, ...]:
    words: str = change.change
    if change.change == "renamed":
        words = f"{'' if change.is_certain else 'likely '}renamed to {change.after}"
    if change.change == "changed":
        words = f"{change.key} {render_difference(change.before, change.after)}"
    name = f"{change.table_schema}.{change.table_name}"
    where = Path(change.place.path).name if change.place else ""
    where += f":{change.place.line}" if change.place and change.place.line else ""
    return name, change.column_name or "", words, ", ".join(change.contract_names), where


def _render_violations(violations: Collection[Violation]) -> list[tuple[str, ...]]:
    return [(v.contract_name, v.table_name, v.column_name, str(v)) for v in violations]


def _render_contract_change(change: ContractChange) -> tuple[str, ...]:
    owner = f"{change.owner_name} <{change.owner_email}>"
    values = (_render_value(change.before), _render_value(change.after))
    return change.contract_name, change.json_path, change.kind, *values, owner


def _render_value(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return cut(text, VALUE_CHARACTERS)


def _escape_controls(text: str) -> str:
    return escape_controls(text).replace("\n", "\\n").replace("\t", "\\t")


def _escape_markdown(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>()#+!|@~-])", r"\\\1", _escape_controls(text))


def _render_code(text: str) -> str:
    """`text` in a code span, in which neither markup nor a mention is read."""
    text = _escape_controls(text).replace("|", "\\|")
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence} {text} {fence}" if "`" in text else f"`{text}`" if text.strip() else text


@command("the scratch databases are gone")
def main(arguments: list[str] | None = None) -> int:
    """0: nothing is broken; 1: a contract, or a promise of the base's; 2: could not compare."""
    parser = argparse.ArgumentParser(
        description="Show what the migrations of this checkout do to the data, compared with the base.",
        epilog="Exit status: 0 no contract broken; 1 broken, or loosened and broken as it was; 2 could not compare.",
    )
    parser.add_argument("--base", required=True, help="a git ref; compared is the commit at which HEAD parted from it")
    parser.add_argument("--format", choices=RENDERERS, default="table", help="default: %(default)s")
    parser.add_argument(
        "--loosened",
        choices=("fail", "report"),
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
    return 1 if comparison.is_stopped(options.loosened) else 0


RENDERERS = {"table": render_table, "json": render_json, "markdown": render_markdown}

if __name__ == "__main__":
    sys.exit(main())
