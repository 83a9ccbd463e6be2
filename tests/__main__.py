"""Runs every test, a module at a time in each of a few processes. The last line counts them all.

A test with several failed parts is one, and so is a failed set-up.
"""

import io
import os
import sys
import unittest
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

PROCESSES = max(2, os.cpu_count() or 2)
# Started first, as the run lasts as long as the longest.
LONGEST = ("test_readme", "test_cases", "test_contract_mutation_score", "test_embedded_postgres", "test_seed_db")


class Outcome(NamedTuple):
    passed: int
    failed: int
    skipped: int
    output: str


def run_module(name: str) -> Outcome:
    suite = unittest.defaultTestLoader.loadTestsFromName(f"tests.{name}")
    stream = io.StringIO()
    result = unittest.TextTestRunner(stream, verbosity=1, warnings="default").run(suite)
    unsuccessful = [test for test, _ in result.failures + result.errors] + result.unexpectedSuccesses
    failed = {getattr(test, "test_case", test).id() for test in unsuccessful}
    set_ups = {test.id() for test in unsuccessful if not isinstance(test, unittest.TestCase)}
    passed = result.testsRun - len(failed - set_ups) - len(result.skipped)
    reasons = "".join(f"skipped {test.id()}: {reason}\n" for test, reason in result.skipped)
    return Outcome(passed, len(failed), len(result.skipped), f"{name}: {stream.getvalue().strip()}\n{reasons}")


def main() -> int:
    names = sorted(path.stem for path in Path(__file__).parent.glob("test_*.py"))
    names.sort(key=lambda name: LONGEST.index(name) if name in LONGEST else len(LONGEST))
    outcomes = []
    with ProcessPoolExecutor(PROCESSES, get_context("fork")) as pool:
        for outcome in pool.map(run_module, names):
            print(outcome.output, flush=True)
            outcomes.append(outcome)
    passed, failed, skipped = (sum(counts) for counts in list(zip(*outcomes, strict=True))[:3])
    print(f"{skipped} skipped")
    print(f"{passed} passed, {failed} failed", flush=True)
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
