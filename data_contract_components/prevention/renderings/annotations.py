"""A report as GitHub's workflow commands, which GitHub shows beside the lines of the pull request."""

from collections.abc import Iterable, Iterator
from itertools import chain, starmap

from data_contract_components.contract_definition.contract_spec import WHOLE_TABLE
from data_contract_components.detection.migration_changes.changes import Place
from data_contract_components.escaping import escape_controls
from data_contract_components.prevention.contract_report.contract_report import (
    ChangedFile,
    ContractReport,
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

    def render(level: str, title: str, text: str, places: Iterable[tuple[str, Place | None]] = ()) -> str:
        return _render_in_diff(report.diff, level, title, text, [(label, place) for label, place in places if place])

    commands = [
        render("error", "Contract file to fix", problem.message, [("in", Place(problem.path, problem.line))])
        for problem in report.problems
    ]
    if report.error and not commands:
        commands.append(render("error", "Data contracts could not be checked", report.error, [("in", report.place)]))
    for contract in report.contracts:
        commands += starmap(render, _find_texts(contract, report, is_binding=contract.enforcement == "binding"))
    if comparison := report.comparison:
        if comparison.error:
            text = f"{comparison.base}: {comparison.error}"
            commands.append(render("error", "Could not compare with the base", text))
        for promise in comparison.broken_promises:
            commands += starmap(render, _find_texts(promise, report, is_binding=report.outcome == "violations"))
        for change in comparison.contract_changes:
            commands.append(render("notice", "Data contract changed", str(change), [("in", change.place)]))
        for harmless_change, text in words.find_harmless_changes(report):
            commands.append(render("notice", "Changed under contract", text, [("by", harmless_change.place)]))
    if len(commands) > SHOWN_ANNOTATIONS:
        others = commands[SHOWN_ANNOTATIONS - 1 :]
        level = next(level for level in LEVELS if any(command.startswith(f"::{level} ") for command in others))
        text = f"{len(others)} more; the job summary shows all"
        commands[SHOWN_ANNOTATIONS - 1 :] = [_render_command(level, "Data contracts", text)]
    return "".join(f"{command}\n" for command in commands)


def _find_texts(
    contract: ReportedContract, report: ContractReport, *, is_binding: bool
) -> Iterator[tuple[str, str, str, list[tuple[str, Place | None]]]]:
    """For each column, or for the missing table: level, title, text, and places, the call that broke it first.

    For each call that broke promises of the whole table, as they have little in common.
    """
    findings_of_place: dict[tuple[str, Place | None], list[words.Finding]] = {}
    for finding in words.find_findings(contract):
        cause = finding.violation.cause if finding.column_name == WHOLE_TABLE else None
        findings_of_place.setdefault((finding.column_name, cause), []).append(finding)
    for findings in findings_of_place.values():
        first = findings[0].violation
        clause_place = Place(contract.path, findings[0].line)
        level = "error" if is_binding and not first.is_earlier else "warning"
        owner = words.render_owner(contract.owner)
        lines = [f"{contract.contract_name} (owner: {owner}) {words.render_verdict(contract, report.comparison)}:"]
        for finding in findings:
            lines.append(finding.text)
            if query := finding.violation.query:
                lines += [f"in {words.render_query_place(query)}:", *words.quote_query(query)]
                lines += [f"hint: {query.hint}"] if query.hint else []
        lines += [words.EARLIER] if first.is_earlier else []
        title = "Data contract not enforced" if words.is_not_enforced(contract) else "Data contract violation"
        places = [("broken by", first.cause), (words.render_line_label(contract), clause_place)]
        yield level, title, "\n".join(lines), places


def _render_in_diff(
    diff: tuple[ChangedFile, ...] | None, level: str, title: str, text: str, places: list[tuple[str, Place]]
) -> str:
    """A command at the first of `places` that the pull request changed, or else near it; then its text has the place.

    GitHub shows no other line among the changed files. An error that has no place there is on the first changed line;
    a warning or notice that has none is on no line.
    """
    if diff is None:
        with_line = (place for _, place in places if place.line)
        return _render_command(level, title, text, next(with_line, places[0][1] if places else None))
    lines_of = {file.path: file.lines for file in diff}
    changed = (
        place
        for _, place in places
        if place.line and any(lines.first <= place.line <= lines.last for lines in lines_of.get(place.path, ()))
    )
    of_file = (Place(place.path, lines_of[place.path][0].first) for _, place in places if place.path in lines_of)
    first = (Place(file.path, file.lines[0].first) for file in diff[:1] if level == "error")
    shown = next(chain(changed, of_file, first), None)
    if places and shown != (place := places[0][1]) and (shown is None or place.line or place.path != shown.path):
        text += f"\n{places[0][0]} {words.render_place(place.path, place.line)}"
    return _render_command(level, title, text, shown)


def _render_command(level: str, title: str, message: str, place: Place | None = None) -> str:
    properties = {"file": place and place.path, "line": place and place.line, "title": title}
    text = ",".join(f"{key}={_escape_property(str(value))}" for key, value in properties.items() if value is not None)
    return f"::{level} {text}::{escape_message(message)}"


def escape_message(text: str) -> str:
    text = text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
    return escape_controls(text).replace("%", "%25").replace("\n", "%0A")


def _escape_property(text: str) -> str:
    return escape_message(text).replace(":", "%3A").replace(",", "%2C")
