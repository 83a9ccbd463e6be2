"""Step 8 of the flow: the waiver to offer for a violation, as text for the contract."""

import datetime
import json
import textwrap

from data_contract_components.contract_definition.waivers import DATABASE_CLAUSE, TABLE_CLAUSE
from data_contract_components.prevention.contract_report.contract_report import CheckedContract, ContractReport
from data_contract_components.prevention.renderings import words

OFFERED_DAYS = 14
UNWAIVED_CLAUSES = (DATABASE_CLAUSE, "$.replacedBy")


def find_offer(contract: CheckedContract, report: ContractReport) -> tuple[str, str] | None:
    """The place in the contract for a waiver of all its violations, and the JSON to paste; None if it is no way out.

    The waiver is for OFFERED_DAYS. The JSON is the key "waivers", or only its entries if the contract has that key.
    """
    if contract.enforcement != "binding" or words.is_not_built(contract, report.comparison):
        return None
    findings = words.find_findings(contract)
    clauses = [TABLE_CLAUSE if finding.key == "table_name" else finding.violation.json_path for finding in findings]
    # A waiver that is over is there to be extended.
    known = {finding.violation.waiver.clause for finding in findings if finding.violation.waiver}
    offered = [clause for clause in dict.fromkeys(clauses) if clause and clause not in {*known, *UNWAIVED_CLAUSES}]
    try:
        until = datetime.date.fromisoformat(report.today or "") + datetime.timedelta(OFFERED_DAYS)
    except (ValueError, OverflowError):
        return None
    if not offered:
        return None
    reason = "why it may be broken for a while"
    entries = [
        {"clause": clause, "reason": reason, "agreedBy": contract.owner.name, "until": until.isoformat()}
        for clause in offered[: words.SHOWN_LINES]
    ]
    # After a bracket, the text fits whatever the layout of the file is.
    if known or contract.waived_violations:
        texts = [f"{json.dumps(entry, indent=2, ensure_ascii=False)}," for entry in entries]
        return 'Right after the "[" of "waivers":', textwrap.indent("\n".join(texts), "    ")
    where = 'Right after the first "{" of the file ("spec-version" has to be "1.2.0"):'
    return where, textwrap.indent(f'"waivers": {json.dumps(entries, indent=2, ensure_ascii=False)},', "  ")
