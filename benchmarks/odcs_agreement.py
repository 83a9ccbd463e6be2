"""datacontract-cli, which knows nothing of this project, judges exported contracts as the detector does.

For each case of tests/cases, and some with rows, the table is built in a database of an embedded server, the contract
is exported, and datacontract-cli tests the file. It has to fail exactly where find_violations() has something that
binds. Prints how often that is so, and where it is not; what datacontract-cli cannot judge is no agreement. Status 1
with a difference that is not one of KNOWN, or without one of them.
"""

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from benchmarks.contract_checks import install_datacontract_cli
from data_contract_components.contract_definition import export_odcs
from data_contract_components.contract_definition.contract_spec import WHOLE_TABLE
from data_contract_components.data_assets._embedded_postgres import start_embedded_postgres, stop_embedded_postgres
from data_contract_components.data_assets._query_postgres_helper import PostgresDB
from data_contract_components.detection._get_data_catalog import get_data_catalog
from data_contract_components.detection._get_data_contract_specs import get_data_contract_specs
from data_contract_components.detection.contract_violation_detector import ContractViolationDetector
from tests.test_cases import CASES, SHARED_SQL, Case

SERVER_VERSION = 18
STANDARDS = ("3.1", "3.2")
# What a failed check says that could not be made. Those of no table are about the file or the connection.
UNREADABLE, NO_FINDING = "Could not read model", "Error evaluating check"
STATUS = "It does not look at the status of a contract, and the table is missing."
KNOWN = {
    "contracts: status_deprecated_after_sunset": STATUS,
    "contracts: status_draft_does_not_fail": STATUS,
    "contracts: status_retired": STATUS,
    "harmless: same_name_in_another_case": "It takes columns whose names differ only in case for one.",
    "rows: kept_key_of_two_columns_one_promised": "It takes the columns that are promised for the whole key.",
    "rows: kept_required_with_a_row_of_nulls": "For PostgreSQL, a row of nulls is null, but is allowed by NOT NULL.",
}


@dataclass(frozen=True)
class Verdict:
    """Of one file. `ours` and `theirs` are the columns with a finding, by name, or WHOLE_TABLE.

    failures: by its reason, a check of datacontract-cli that failed.
    """

    case_name: str
    standard: str
    ours: frozenset[str]
    theirs: frozenset[str]
    is_judged: bool
    failures: tuple[tuple[str, str], ...]

    @property
    def agreement(self) -> str:
        if not self.is_judged:
            return "datacontract-cli cannot judge it"
        if self.ours and self.theirs:
            return f"both alarm, for {'the same' if self.ours == self.theirs else 'other'} columns"
        return "only ours alarms" if self.ours else "only theirs alarms" if self.theirs else "both pass"


def read_cases() -> Iterator[Case]:
    """Those of SERVER_VERSION."""
    theme = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())
    cases = [*CASES, *(Case(name=f"rows: {name}", **case) for name, case in theme.items())]
    return (case for case in cases if SERVER_VERSION in case.versions)


def judge_case(case: Case, directory: Path, database: PostgresDB, judge: subprocess.Popen[str]) -> Iterator[Verdict]:
    database.query(case.statements())
    directory.mkdir()
    path = directory / "case_contract_spec.json"
    path.write_text(json.dumps(case.spec()))
    catalog_df = get_data_catalog(database, {("public", "contracted")})
    violations = ContractViolationDetector(get_data_contract_specs(directory), catalog_df).find_violations("binding")
    is_missing = catalog_df.empty  # then all checks of datacontract-cli say that they could not read the table
    no_finding = NO_FINDING if is_missing else (NO_FINDING, UNREADABLE)
    ours = {WHOLE_TABLE if is_missing or v.key == "additionalColumns" else v.column_name for v in violations}
    for standard in STANDARDS:
        output = directory / standard
        with contextlib.redirect_stdout(io.StringIO()):
            status = export_odcs.main([str(path), "--standard-version", standard, "--output", str(output)])
        assert status == 0, case.name
        [exported] = output.iterdir()
        assert judge.stdin and judge.stdout
        print(json.dumps(str(exported)), file=judge.stdin, flush=True)
        checks: list[dict[str, Any]] = json.loads(judge.stdout.readline())
        failed = [check for check in checks if check["result"] not in ("passed", "warning")]
        reasons = {str(check["reason"]).split("\n")[0]: check["name"] for check in failed}
        found = [check for check in failed if check["model"] and not str(check["reason"]).startswith(no_finding)]
        theirs = {WHOLE_TABLE if is_missing else (check["field"] or WHOLE_TABLE).removesuffix("[]") for check in found}
        is_judged = bool(found) or (not failed and any(check["result"] == "passed" for check in checks))
        yield Verdict(case.name, standard, frozenset(ours), frozenset(theirs), is_judged, tuple(reasons.items()))


def judge_all(directory: Path, url: str) -> Iterator[Verdict]:
    host = parse_qs(urlsplit(url).query)["host"][0]
    settings = {"HOST": host, "PORT": "5432", "DATABASE": "postgres", "USERNAME": "postgres", "PASSWORD": "none"}
    # The contracts are of the database postgres, so each case gets that one anew.
    other, template = (PostgresDB(urlsplit(url)._replace(path=f"/{name}").geturl()) for name in ("template1", "cases"))
    other.query("create database cases")
    template.query(SHARED_SQL)
    with subprocess.Popen(
        [install_datacontract_cli().with_name("python"), Path(__file__).with_name("odcs_judge.py")],
        env=os.environ | {f"DATACONTRACT_POSTGRES_{name}": value for name, value in settings.items()},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as judge:
        for number, case in enumerate(read_cases()):
            other.query("drop database postgres")
            other.query("create database postgres template cases")
            yield from judge_case(case, directory / str(number), PostgresDB(url), judge)


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        url = start_embedded_postgres(directory / "server", SERVER_VERSION)
        try:
            verdicts = list(judge_all(directory, url))
        finally:
            stop_embedded_postgres(directory / "server")
    counts = Counter((verdict.agreement, verdict.standard) for verdict in verdicts)
    print(f"| verdict | {' | '.join(STANDARDS)} |\n| --- |{' ---: |' * len(STANDARDS)}")
    for agreement in sorted({agreement for agreement, _ in counts}):
        print(f"| {agreement} | {' | '.join(str(counts[agreement, standard]) for standard in STANDARDS)} |")
    different = {v.case_name for v in verdicts if not v.agreement.startswith("both")}
    listed: dict[Verdict, list[str]] = {}
    for verdict in verdicts:
        if verdict.case_name in different or "other" in verdict.agreement:
            listed.setdefault(replace(verdict, standard=""), []).append(verdict.standard)
    for verdict, standards in listed.items():
        places = f"ours {sorted(verdict.ours)}, theirs {sorted(verdict.theirs)}"
        print(f"\n{verdict.case_name} ({', '.join(standards)}): {verdict.agreement}: {places}")
        if known := KNOWN.get(verdict.case_name):
            print(f"  {known}")
        for reason, name in verdict.failures:
            print(f"  {name}: {reason}")
    return 0 if different == {*KNOWN} else 1


if __name__ == "__main__":
    sys.exit(main())
