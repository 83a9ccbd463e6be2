"""Step 8 of the flow: what the report says of deprecated contracts, besides their violations."""

from data_contract_components.prevention.contract_report.contract_report import CheckedContract
from data_contract_components.prevention.renderings import words

MAY_BE_DROPPED = "may be dropped now: "
MAY_BE_DROPPED_LATER = "its sunset is over; when they have moved, drop it: "
# After so many, also the summary says what is left to do.
UNNOTICED_DAYS = 30


def render_title(contract: CheckedContract) -> str:
    return f"{contract.contract_name}, the contract of {contract.table}, is {words.render_status(contract)}"


def find_transition_notes(contract: CheckedContract) -> list[str]:
    """What takes over from the contract, how its clauses differ, and which consumers have not moved."""
    transition = contract.transition
    if transition is None:
        return []
    taking_over = f"{transition.contract_name}, the contract of {transition.table_schema}.{transition.table_name}"
    notes = [f"replaced by {taking_over}", *(f"there, {text}" for text in transition.differences)]
    if unmoved := transition.unmoved:
        reading = f"query reads {contract.table}"
        notes.append(f"not moved, a {reading}: {', '.join(unmoved.reading)}" if unmoved.reading else f"no {reading}")
    if unmoved and unmoved.not_known:
        notes.append(f"not known whether moved: {', '.join(unmoved.not_known)}")
    return notes


def find_sunset_notes(contract: CheckedContract) -> list[str]:
    """What is left to do when the contract is past its sunset."""
    if contract.days_past_sunset is None:
        return []
    retire = f'set "status" to "retired" in {contract.path}'
    unmoved = contract.transition and contract.transition.unmoved
    may = MAY_BE_DROPPED_LATER if unmoved and unmoved.reading else MAY_BE_DROPPED
    return [f"{may}{contract.drop_call}", f"then {retire}"] if contract.drop_call else [retire]
