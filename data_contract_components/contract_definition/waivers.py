"""Waivers: clauses of a contract that may be broken until a day, because somebody agreed to it.

Renderings import it, so it needs Python only.
"""

import datetime
import itertools
import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from difflib import get_close_matches

from data_contract_components.contract_definition._json_text import render_json_path
from data_contract_components.contract_definition.contract_spec import Contract, ContractSpec, JsonPath, find_clauses

UNNEEDED = "waivers that are no longer needed"
# Before the end of a waiver.
NOTICED_DAYS = 14
# Where the whole table may be missing.
TABLE_CLAUSE = "$.schema.table_name"
DATABASE_CLAUSE = "$.schema.table_catalog"
QUERY_CLAUSE = re.compile(r"\$\.consumers\[\d+\]\.queries\[")


@dataclass(frozen=True)
class Waiver:
    """Who agreed that a clause, by its JSON path, may be broken, and until when; on the last day, `days_left` is 0."""

    clause: str
    reason: str
    agreed_by: str
    until: str
    days_left: int

    @property
    def is_valid(self) -> bool:
        return self.days_left >= 0

    def __str__(self) -> str:
        if not self.is_valid:
            return f"its waiver ended on {self.until}, agreed by {self.agreed_by}: {self.reason}"
        end = ""
        if self.days_left <= NOTICED_DAYS:
            days = f"{self.days_left} day{'s' * (self.days_left > 1)}"
            end = f" (ends in {days})" if self.days_left else " (its last day)"
        return f"waived until {self.until}{end}, agreed by {self.agreed_by}: {self.reason}"


def find_waivers(spec: ContractSpec, today: datetime.date) -> dict[str, Waiver]:
    """The waivers by clause, valid or not, in their order."""
    return {
        waiver["clause"]: Waiver(
            waiver["clause"],
            waiver["reason"],
            waiver["agreedBy"],
            waiver["until"],
            (datetime.date.fromisoformat(waiver["until"]) - today).days,
        )
        for waiver in spec.get("waivers", [])
    }


def find_waiver_problems(spec: ContractSpec) -> list[tuple[JsonPath, str]]:
    """What is wrong with the waivers of `spec`, which is valid in all else, and where."""
    clauses = [render_json_path(clause.json_path) for clause in find_clauses(spec)]
    for index, consumer in enumerate(spec.get("consumers", [])):
        clauses.append(f"$.consumers[{index}]")
        lists = {"columns": consumer.get("columns", []), "queries": consumer.get("queries", [])}
        clauses += [f"$.consumers[{index}].{key}[{number}]" for key in lists for number in range(len(lists[key]))]
    problems: list[tuple[JsonPath, str]] = []
    waived = [waiver["clause"] for waiver in spec.get("waivers", [])]
    for index, clause in enumerate(waived):
        message = ""
        if clause == DATABASE_CLAUSE:
            message = 'of another database, nothing is checked; leave "table_catalog" out of the contract instead'
        elif clause not in clauses:
            nearest = get_close_matches(clause, clauses, n=1, cutoff=0.5)
            message = "names no clause of this contract" + (f'; did you mean "{nearest[0]}"?' if nearest else "")
        elif (first := waived.index(clause)) != index:
            message = f"$.waivers[{first}] is for the same clause: keep one of them"
        if message:
            problems.append((("waivers", index, "clause"), message))
    return problems


def find_unneeded_waivers(
    contract: Contract, used: Collection[str], broken: Collection[str]
) -> Iterator[tuple[JsonPath, str]]:
    """The waivers that are not among those `used`, so that their clauses are not `broken`; each with what to delete.

    Never the waiver of a query: only the comparison with the base knows whether its result has changed.
    """
    clauses = [waiver["clause"] for waiver in contract.spec.get("waivers", [])]
    is_unneeded = [clause not in used and not QUERY_CLAUSE.match(clause) for clause in clauses]
    if not any(is_unneeded):
        return
    *spans, whole = _find_spans(contract)
    # Those beside each other are deleted together, as the comma depends on what is left.
    for is_of_unneeded, group in itertools.groupby(range(len(clauses)), is_unneeded.__getitem__):
        indexes = list(group)
        if not is_of_unneeded:
            continue
        span = whole if len(indexes) == len(clauses) else (spans[indexes[0]][0], spans[indexes[-1]][1])
        for index in indexes:
            clause = clauses[index]
            related = (o for o in broken if f"{o}.".startswith(f"{clause}.") or clause.startswith(f"{o}."))
            reason = f"no longer needed, as {clause} is kept"
            if other := next(related, None):
                reason = f"excuses nothing, as {other} is what is broken"
            yield ("waivers", index), f"{reason}: delete {_render_part(contract.text, *span)}"


def _find_spans(contract: Contract) -> list[tuple[int, int]]:
    """Begin and end of each waiver in the text, and at last of the whole key."""
    text, decoder = contract.text, json.JSONDecoder()
    line_start = sum(len(line) + 1 for line in text.split("\n")[: contract.lines["waivers",] - 1])
    start = text.index('"waivers"', line_start)
    position = text.index("[", start)
    _, list_end = decoder.raw_decode(text, position)
    spans = []
    for _ in contract.spec["waivers"]:
        begin = text.index("{", position)
        _, position = decoder.raw_decode(text, begin)
        spans.append((begin, position))
    return [*spans, (start, list_end)]


def _render_part(text: str, start: int, end: int) -> str:
    """The lines of a part of a list or object, and the comma that goes with it; "it" where they have more on them."""
    first, last = (text.count("\n", 0, offset) + 1 for offset in (start, end))
    lines = f"line {first}" if first == last else f"lines {first} to {last}"
    before, after = text[text.rfind("\n", 0, start) + 1 : start], text[end:].partition("\n")[0].strip()
    is_alone = not before.strip() and after in ("", ",")
    comma = "" if is_alone else ", and the comma after"
    if not text[end:].lstrip().startswith(","):
        comma = ", and the comma before" if text[:start].rstrip().endswith(",") else ""
    return f"{lines}{comma}" if is_alone else f"it, in {lines}{comma}"
