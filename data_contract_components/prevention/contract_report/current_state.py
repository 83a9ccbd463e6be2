"""The state that the contract tests check, read once for all of them."""

import functools

from data_contract_components.detection._current_state import CurrentState, read_current_state
from data_contract_components.errors import DataContractError
from data_contract_components.escaping import escape_output


@functools.cache
def get_state_or_error() -> CurrentState | DataContractError:
    """The contracts and the catalog, or the reason for which nothing can be checked; read once per process."""
    try:
        return read_current_state()
    except DataContractError as error:
        error.args = (escape_output(str(error)),)
        return error
