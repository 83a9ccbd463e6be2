"""A report as GitHub's workflow commands, which GitHub shows beside the lines of the pull request."""

from data_contract_components.detection.migration_changes.changes import Place
from data_contract_components.escaping import escape_controls
from data_contract_components.prevention.contract_report.contract_report import ContractReport, ReportedContract
from data_contract_components.prevention.renderings import words

LEVELS = ("error", "warning", "notice")
# GitHub shows ten per step.
SHOWN_ANNOTATIONS = 10
SHOWN_CHARACTERS = 4000


def render_annotations(report: ContractReport) -> str:
    """One workflow command per thing to fix, then one per change that breaks no clause; at most ten, the last counts.

    Source: GitHub's documentation, "Workflow commands for GitHub Actions", and actions/toolkit for the escaping.
    """
    commands = [
        _render_command("error", "Contract file to fix", problem.message, Place(problem.path, problem.line))
        for problem in report.problems
    ]
    if report.error and not commands:
        commands.append(_render_command("error", "Data contracts could not be checked", report.error))
    for contract in report.contracts:
        commands += _render_findings(contract, is_binding=contract.enforcement == "binding")
    if comparison := report.comparison:
        if comparison.error:
            text = f"{comparison.base}: {comparison.error}"
            commands.append(_render_command("error", "Could not compare with the base", text))
        for promise in comparison.broken_promises:
            commands += _render_findings(promise, is_binding=report.outcome == "violations")
        for change in comparison.contract_changes:
            commands.append(_render_command("notice", "Data contract changed", str(change), change.place))
        for harmless_change, text in words.find_harmless_changes(report):
            commands.append(_render_command("notice", "Changed under contract", text, harmless_change.place))
    if len(commands) > SHOWN_ANNOTATIONS:
        others = commands[SHOWN_ANNOTATIONS - 1 :]
        level = next(level for level in LEVELS if any(command.startswith(f"::{level} ") for command in others))
        text = f"{len(others)} more; the job summary shows all"
        commands[SHOWN_ANNOTATIONS - 1 :] = [_render_command(level, "Data contracts", text)]
    return "".join(f"{command}\n" for command in commands)


def _render_findings(contract: ReportedContract, *, is_binding: bool) -> list[str]:
    """One command per column, or for the missing table: at the migration that broke it, or else at the clause."""
    findings_of_column: dict[str, list[words.Finding]] = {}
    for finding in words.find_findings(contract):
        findings_of_column.setdefault(finding.column_name, []).append(finding)
    commands = []
    for findings in findings_of_column.values():
        first = findings[0].violation
        place = first.cause if first.cause and first.cause.line else Place(contract.path, findings[0].line)
        level = "error" if is_binding and not first.is_earlier else "warning"
        owner = words.render_owner(contract.owner)
        lines = [f"{contract.contract_name} (owner: {owner}) {words.render_verdict(contract)}:"]
        lines += [finding.text for finding in findings]
        lines += [words.EARLIER] if first.is_earlier else []
        title = "Data contract not enforced" if words.is_not_enforced(contract) else "Data contract violation"
        commands.append(_render_command(level, title, "\n".join(lines), place))
    return commands


def _render_command(level: str, title: str, message: str, place: Place | None = None) -> str:
    properties = {"file": place and place.path, "line": place and place.line, "title": title}
    text = ",".join(f"{key}={_escape_property(str(value))}" for key, value in properties.items() if value is not None)
    return f"::{level} {text}::{escape_message(message)}"


def escape_message(text: str) -> str:
    text = text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
    return escape_controls(text).replace("%", "%25").replace("\n", "%0A")


def _escape_property(text: str) -> str:
    return escape_message(text).replace(":", "%3A").replace(",", "%2C")
