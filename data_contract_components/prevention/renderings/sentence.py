"""A report as one sentence, for the merge box of a pull request."""

from collections.abc import Sequence
from pathlib import Path

from data_contract_components.escaping import cut, escape_output
from data_contract_components.prevention.contract_report.contract_report import ContractReport, ReportedContract
from data_contract_components.prevention.renderings import words

SHOWN_CHARACTERS = 140  # a longer one is cut in the merge box


def render_sentence(report: ContractReport) -> str:
    """The outcome in one line, with the contract and the owner if there is one."""
    return cut(escape_output(" ".join(_render(report).split())), SHOWN_CHARACTERS)


def _render(report: ContractReport) -> str:
    if not report.is_checked:
        return f"Not checked: {_render_reason(report)}"
    binding = [contract for contract in report.contracts if contract.enforcement == "binding"]
    found = words.find_broken_contracts(report).items()
    if parts := [f"{words.count(broken, 'contract')} {state}: {_render_names(broken)}" for state, broken in found]:
        return "; ".join(parts)
    if problems := words.find_problems(report):
        return f"{words.TO_FIX}: {'; '.join(problems)}"
    if report.comparison and report.comparison.error:
        return f"Not compared with the base: {report.comparison.error}"
    if early := [promise for promise in report.broken_promises if promise.is_only_too_soon]:
        return f"{words.count(early, 'contract')} without enough notice of the end: {_render_names(early)}"
    if promises := report.broken_promises:
        return f"{words.count(promises, 'contract')} loosened or deleted, and broken: {_render_names(promises)}"
    if report.weaker_promises:
        owners = dict.fromkeys(change.owner_name for change in report.weaker_promises)
        return (
            f"{words.count(binding, 'contract')} kept, but less is promised than before: {', '.join(owners)} must agree"
        )
    kept = f"{words.count(binding, 'contract')} kept"
    if waived := [violation.waiver for violation in report.waived_violations if violation.waiver]:
        until = min(waiver.until for waiver in waived)
        return f"{kept}, but for {words.count(waived, 'violation')} waived until {until}"
    return kept


def _render_reason(report: ContractReport) -> str:
    """The error, without what is before the place in it: there is not much room."""
    error, place = report.error or "", report.place
    _, is_found, reason = error.partition(f"{place.path}:{place.line}: ") if place else ("", "", "")
    return f"{Path(place.path).name}:{place.line}: {reason}" if place and is_found else error


def _render_names(contracts: Sequence[ReportedContract]) -> str:
    return ", ".join(f"{cut(contract.contract_name)} (owner: {cut(contract.owner.name)})" for contract in contracts)
