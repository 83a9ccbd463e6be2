import shutil
import signal
import subprocess
import sys
import unittest

from data_contract_components.data_assets._query_postgres_helper import database_url
from tests import MUSEUM, ROOT, ProjectTestCase, run

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGCHLD)
EVERY_OUTCOME = """
import unittest

class TestOutcomes(unittest.TestCase):
    def test_that_passes(self): pass
    def test_with_parts_that_pass(self):
        for part in range(3):
            with self.subTest(part): pass
    def test_with_failed_parts(self):
        for part in range(3):
            with self.subTest(part): self.fail()
    def test_with_a_failure_and_a_failed_cleanup(self):
        self.addCleanup(self.fail)
        self.fail()
    def test_that_is_skipped(self): self.skipTest("reason")
    @unittest.skip("reason")
    def test_that_is_always_skipped(self): pass
    @unittest.expectedFailure
    def test_that_is_expected_to_fail(self): self.fail()
    @unittest.expectedFailure
    def test_that_is_not_expected_to_pass(self): pass

class TestSetUp(unittest.TestCase):
    @classmethod
    def setUpClass(cls): raise ValueError
    def test_that_is_not_reached(self): pass
"""
PASSING = """
import unittest

class TestThatPasses(unittest.TestCase):
    def test_that_passes(self): pass
"""
DYING = """
import os, unittest

class TestThatDies(unittest.TestCase):
    def test_that_dies(self): os._exit(0)
"""
HANGING = """
import sys, time, unittest

sys.modules["__main__"].TEST_TIMEOUT_SECONDS = 0.5

class TestThatHangs(unittest.TestCase):
    def test_that_hangs(self): time.sleep(600)
"""


class TestTheRun(ProjectTestCase):
    def run_tests(self, **modules: str) -> tuple[int, str]:
        """Exit status and output of a run of these modules."""
        directory = self.project / "tests"
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        for name in ("__init__.py", "__main__.py", "command_server.py"):
            shutil.copy(ROOT / "tests" / name, directory)
        shutil.copy(ROOT / "pyproject.toml", self.project)
        shutil.copytree(MUSEUM, directory / "museum")
        for name, text in modules.items():
            (directory / f"test_{name}.py").write_text(text)
        result = run(["tests"], self.project, database_url())
        return result.returncode, result.stdout

    def test_each_test_counts_once_and_everything_but_success_fails_the_run(self) -> None:
        status, output = self.run_tests(outcomes=EVERY_OUTCOME, one="import nothing", two="import nothing")
        self.assertEqual((status, output.splitlines()[-2:]), (1, ["2 skipped", "3 passed, 6 failed"]), output)
        self.assertEqual(self.run_tests(passing=PASSING)[0], 0)
        self.assertEqual(self.run_tests()[0], 1)

    def test_a_process_that_dies_or_hangs_fails_the_run_and_its_test_is_named(self) -> None:
        for text, message in (
            (DYING, "tests.test_failing.TestThatDies: A process in the process pool"),
            (HANGING, "in test_that_hangs"),
        ):
            with self.subTest(message):
                status, output = self.run_tests(failing=text)
                self.assertEqual((status, output.splitlines()[-1]), (1, "0 passed, 1 failed"), output)
                self.assertIn(message, output)


class TestSignals(unittest.TestCase):
    def test_a_child_has_its_default_signals_whatever_the_run_was_started_with(self) -> None:
        child = (
            f"import signal\nnumbers = {[*map(int, SIGNALS)]}\n"
            "print([number for number in numbers if signal.getsignal(number) == signal.SIG_IGN])\n"
            "print(signal.pthread_sigmask(signal.SIG_BLOCK, ()))\n"
            "raise SystemExit(3)"
        )
        parent = (
            f"import signal, subprocess, sys\nnumbers = {[*map(int, SIGNALS)]}\n"
            "for number in numbers: signal.signal(number, signal.SIG_IGN)\n"
            "signal.pthread_sigmask(signal.SIG_BLOCK, numbers)\n"
            "import tests\n"
            f"sys.exit(subprocess.run([sys.executable, '-c', {child!r}]).returncode)"
        )
        result = subprocess.run([sys.executable, "-c", parent], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        self.assertEqual((result.returncode, result.stdout), (3, "[]\nset()\n"))
