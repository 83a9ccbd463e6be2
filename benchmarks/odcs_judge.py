"""The side of datacontract-cli in odcs_agreement.py, for its own interpreter: reads paths, prints checks."""

import contextlib
import json
import logging
import sys

from datacontract.data_contract import DataContract  # type: ignore[import-not-found]


def main() -> None:
    logging.disable()
    for line in sys.stdin:
        with contextlib.redirect_stdout(sys.stderr):  # what else it prints is no answer
            run = DataContract(data_contract_file=json.loads(line), server="postgres").test()
        facts = ("model", "field", "name", "result", "reason")
        print(json.dumps([{fact: getattr(check, fact) for fact in facts} for check in run.checks]), flush=True)


if __name__ == "__main__":
    main()
