"""What the two detectors share: the contracts beside the catalog, and how a detector ends as a command."""

import argparse
import datetime
import functools
from collections.abc import Callable, Sequence

import pandas as pd

from data_contract_components.command import add_today
from data_contract_components.contract_definition.contract_spec import Contract, get_today
from data_contract_components.detection._consumer_queries import ConsumerState, get_consumer_state
from data_contract_components.detection._current_state import CurrentState, read_current_state
from data_contract_components.detection._get_data_catalog import get_data_catalog
from data_contract_components.detection._get_data_contract_specs import get_data_contract_specs, get_tables


class ContractDetector:
    """Contracts, catalog and what the database says of consumers; the project's where they are not given.

    With a catalog alone, consumers are not looked at. `today` decides whether a deprecated contract or a waiver still
    counts; None is the day in UTC.
    """

    def __init__(
        self,
        contracts: dict[str, Contract] | None = None,
        catalog_df: pd.DataFrame | None = None,
        consumer_state: ConsumerState | None = None,
        today: datetime.date | None = None,
    ) -> None:
        self.contracts = get_data_contract_specs() if contracts is None else contracts
        self.today = today or get_today()
        if catalog_df is not None:
            self.catalog_df = catalog_df
        if catalog_df is not None or consumer_state is not None:
            self.consumer_state = consumer_state or ConsumerState()

    @functools.cached_property
    def catalog_df(self) -> pd.DataFrame:
        """The catalog of the tables under contract, read when it is first needed."""
        return get_data_catalog(tables=get_tables(self.contracts))

    @functools.cached_property
    def consumer_state(self) -> ConsumerState:
        """What the database says of the consumers, asked when it is first needed."""
        return get_consumer_state(self.contracts)


def run_detector(
    arguments: Sequence[str] | None, description: str, detect: Callable[[CurrentState], Sequence[str]]
) -> int:
    """Prints what `detect` finds in the project's contracts: 0 where it is nothing, 1 otherwise.

    Raises: DataContractError, as read_current_state.
    """
    epilog = "Exit status: 0 nothing wrong; 1 violations; 2 could not check."
    parser = argparse.ArgumentParser(description=description, epilog=epilog)
    add_today(parser)
    findings = detect(read_current_state(parser.parse_args(arguments).today))
    print("\n".join(findings) if findings else "nothing wrong")
    return 1 if findings else 0
