"""Breaks each clause of each contract, and prints which of them would be noticed.

python -m data_contract_components.detection.contract_mutation_score [CONTRACT_DIRECTORY]
"""

import argparse
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from tqdm import tqdm

from data_contract_components.command import command
from data_contract_components.contract_definition.contract_spec import (
    Contract,
    find_clauses,
    get_enforcement,
    get_today,
)
from data_contract_components.data_assets._migrations import Migrations
from data_contract_components.data_assets._query_postgres_helper import PostgresDB, database_url
from data_contract_components.data_assets._scratch_databases import ScratchDatabases
from data_contract_components.detection._get_data_contract_specs import get_data_contract_specs
from data_contract_components.detection.contract_mutation_score.score import (
    ContractMutations,
    Verdict,
    render_score,
    render_verdicts,
)
from data_contract_components.errors import THIS_CHECKOUT
from data_contract_components.settings import get_settings


@command("nothing was changed")
def main(arguments: list[str] | None = None) -> int:
    """0: each broken clause is noticed; 1: one is not; 2: not all of them could be checked."""
    parser = argparse.ArgumentParser(
        prog="python -m data_contract_components.detection.contract_mutation_score",
        description="Break each clause of each contract in a scratch database, and print which would be noticed.",
        epilog="Exit status: 0 all noticed; 1 something would go unnoticed; 2 something could not be checked.",
    )
    parser.add_argument("contract_directory", type=Path, nargs="?")
    parser.add_argument(
        "--in-place",
        action="store_true",
        help="break the tables of the database itself, and undo it; nobody else can use them meanwhile",
    )
    options = parser.parse_args(arguments)
    contracts = get_data_contract_specs(options.contract_directory)
    with nullcontext(database_url()) if options.in_place else _scratch_database() as url:
        verdicts = _print_verdicts(PostgresDB(url), contracts, options.in_place)
    print(f"mutation score: {render_score(verdicts)}")
    states = {verdict.state for verdict in verdicts}
    if "unnoticed" in states:
        return 1
    return 2 if "already broken" in states or "noticed" not in states else 0


@contextmanager
def _scratch_database() -> Iterator[str]:
    """The URL of a database that the migrations have built; it is dropped afterwards."""
    settings = get_settings()
    with ScratchDatabases(has_surroundings=not settings.before_migrations) as scratch:
        database = scratch.create()
        with Migrations(settings, THIS_CHECKOUT) as migrations:
            migrations.apply_all(database, is_new=True)
        yield database.url


def _print_verdicts(database: PostgresDB, contracts: dict[str, Contract], is_in_place: bool) -> list[Verdict]:
    today = get_today()
    all_verdicts: list[Verdict] = []
    [(database_name,)] = database.get_rows("select pg_catalog.current_database()::text")
    table_catalog = None if is_in_place else database_name
    count = sum(len(find_clauses(contract.spec)) for contract in contracts.values())
    with tqdm(total=count, unit="clause", leave=False, disable=None) as progress:
        for contract_name, contract in contracts.items():
            enforcement = get_enforcement(contract.spec, today)
            if enforcement == "unchecked":
                text = f"{contract_name}: retired, so nothing is noticed"
                progress.update(len(find_clauses(contract.spec)))
            else:
                # One transaction each: PostgreSQL's catalogs grow with what is undone, until the transaction ends.
                with database.transaction() as transaction:
                    transaction.get_rows("set local lock_timeout = '5s'")
                    mutations = ContractMutations(transaction, contract, enforcement, table_catalog)
                    verdicts = mutations.get_verdicts(progress.update)
                    text = render_verdicts(contract_name, verdicts, mutations.find_unpromised())
                all_verdicts += verdicts
            with progress.external_write_mode(sys.stdout):
                print(text, flush=True)
    return all_verdicts


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
