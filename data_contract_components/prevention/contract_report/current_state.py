"""What the contract tests compare: the contracts, and the catalog of the database that the migrations built."""

import functools

import pandas as pd

from data_contract_components.contract_definition.contract_spec import Contract, ensure_a_contract_binds
from data_contract_components.data_assets._applied_revisions import ensure_applied_revisions_are_current
from data_contract_components.detection._get_data_catalog import get_data_catalog
from data_contract_components.detection._get_data_contract_specs import get_data_contract_specs, get_tables
from data_contract_components.errors import DataContractError
from data_contract_components.escaping import escape_output

CurrentState = tuple[dict[str, Contract], pd.DataFrame]


@functools.cache
def get_current_state() -> CurrentState | DataContractError:
    """The contracts and the catalog of their tables, or why they could not be read; once per process."""
    try:
        contracts = get_data_contract_specs()
        ensure_a_contract_binds(contracts)
        ensure_applied_revisions_are_current()
        return contracts, get_data_catalog(tables=get_tables(contracts))
    except DataContractError as error:
        error.args = (escape_output(str(error)),)
        return error
