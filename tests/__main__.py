"""Runs every test, a class at a time in each of a few processes. The last line counts them all.

A test with several failed parts is one, and so is a failed set-up. A process that dies, or that a test keeps busy for
too long, ends the run: what has no outcome then has failed.
"""

import contextlib
import faulthandler
import functools
import io
import os
import subprocess
import sys
import types
import unittest
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from multiprocessing.util import Finalize
from typing import NamedTuple

from tests import BINARIES, ROOT, start_server, template_database

# More than there are processors, as tests also wait: for servers, and for time to pass.
PROCESSES = 2 * (os.cpu_count() or 1)
TEST_TIMEOUT_SECONDS = 900
# Started first: its one test takes a third of the run. The others are short enough for any order.
LONGEST_CLASS = "tests.test_docs.TestPages"


class Outcome(NamedTuple):
    passed: int
    failed: int
    skipped: int
    output: str


class Result(unittest.TextTestResult):
    """Ends the process when a test takes too long, and counts what passed."""

    passed = 0

    def startTest(self, test: unittest.TestCase) -> None:  # noqa: N802
        super().startTest(test)
        faulthandler.dump_traceback_later(TEST_TIMEOUT_SECONDS, exit=True)

    def addSuccess(self, test: unittest.TestCase) -> None:  # noqa: N802
        super().addSuccess(test)
        self.passed += 1


def find_tests(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    for part in suite:
        yield from find_tests(part) if isinstance(part, unittest.TestSuite) else [part]


@functools.cache
def load_classes() -> dict[str, unittest.TestSuite]:
    """The tests of each class, by its name; what is left of a module that cannot be imported is a test as well."""
    classes: dict[str, unittest.TestSuite] = {}
    for test in find_tests(unittest.defaultTestLoader.discover(str(ROOT / "tests"), top_level_dir=str(ROOT))):
        classes.setdefault(test.id().rpartition(".")[0], unittest.TestSuite()).addTest(test)
    return classes


def run_class(name: str) -> Outcome:
    stream = io.StringIO()
    faulthandler.dump_traceback_later(TEST_TIMEOUT_SECONDS, exit=True)  # for the set-up of module and class
    runner = unittest.TextTestRunner(stream, resultclass=Result, warnings="default")  # type: ignore[arg-type]
    result = runner.run(load_classes()[name])
    assert isinstance(result, Result)
    faulthandler.cancel_dump_traceback_later()
    unsuccessful = [test for test, _ in result.failures + result.errors] + result.unexpectedSuccesses
    failed = {getattr(test, "test_case", test).id() for test in unsuccessful}
    reasons = "".join(f"skipped {test.id()}: {reason}\n" for test, reason in result.skipped)
    output = f"{name}: {stream.getvalue().strip()}\n{reasons}"
    return Outcome(result.passed + len(result.expectedFailures), len(failed), len(result.skipped), output)


def add_cleanup(function: Callable[..., object], *arguments: object) -> None:
    Finalize(None, function, arguments, exitpriority=0)  # after the template database was dropped


def main() -> int:
    outcomes = []
    if not os.environ.get("DATABASE_URL"):
        os.environ["DATABASE_URL"] = start_server(types.SimpleNamespace(addCleanup=add_cleanup), BINARIES["18"])
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # no other thread may run where processes are forked
    load_classes()
    with contextlib.suppress(subprocess.CalledProcessError):  # each test that needs it says why it cannot be made
        template_database()
    names = sorted(load_classes(), key=lambda name: name != LONGEST_CLASS)
    with ProcessPoolExecutor(PROCESSES, get_context("fork")) as pool:
        futures = {pool.submit(run_class, name): name for name in names}
        for future in as_completed(futures):
            try:
                outcome = future.result()
            except BrokenProcessPool as error:
                outcome = Outcome(0, 1, 0, f"{futures[future]}: {error}")
            print(outcome.output, flush=True)
            outcomes.append(outcome)
    passed, failed, skipped = (sum(counts) for counts in list(zip(*outcomes, strict=True))[:3])
    print(f"{skipped} skipped")
    print(f"{passed} passed, {failed} failed", flush=True)
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
