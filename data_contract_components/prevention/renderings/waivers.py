"""Step 8 of the flow: the waiver to offer for a violation, as text for the contract."""

import datetime
import json
import textwrap

from data_contract_components.contract_definition.waivers import DATABASE_CLAUSE, TABLE_CLAUSE
from data_contract_components.prevention.contract_report.contract_report import CheckedContract, ContractReport
from data_contract_components.prevention.renderings import words

OFFERED_DAYS = 14
UNWAIVED_CLAUSES = (DATABASE_CLAUSE, "$.replacedBy")


def render_offer(contract: CheckedContract, report: ContractReport) -> str:
    """The JSON to paste into the contract, with a comma at its end: its violations then fail nothing for a fortnight.

    The key "waivers" with its list, or only the entries if there is such a list; empty where a waiver is no way out.
    """
    findings = words.find_findings(contract)
    clauses = [TABLE_CLAUSE if finding.key == "table_name" else finding.violation.json_path for finding in findings]
    # A waiver that is over is there to be extended.
    known = {finding.violation.waiver.clause for finding in findings if finding.violation.waiver}
    offered = [clause for clause in dict.fromkeys(clauses) if clause and clause not in {*known, *UNWAIVED_CLAUSES}]
    try:
        until = datetime.date.fromisoformat(report.today or "") + datetime.timedelta(OFFERED_DAYS)
    except (ValueError, OverflowError):
        return ""
    entries = [
        {
            "clause": clause,
            "reason": "why it may be broken for a while",
            "agreedBy": contract.owner.name,
            "until": until.isoformat(),
        }
        for clause in offered[: words.SHOWN_LINES]
    ]
    if not entries:
        return ""
    text = json.dumps(entries, indent=2, ensure_ascii=False)
    if known or contract.waived_violations:
        return f"{text.removeprefix('[').removesuffix(']').strip()},"
    return textwrap.indent(f'"waivers": {text},', "  ")
