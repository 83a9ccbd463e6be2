"""What is checked: the contracts, and the catalog of the database that the migrations built."""

import functools
from typing import NamedTuple

import pandas as pd

from data_contract_components.contract_definition.contract_spec import Contract, ensure_a_contract_binds
from data_contract_components.data_assets._applied_revisions import ensure_applied_revisions_are_current
from data_contract_components.detection._get_data_catalog import get_data_catalog
from data_contract_components.detection._get_data_contract_specs import get_data_contract_specs, get_tables
from data_contract_components.errors import DataContractError
from data_contract_components.escaping import escape_output


class CurrentState(NamedTuple):
    """The contracts by name, and the catalog of their tables."""

    contracts: dict[str, Contract]
    catalog_df: pd.DataFrame


def read_current_state() -> CurrentState:
    """Raises: DataContractError, if the contracts, the migration files or the database are not fit to be compared."""
    contracts = get_data_contract_specs()
    ensure_applied_revisions_are_current()
    return CurrentState(contracts, get_data_catalog(tables=get_tables(contracts)))


@functools.cache
def get_state_or_error() -> CurrentState | DataContractError:
    """The same, or the reason for which nothing can be checked; read once per process."""
    try:
        state = read_current_state()
        ensure_a_contract_binds(state.contracts)
    except DataContractError as error:
        error.args = (escape_output(str(error)),)
        return error
    return state
