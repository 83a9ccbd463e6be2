"""The report as one HTML page, which loads nothing. The only rendering that needs a package, Jinja2."""

import base64
import functools
import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Literal

import jinja2
from markupsafe import Markup, escape

from data_contract_components.contract_definition._json_text import render_value
from data_contract_components.escaping import cut_middle
from data_contract_components.prevention.contract_report.contract_report import (
    CheckedContract,
    Conclusion,
    ContractReport,
    ReportedClause,
)
from data_contract_components.prevention.renderings import words
from data_contract_components.prevention.renderings.next_steps import (
    find_next_steps,
    find_weaker_promises,
    render_message,
    render_question,
)
from data_contract_components.prevention.renderings.transitions import find_sunset_notes, find_transition_notes

DIRECTORY = Path(__file__).parent
STYLE = (DIRECTORY / "report_page.css").read_text(encoding="utf-8")
SCRIPT = (DIRECTORY / "report_page.js").read_text(encoding="utf-8")
LONGEST_TEXT = 10_000  # characters
SHORT_NAME = 16  # characters, which fit into the narrowest column

State = Literal["broken", "missing", "loosened", "reported", "waived", "unchecked", "kept"]
# The states of clauses in words, in the order of the page. The style adds a sign and a colour.
STATES: dict[State, str] = {
    "broken": "broken",
    "missing": "missing",
    "reported": "differs, only reported",
    "waived": "broken, but waived",
    "unchecked": "not checked",
    "kept": "kept",
}
CONTRACT_STATES: dict[State, str] = {
    "broken": "broken",
    "missing": "not built yet",
    "loosened": "kept as it is now; breaks what it promised in the base",
    "reported": STATES["reported"],
    "waived": "kept, but for what is waived",
    "unchecked": "not checked",
    "kept": "kept",
}
RARE_STATES = ("missing", "loosened", "waived")  # of contracts; not counted where there is none
OUTCOME_STATES: dict[Conclusion, State] = {
    "passed": "kept",
    "asks": "reported",
    "violations": "broken",
    "could not check": "unchecked",
    "could not compare": "unchecked",
}
# Any other is shown as text: the address comes from a contract, and a link may do more than write a mail.
PLAIN_MAIL_ADDRESS = re.compile(r"[A-Za-z0-9._+-]{1,64}@[A-Za-z0-9.-]{1,255}")


def render_html(report: ContractReport) -> str:
    """The page, from `<!doctype html>` to `</html>`."""
    contracts = [(_find_state(contract, report), contract) for contract in report.contracts]
    contracts.sort(
        key=lambda pair: list(CONTRACT_STATES).index(pair[0])
    )  # contracts of the same state keep their order
    number_of_state = Counter(state for state, _ in contracts)
    # If the database was not read, the list is empty too.
    are_tables_known = report.is_checked or bool(report.tables_without_contract)
    return _load_template().render(
        report=report,
        contracts=contracts,
        number_of_state=number_of_state,
        outcome_state=OUTCOME_STATES[report.conclusion],
        outcome=words.render_outcome(report).capitalize(),
        next_steps=find_next_steps(report),
        weaker=find_weaker_promises(report),
        links=_render_links(report),
        tables=_find_tables(report, contracts),
        number_of_tables=len(words.find_covered_tables(report)) if are_tables_known else None,
    )


@functools.cache
def _load_template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(DIRECTORY),
        autoescape=True,
        finalize=to_html,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["breakable"] = breakable
    environment.globals |= {
        "STATES": STATES,
        "CONTRACT_STATES": CONTRACT_STATES,
        "RARE_STATES": RARE_STATES,
        "words": words,
        "style": Markup(STYLE),
        "script": Markup(SCRIPT),
        "content_security_policy": Markup(_render_content_security_policy()),
        "is_plain_mail_address": PLAIN_MAIL_ADDRESS.fullmatch,
        "group_by_column": _group_by_column,
        "count_states": _count_states,
        "find_sunset_notes": find_sunset_notes,
        "find_transition_notes": find_transition_notes,
        "render_message": render_message,
        "render_question": render_question,
    }
    return environment.get_template("report_page.html.jinja")


def to_html(value: object) -> Markup:
    """A value from the report as HTML: it contains no markup, and does not change how its surroundings are read.

    The template passes each value through it. What is HTML already, as the result of a macro, stays as it is.
    """
    if isinstance(value, Markup):
        return value
    text = cut_middle(render_value(value), LONGEST_TEXT)
    if not text.isprintable():
        # A terminal's colours, marks that turn the direction of writing, spaces that look like none, half a character.
        text = "".join(
            character if character.isprintable() or character in "\n\t" else ascii(character)[1:-1]
            for character in text.replace("\r\n", "\n")
        )
    # GitHub's runner reads a line that begins with "::" as a command.
    html = re.sub(r"(?m)^(\s*):(?=:)", r"\1&#58;", str(escape(text)))
    return Markup(html if text.isascii() else f"<bdi>{html}</bdi>")


def breakable(value: object) -> Markup:
    """A value as HTML between tags, whose lines end after an underscore rather than within a word."""
    html = to_html(value)
    if len(html) <= SHORT_NAME:
        return html
    # Hidden, as a screen reader would read a blank there.
    return Markup(str(html).replace("_", '_<wbr aria-hidden="true">'))


def _render_content_security_policy() -> str:
    """A policy under which nothing is loaded, and only the page's own style and script are used."""
    style, script = (base64.b64encode(hashlib.sha256(part.encode()).digest()).decode() for part in (STYLE, SCRIPT))
    return (
        f"default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _find_state(contract: CheckedContract, report: ContractReport) -> State:
    """The state of the whole contract."""
    if contract.waived_violations and not contract.violations:
        return "waived"
    if contract.violations or contract.is_table_missing:
        if contract.enforcement != "binding":
            return "reported"
        return "missing" if words.is_not_built(contract, report.comparison) else "broken"
    if contract.path in {promise.path for promise in report.broken_promises if not promise.is_deleted}:
        return "loosened"
    return "kept" if report.is_checked and contract.enforcement != "unchecked" else "unchecked"


def _render_links(report: ContractReport) -> list[str]:
    """Where the owner can see what a message is about."""
    source = report.source
    if source is None:
        return []
    names = {"Pull request": source.pull_request, "Branch": source.branch, "Commit": source.commit}
    return [f"{name}: {value}" for name, value in names.items() if value]


def _find_tables(
    report: ContractReport, contracts: Sequence[tuple[State, CheckedContract]]
) -> list[tuple[tuple[str, str], list[tuple[int, State, CheckedContract]]]]:
    """Each table with its contracts, ordered by schema and name; a contract with its number on the page."""
    tables: dict[tuple[str, str], list[tuple[int, State, CheckedContract]]] = {
        (table.table_schema, table.table_name): [] for table in report.tables_without_contract
    }
    for number, (state, contract) in enumerate(contracts, start=1):
        tables.setdefault((contract.table_schema, contract.table_name), []).append((number, state, contract))
    return sorted(tables.items(), key=lambda item: item[0])


def _group_by_column(clauses: Sequence[ReportedClause]) -> list[tuple[str, dict[State, list[ReportedClause]]]]:
    """The clauses of each column by state, in the order of STATES."""
    columns = []
    for column_name, of_column in groupby(clauses, key=lambda clause: clause.column_name):
        clauses_of_column = list(of_column)
        of_state = {state: [clause for clause in clauses_of_column if clause.state == state] for state in STATES}
        columns.append((column_name, {state: found for state, found in of_state.items() if found}))
    return columns


def _count_states(clauses: Sequence[ReportedClause]) -> str:
    states: Counter[State] = Counter(clause.state for clause in clauses)
    return ", ".join(f"{states[state]} {text}" for state, text in STATES.items() if state in states)
