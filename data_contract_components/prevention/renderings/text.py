"""A report for the terminal."""

import textwrap

from data_contract_components.escaping import escape_output
from data_contract_components.prevention.contract_report.contract_report import (
    COULD_NOT_CHECK,
    Comparison,
    ContractReport,
    ReportedContract,
)
from data_contract_components.prevention.renderings import words

WIDTH = 80


def render_text(report: ContractReport) -> str:
    """The outcome, each broken contract with its owner and violations, what changed, and the coverage."""
    lines = [_render_outcome(report)]
    for contract in report.contracts:
        if contract.violations:
            lines += ["", _render_heading(contract)]
            if words.is_not_enforced(contract):
                lines.append(f"  is not enforced ({words.render_status(contract)})")
            lines += _render_findings(contract)
    if report.comparison:
        lines += ["", *_render_comparison(report.comparison)]
    if report.is_checked:
        lines += ["", *textwrap.wrap(words.render_coverage(report), WIDTH)]
    return escape_output("\n".join(lines)) + "\n"


def _render_outcome(report: ContractReport) -> str:
    if not report.is_checked:
        return f"could not check: {report.error}"
    binding = [contract for contract in report.contracts if contract.enforcement == "binding"]
    broken = sum(bool(contract.violations) for contract in binding)
    contracts = words.count(binding, "contract")
    outcome = "could not compare" if report.outcome == COULD_NOT_CHECK else report.outcome
    text = f"{outcome}: " + (f"{broken} of {contracts} broken" if broken else f"{contracts} kept")
    if report.broken_promises:
        text += f"; {words.count(report.broken_promises, 'contract')} loosened and broken"
    return f"{text}, but what changed since the base is not known" if report.outcome == COULD_NOT_CHECK else text


def _render_heading(contract: ReportedContract) -> str:
    return f"{contract.contract_name}, table {contract.table} ({words.render_owner(contract.owner)})"


def _render_findings(contract: ReportedContract) -> list[str]:
    lines = []
    for finding in words.find_findings(contract):
        lines.append(f"  {finding.text}")
        if query := finding.violation.query:
            lines += [f"      {line}" for line in words.quote_line(query)]
            lines += [f"    hint: {query.hint}"] if query.hint else []
            lines.append(f"    fails in {words.render_place(query.path, query.line)}, column {query.column}")
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
    lines = [f"{since}: {schema_changes}, {words.count(comparison.contract_changes, 'contract change')}"]
    wrapper = textwrap.TextWrapper(WIDTH, "  ", "    ", break_long_words=False, break_on_hyphens=False)
    for change in comparison.changes:
        lines += wrapper.wrap(str(change))
    lines += [f"  {change}" for change in comparison.contract_changes]
    for promise in comparison.broken_promises:
        lines += ["", f"{_render_heading(promise)} {words.render_verdict(promise)}; ask its owner"]
        lines += _render_findings(promise)
    return lines
