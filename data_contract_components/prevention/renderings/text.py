"""A report for the terminal."""

import textwrap
from collections.abc import Sequence

from data_contract_components.escaping import escape_output
from data_contract_components.prevention.contract_report.contract_report import (
    CheckedContract,
    Comparison,
    ContractReport,
    ReportedContract,
)
from data_contract_components.prevention.renderings import words
from data_contract_components.prevention.renderings.next_steps import NextSteps, find_next_steps
from data_contract_components.prevention.renderings.transitions import (
    MAY_BE_DROPPED,
    find_sunset_notes,
    find_transition_notes,
    render_title,
)

WIDTH = 80


def render_text(report: ContractReport) -> str:
    """The outcome, each broken contract with its owner and violations, what changed, the coverage, and what to do.

    A line has at most WIDTH characters, unless it is a path, a call, or one word that is longer.
    """
    outcome = words.render_outcome(report)
    lines = _wrap(outcome) if report.is_checked else [f"{outcome}: {report.error}"]
    lines += _wrap(words.render_day(report))
    for problem in words.find_problems(report):
        lines += ["", *_wrap(problem, "", "  ")]
    for contract in report.contracts:
        if contract.violations or contract.waived_violations:
            lines += ["", *_render_contract(contract, report.comparison)]
    for contract in report.contracts:
        if notes := words.find_query_notes(contract):
            lines += ["", *_wrap(f"{contract.table}: {words.QUERY_NOTES}:", "", "  ")]
            lines += (line for note in notes for line in _wrap(note, "  ", "    "))
    for contract in report.contracts:
        if notes := [*find_transition_notes(contract), *find_sunset_notes(contract)]:
            lines += ["", *_wrap(f"{render_title(contract)}:", "", "  ")]
            for note in notes:
                lines += [f"  {note}"] if note.startswith(MAY_BE_DROPPED) else _wrap(note, "  ", "    ")
    if report.comparison:
        lines += ["", *_render_comparison(report.comparison)]
    elif report.is_checked:
        lines += ["", *_wrap(words.NOT_COMPARED)]
    if report.is_checked:
        lines += ["", *_wrap(words.render_coverage(report))]
    groups = find_next_steps(report)
    for group in groups:
        lines += ["", *_render_steps(group, is_only=len(groups) == 1)]
    return escape_output("\n".join(lines)) + "\n"


def _wrap(text: str, first: str = "", other: str | None = None) -> list[str]:
    """The lines of the text, the first of which begins with `first`, and the others with `other`."""
    other = " " * len(first) if other is None else other
    return textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=other, break_long_words=False, break_on_hyphens=False
    )


def _render_contract(contract: ReportedContract, comparison: Comparison | None) -> list[str]:
    lines = [
        *_wrap(f"{contract.contract_name}, the contract of {contract.table}", "", "  "),
        *_wrap(f"owner: {words.render_owner(contract.owner)}", "  ", "    "),
    ]
    if words.render_verdict(contract, comparison) != "is broken":
        lines += _wrap(words.render_verdict(contract, comparison), "  ", "    ")
    waived = words.find_waived(contract) if isinstance(contract, CheckedContract) else []
    for finding in (*words.find_findings(contract), *waived):
        lines += _wrap(finding.text, "  ", "    ")
        lines += _wrap(str(finding.violation.waiver), "    ") if finding.violation.waiver else []
        if query := finding.violation.query:
            lines += [f"      {line}" for line in words.quote_query(query)]
            lines += _wrap(f"hint: {query.hint}", "    ") if query.hint else []
            lines.append(f"    in {words.render_query_place(query)}")
        if finding.line:
            lines.append(f"    {words.render_line_label(contract)} {words.render_place(contract.path, finding.line)}")
        if finding.violation.is_earlier:
            lines.append("    already broken in the base")
        if cause := finding.violation.cause:
            lines.append(f"    broken by {words.render_place(cause.path, cause.line)}")
    return lines


def _render_comparison(comparison: Comparison) -> list[str]:
    if comparison.error:
        return [f'could not compare with "{comparison.base}": {comparison.error}']
    since = f"since {comparison.base} ({comparison.short_commit})"
    schema_changes = words.count(comparison.changes, "schema change")
    lines = _wrap(f"{since}: {schema_changes}, {words.count(comparison.contract_changes, 'contract change')}")
    for change in (*comparison.changes, *comparison.contract_changes):
        lines += _wrap(str(change), "  ", "    ")
    for promise in comparison.broken_promises:
        lines += ["", *_render_contract(promise, comparison)]
    return lines


def _render_steps(group: NextSteps, *, is_only: bool) -> Sequence[str]:
    lines = _wrap("what to do next:" if is_only else f"what to do next, as {group.title}:")
    for number, step in enumerate(group.steps, start=1):
        lines += _wrap(step, f"  {number}. ")
    lines += _wrap(group.alternative, "  ")
    return lines
