"""A report as JUnit XML, which GitLab, Jenkins and other servers show as tests: one test case per clause."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal
from xml.etree import ElementTree

from data_contract_components.contract_definition._json_text import render_value
from data_contract_components.contract_definition.contract_spec import WHOLE_TABLE
from data_contract_components.detection.migration_changes.changes import Place
from data_contract_components.escaping import cut, cut_middle, escape_output
from data_contract_components.prevention.contract_report.contract_report import (
    BrokenPromise,
    CheckedContract,
    ContractReport,
    ReportedContract,
)
from data_contract_components.prevention.renderings import words
from data_contract_components.prevention.renderings.next_steps import find_weaker_promises

MESSAGE_CHARACTERS = 1000
DETAIL_CHARACTERS = 20_000
# XML allows no control characters, which are escaped already, and neither of these.
NO_CHARACTERS = re.compile("[\ufffe\uffff]")
Result = Literal["passed", "failure", "error", "skipped"]


@dataclass(frozen=True)
class _Case:
    """A test case; `message` is why it did not pass, `details` are its values, places and owner, or the whole error."""

    class_name: str
    name: str
    result: Result
    message: str = ""
    details: str = ""
    path: str | None = None
    line: int | None = None


def render_junit(report: ContractReport) -> str:
    """The XML document: failures are broken clauses, errors broken promises of the base and what could not be checked.

    It has a failure or an error if and only if the report has not passed. Of the same class, each name is unique, as
    GitLab ignores a second one.
    """
    suites = {"data contracts": list(_find_errors(report))}
    suites |= {contract.contract_name: list(_find_cases(contract)) for contract in report.contracts}
    for promise in report.broken_promises:
        suites[f"{promise.contract_name} (base)"] = list(_find_cases_of_promise(promise, report))
    for name, changes in find_weaker_promises(report).items():
        suites[f"{name} (changes)"] = [
            _Case(
                f"{name} (changes)",
                f"{change.json_path} {change.kind}",
                "skipped",
                f"the owner must agree: {change}",
                path=change.place.path,
                line=change.place.line,
            )
            for change in changes
        ]
    root = ElementTree.Element("testsuites", name="data contracts")
    for name, cases in suites.items():
        if cases:
            root.append(_make_suite(name, cases, report))
    _count(root, [case for cases in suites.values() for case in cases])
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _find_errors(report: ContractReport) -> Iterator[_Case]:
    """What could not be checked or compared."""
    for problem in report.problems:
        name = f"line {problem.line}: {problem.message}" if problem.line else problem.message
        yield _Case(problem.path, name, "error", problem.message, problem.message, problem.path, problem.line)
    if report.error and not report.problems:
        place = report.place or Place("", None)
        yield _Case("data contracts", "check", "error", report.error, report.error, place.path or None, place.line)
    if report.comparison and (error := report.comparison.error):
        yield _Case("data contracts", f"comparison with {report.comparison.base}", "error", error, error)


def _find_cases(contract: CheckedContract) -> Iterator[_Case]:
    """One per clause, and one per violation of what is no clause of its own."""
    findings: dict[tuple[str, str], list[words.Finding]] = {}
    for finding in (*words.find_findings(contract), *words.find_waived(contract)):
        # A column that is not listed breaks a clause of the whole table.
        column_name = WHOLE_TABLE if finding.key == "additionalColumns" else finding.column_name
        findings.setdefault((column_name, finding.key), []).append(finding)
    missing = "table" if contract.is_table_missing else "column"
    for clause in contract.clauses:
        name = f"{clause.column_name} {clause.key}"
        case = _Case(contract.contract_name, name, "passed", path=contract.path, line=clause.line)
        found = findings.pop((clause.column_name, clause.key), [])
        if found or clause.state == "broken":
            case = _with_findings(case, "failure", found, contract)
        # Where the table may be missing, so may each of its columns.
        elif clause.state in ("missing", "waived"):
            case = replace(case, result="skipped", message=f"not compared, as the {missing} is missing")
        elif clause.state == "unchecked":
            case = replace(case, result="skipped", message="not checked")
        yield _without_enforcement(case, contract)
    for (column_name, key), found in findings.items():
        case = _Case(contract.contract_name, f"{column_name} {key}", "passed", path=contract.path, line=found[0].line)
        yield _without_enforcement(_with_findings(case, "failure", found, contract), contract)


def _find_cases_of_promise(promise: BrokenPromise, report: ContractReport) -> Iterator[_Case]:
    for finding in words.find_findings(promise):
        name = f"{finding.column_name} {finding.key}"
        case = _Case(f"{promise.contract_name} (base)", name, "passed", path=promise.path, line=finding.line)
        result: Result = "skipped" if report.outcome == "passed" else "error"
        case = _with_findings(case, result, [finding], promise)
        yield replace(case, message=f"the contract {words.render_verdict(promise)}: {case.message}")


def _with_findings(case: _Case, result: Result, findings: Sequence[words.Finding], contract: ReportedContract) -> _Case:
    lines = []
    for finding in findings:
        lines += [
            f"expected: {words.EXPECTED_WORDS.get(finding.key) or render_value(finding.expected)}",
            f"found: {words.FOUND_WORDS.get(finding.key) or render_value(finding.found)}",
            f"{words.render_line_label(contract)} {words.render_place(contract.path, finding.line)}",
        ]
        if query := finding.violation.query:
            lines += [f"in {words.render_query_place(query)}", *words.quote_query(query)]
            lines += [f"hint: {query.hint}"] if query.hint else []
        if cause := finding.violation.cause:
            lines.append(f"broken by {words.render_place(cause.path, cause.line)}, revision {cause.revision}")
        lines += [words.EARLIER] if finding.violation.is_earlier else []
    lines.append(f"owner: {words.render_owner(contract.owner)}")
    waivers = dict.fromkeys(finding.violation.waiver for finding in findings)
    message = "; ".join([finding.text for finding in findings] + [str(w) for w in waivers if w]) or "broken"
    if waivers and all(waiver and waiver.is_valid for waiver in waivers):
        result = "skipped"
    return replace(case, result=result, message=message, details="\n".join(lines))


def _without_enforcement(case: _Case, contract: CheckedContract) -> _Case:
    """The same case, skipped if nothing of the contract can fail the check."""
    if contract.enforcement == "binding":
        return case
    message = case.message or "kept"
    return replace(
        case, result="skipped", message=f"the contract is not enforced ({words.render_status(contract)}): {message}"
    )


def _make_suite(name: str, cases: Sequence[_Case], report: ContractReport) -> ElementTree.Element:
    suite = ElementTree.Element("testsuite", name=_escape(name, MESSAGE_CHARACTERS))
    _count(suite, cases)
    suite.set("skipped", str(sum(case.result == "skipped" for case in cases)))
    if report.source:
        suite.set("timestamp", report.source.date.removesuffix("Z"))
    for case in cases:
        names = {"classname": case.class_name, "name": case.name, "file": case.path, "line": case.line}
        attributes = {key: _escape(str(value), MESSAGE_CHARACTERS) for key, value in names.items() if value is not None}
        element = ElementTree.SubElement(suite, "testcase", attributes | {"time": "0"})
        if case.result != "passed":
            message = _escape(case.message, MESSAGE_CHARACTERS)
            result = ElementTree.SubElement(element, case.result, message=message)
            result.text = _escape(cut_middle(case.details, DETAIL_CHARACTERS)) or None
    return suite


def _count(element: ElementTree.Element, cases: Sequence[_Case]) -> None:
    element.set("tests", str(len(cases)))
    for name, result in {"failures": "failure", "errors": "error"}.items():
        element.set(name, str(sum(case.result == result for case in cases)))
    element.set("time", "0")


def _escape(text: str, characters: int | None = None) -> str:
    text = escape_output(text if characters is None else cut(text, characters))
    return NO_CHARACTERS.sub(lambda match: ascii(match[0])[1:-1], text)
