"""Step 7 of the flow, as Markdown: what the pull request's comment says."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Run:
    """The run of the workflow that speaks; (number, attempt) says which of two is newer."""

    server_url: str
    repository: str
    run_id: int
    number: int
    attempt: int
    sha: str


def render_comment(report: dict[str, Any], log: str, run: Run) -> str:
    """The comment about violations, or about what could not be checked."""
    if report["outcome"] == "could not check":
        return f"⚠️ Data contracts could not be checked: {report['error']}\n\n```\n{log[-50_000:]}\n```\n"
    lines = ["❌ Data contract violations detected:", ""]
    for contract in report["contracts"]:
        owner = contract["owner"]
        lines.append(f"{contract['contract_name']}: {owner['name']}, {owner['email']}")
        lines += [f"- {violation['column_name']}: {violation['message']}" for violation in contract["violations"]]
    return "\n".join([*lines, "", "```", log[-50_000:], "```", f"run {run.run_id}", ""])


def render_resolved(run: Run) -> str:
    """The comment when the contracts are kept again."""
    return f"✅ Data contract violations resolved in {run.sha}\n"
