"""The state that the contract tests check, read once for all of them, and their own option."""

import argparse
import datetime
import functools
import sys

from data_contract_components.command import add_today
from data_contract_components.detection._current_state import CurrentState, read_current_state
from data_contract_components.errors import DataContractError
from data_contract_components.escaping import escape_output

Today = datetime.date | None


@functools.cache
def get_state_or_error(today: Today = None) -> CurrentState | DataContractError:
    """The contracts and the catalog, or the reason for which nothing can be checked; read once per process."""
    try:
        return read_current_state(today)
    except DataContractError as error:
        error.args = (escape_output(str(error)),)
        return error


def split_off_today() -> tuple[Today, list[str]]:
    """The day that the command's --today gives, and the command without it."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    add_today(parser)
    options, others = parser.parse_known_args()
    return options.today, [sys.argv[0], *others]
