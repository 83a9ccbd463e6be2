"""What is checked: the contracts, and the catalog of the database that the migrations built."""

import datetime
from typing import NamedTuple

import pandas as pd

from data_contract_components.contract_definition.contract_spec import Contract, ensure_a_contract_binds, get_today
from data_contract_components.data_assets._stale_database import ensure_applied_revisions_are_current
from data_contract_components.detection._consumer_queries import ConsumerState, get_consumer_state
from data_contract_components.detection._get_data_catalog import get_data_catalog
from data_contract_components.detection._get_data_contract_specs import get_data_contract_specs, get_tables


class CurrentState(NamedTuple):
    """The contracts by name, the catalog of their tables, what the database says of their consumers, and the day."""

    contracts: dict[str, Contract]
    catalog_df: pd.DataFrame
    consumer_state: ConsumerState
    today: datetime.date


def read_current_state(today: datetime.date | None = None, *, may_none_bind: bool = False) -> CurrentState:
    """The project's contracts and the catalog of their tables, fit to be compared; `today` None is the day in UTC.

    Raises: DataContractError where a contract is invalid, none binds (unless `may_none_bind`), the database is stale or
        cannot be read.
    """
    today = today or get_today()
    contracts = get_data_contract_specs()
    if not may_none_bind:
        ensure_a_contract_binds(contracts, today)
    ensure_applied_revisions_are_current()
    catalog_df = get_data_catalog(tables=get_tables(contracts))
    return CurrentState(contracts, catalog_df, get_consumer_state(contracts), today)
