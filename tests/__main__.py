"""Runs every test. The last line counts them: a test with several failed parts is one, and so is a failed set-up."""

import sys
import unittest

result = unittest.main(None, argv=["tests", "discover", "-t", ".", "-s", "tests"], exit=False).result
unsuccessful = [test for test, _ in result.failures + result.errors] + result.unexpectedSuccesses
failed = {getattr(test, "test_case", test).id() for test in unsuccessful}
set_ups = {test.id() for test in unsuccessful if not isinstance(test, unittest.TestCase)}
passed = result.testsRun - len(failed - set_ups) - len(result.skipped)
print(f"{len(result.skipped)} skipped")
print(f"{passed} passed, {len(failed)} failed", flush=True)
sys.exit(0 if passed and not failed else 1)
