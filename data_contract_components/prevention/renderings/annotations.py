"""A report as GitHub's workflow commands, which GitHub shows beside the lines of the pull request."""

from collections.abc import Iterable, Sequence
from itertools import chain

from data_contract_components.contract_definition.contract_spec import WHOLE_TABLE
from data_contract_components.detection.migration_changes.changes import Place
from data_contract_components.escaping import escape_controls
from data_contract_components.prevention.contract_report.contract_report import (
    BrokenPromise,
    ChangedFile,
    ContractReport,
    LineRange,
    ReportedContract,
)
from data_contract_components.prevention.renderings import words

LEVELS = ("error", "warning", "notice")
# GitHub shows ten per step.
SHOWN_ANNOTATIONS = 10
SHOWN_CHARACTERS = 4000


def render_annotations(report: ContractReport) -> str:
    """One workflow command per thing to fix, then one per change that breaks no clause; at most ten, the last counts.

    Source: GitHub's documentation, "Workflow commands for GitHub Actions", and actions/toolkit for the escaping.
    """

    def render(level: str, title: str, text: str, *places: tuple[str, Place | None]) -> str:
        place, name = _find_place(report.diff, level, places)
        return _render_command(level, title, text + name, place)

    commands = [
        render("error", "Contract file to fix", problem.message, ("in", Place(problem.path, problem.line)))
        if problem.line
        # A directory, which has no line.
        else _render_command("error", "Contract file to fix", f"{problem.message}\nin {problem.path}")
        for problem in report.problems
    ]
    if report.error and not commands:
        commands.append(render("error", "Data contracts could not be checked", report.error, ("in", report.place)))
    for contract in report.contracts:
        commands += _render_contract(contract, report, is_binding=contract.enforcement == "binding")
    for contract in report.contracts:
        for finding in words.find_waived(contract):
            places = (("broken by", finding.violation.cause), ("promised in", Place(contract.path, finding.line)))
            text = f"{contract.contract_name}: {finding.text}\n{finding.violation.waiver}"
            commands.append(render("notice", "Data contract violation waived", text, *places))
    if comparison := report.comparison:
        if comparison.error:
            text = f"{comparison.base}: {comparison.error}"
            commands.append(render("error", "Could not compare with the base", text))
        for promise in comparison.broken_promises:
            commands += _render_contract(promise, report, is_binding=report.outcome == "violations")
        for change in comparison.contract_changes:
            commands.append(render("notice", "Data contract changed", str(change), ("in", change.place)))
        for harmless_change, text in words.find_harmless_changes(report):
            commands.append(render("notice", "Changed under contract", text, ("by", harmless_change.place)))
    if len(commands) > SHOWN_ANNOTATIONS:
        others = commands[SHOWN_ANNOTATIONS - 1 :]
        level = next(level for level in LEVELS if any(command.startswith(f"::{level} ") for command in others))
        text = f"{len(others)} more; the job summary shows all"
        commands[SHOWN_ANNOTATIONS - 1 :] = [_render_command(level, "Data contracts", text)]
    return "".join(f"{command}\n" for command in commands)


def _render_contract(contract: ReportedContract, report: ContractReport, *, is_binding: bool) -> list[str]:
    """One command per line to show it on; for what has no line, one per column, or for the missing table.

    For each call that broke promises of the whole table, as they have little in common.
    """
    findings_of_place: dict[tuple[str, Place | None], list[words.Finding]] = {}
    for finding in words.find_findings(contract):
        cause = finding.violation.cause if finding.column_name == WHOLE_TABLE else None
        findings_of_place.setdefault((finding.column_name, cause), []).append(finding)
    title = "Data contract violation"
    if words.is_not_enforced(contract):
        title = "Data contract not enforced"
    elif isinstance(contract, BrokenPromise) and not is_binding:
        title = f"Data contract {'deleted' if contract.is_deleted else 'loosened'}"
    owner = words.render_owner(contract.owner)
    head = f"{contract.contract_name} (owner: {owner}) {words.render_verdict(contract, report.comparison)}:"
    commands: dict[tuple[str, Place | str], tuple[Place | None, list[str]]] = {}
    for (column_name, _), findings in findings_of_place.items():
        first = findings[0].violation
        level = "error" if is_binding and not first.is_earlier else "warning"
        clause_place = Place(contract.path, findings[0].line)
        place, name = _find_place(
            report.diff, level, [("broken by", first.cause), (words.render_line_label(contract), clause_place)]
        )
        lines = []
        for finding in findings:
            lines.append(finding.text)
            lines += [str(finding.violation.waiver)] if finding.violation.waiver else []
            if query := finding.violation.query:
                lines += [f"in {words.render_query_place(query)}:", *words.quote_query(query)]
                lines += [f"hint: {query.hint}"] if query.hint else []
        lines += [words.EARLIER] if first.is_earlier else []
        key = Place(place.path, place.line) if place and place.line else column_name
        commands.setdefault((level, key), (place, [head]))[1].append("\n".join(lines) + name)
    return [_render_command(level, title, "\n".join(texts), place) for (level, _), (place, texts) in commands.items()]


def _find_place(
    diff: tuple[ChangedFile, ...] | None, level: str, labels: Iterable[tuple[str, Place | None]]
) -> tuple[Place | None, str]:
    """The first place that the pull request changed, or else one near it; then also the place in words.

    GitHub shows no other line among the changed files. An error that has no place there is on the first changed line;
    a warning or notice that has none is on no line.
    """
    places = [(label, place) for label, place in labels if place]
    if diff is None:
        with_line = (place for _, place in places if place.line)
        return next(with_line, places[0][1] if places else None), ""
    lines_of = {file.path: file.lines for file in diff}
    of_file = [_move(place, lines_of[place.path]) for _, place in places if place.path in lines_of]
    changed = (place for place in of_file if any(place == other for _, other in places))
    first = (Place(file.path, file.lines[0].first) for file in diff[:1] if level == "error")
    shown = next(chain(changed, of_file, first), None)
    if places and shown != (place := places[0][1]) and (shown is None or place.line or place.path != shown.path):
        return shown, f"\n{places[0][0]} {words.render_place(place.path, place.line)}"
    return shown, ""


def _move(place: Place, lines: Sequence[LineRange]) -> Place:
    """The place on the nearest of the lines; the same place if it is on one of them."""
    line = place.line or lines[0].first
    nearest = min((min(max(line, part.first), part.last) for part in lines), key=lambda found: abs(found - line))
    return place if nearest == place.line else Place(place.path, nearest)


def _render_command(level: str, title: str, message: str, place: Place | None = None) -> str:
    properties = {"file": place and place.path, "line": place and place.line, "title": title}
    text = ",".join(f"{key}={_escape_property(str(value))}" for key, value in properties.items() if value is not None)
    return f"::{level} {text}::{escape_message(message)}"


def escape_message(text: str) -> str:
    text = text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
    return escape_controls(text).replace("%", "%25").replace("\n", "%0A")


def _escape_property(text: str) -> str:
    return escape_message(text).replace(":", "%3A").replace(",", "%2C")
