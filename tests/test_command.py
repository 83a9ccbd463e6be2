"""How commands end, and how they print hostile names."""

import json
import os
import re
import subprocess
import sys
import unittest
from pathlib import Path
from unittest import mock

from data_contract_components.escaping import escape_output, hide_passwords
from tests import CONTRACT_TESTS, ROOT, DatabaseTestCase, ProjectTestCase, run

COMPONENTS = ROOT / "data_contract_components"
# Only other programs of this project run them.
NOT_COMMANDS = ("/_embedded_postgres.py", "/migration_worker/__main__.py", "/test_data_contract_violations.py")
CONTRACT = "data_contract_components/contract_definition/x_contract_spec.json"
# Not in latin-1, a colour, a line end, a command to GitHub's runner, a carriage return, another writing direction.
HOSTILE = "表\x1b[31m\n::error::x\r\x9b1m\u202e"
LATIN_1 = {"PYTHONIOENCODING": "latin-1"}
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
MAIN = """
import os, signal, sys
from data_contract_components.command import command
from data_contract_components.errors import DataContractError

@command("nothing was changed")
def main():
    {}

sys.exit(main())
"""


class TestCommand(unittest.TestCase):
    def end(self, body: str, **environment: str) -> tuple[int, str, str]:
        command, environment = [sys.executable, "-c", MAIN.format(body)], os.environ | environment
        result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, encoding="latin-1")
        return result.returncode, result.stdout, result.stderr

    def test_each_ending_has_its_exit_status_and_one_line_with_the_reason(self) -> None:
        for body, status, message in (
            ("return 0", 0, ""),
            ("return 1", 1, ""),
            ("raise DataContractError('what\\nwhere')", 2, "what\nwhere\n"),
            ("open('/missing')", 2, "[Errno 2] No such file or directory: '/missing'\n"),
            ("os.kill(os.getpid(), signal.SIGINT); signal.pause()", 130, "stopped; nothing was changed\n"),
            ("sys.exit(2)", 2, ""),
        ):
            with self.subTest(body):
                self.assertEqual(self.end(body), (status, "", message))

    def test_an_unexpected_error_is_2_and_one_line_without_the_password(self) -> None:
        url = {"DATABASE_URL": "postgresql://u:s3cr%40t@h/d"}
        status, output, errors = self.end("raise KeyError('a\\nb s3cr@t s3cr%40t')", **url)
        self.assertEqual((status, output, errors.count("\n")), (2, "", 1))
        self.assertRegex(errors, r"^unexpected KeyError at <string>:8: 'a\\nb \*\*\* \*\*\*'; .*PYTHONDEVMODE=1")
        status, _, errors = self.end("raise KeyError('s3cr@t')", PYTHONDEVMODE="1", **url)
        self.assertEqual((status, errors.splitlines()[0]), (2, "Traceback (most recent call last):"))
        self.assertNotIn("s3cr", errors)

    def test_a_closed_pipe_ends_it_quietly(self) -> None:
        for lines in (1, 100_000):
            reader, writer = os.pipe()
            os.close(reader)
            code = MAIN.format(f"print('line\\n' * {lines})")
            result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=writer, stderr=subprocess.PIPE)
            os.close(writer)
            self.assertEqual((result.returncode, result.stderr), (141, b""))

    def test_output_that_cannot_be_written_is_neither_passed_nor_a_violation(self) -> None:
        for redirection, status in ((">/dev/full", 2), (">&-", 0), (">/dev/full 2>&1", 2), (">&- 2>&-", 0)):
            shell = ["sh", "-c", f'"$@" {redirection}', "sh"]
            command = [*shell, sys.executable, "-c", MAIN.format("return print(1) or 0")]
            result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
            self.assertEqual((result.returncode, "Traceback" in result.stderr), (status, False), redirection)

    def test_a_character_outside_of_the_encoding_is_escaped(self) -> None:
        for environment in (LATIN_1, ASCII, {"PYTHONIOENCODING": "ascii:strict"}):
            for stream in ("stdout", "stderr"):
                status, *streams = self.end(f"return print('\\u8868 a', file=sys.{stream}) or 0", **environment)
                self.assertEqual((status, "".join(streams)), (0, "\\u8868 a\n"))

    def test_no_output_controls_a_terminal_or_githubs_runner(self) -> None:
        self.assertEqual(escape_output("a: b\n\té 表 名 #1 [x] ::\n"), "a: b\n\té 表 名 #1 [x] ::\n")
        code = f"print({HOSTILE!r}); print(' ::warning::x', '##[group]'); return 0"
        _, output, _ = self.end(code, PYTHONIOENCODING="latin-1")
        escaped = "\\u8868\\x1b[31m\n: :error::x\\r\\x9b1m\\u202e\n : :warning::x ## [group]\n"
        self.assertEqual(output, escaped)

    def test_the_passwords_and_tokens_of_the_environment_are_left_out(self) -> None:
        for url in ("postgresql://u:a@b/c@h/d", "postgresql://u:%61@h/d"):
            with mock.patch.dict(os.environ, DATABASE_URL=url, GITHUB_TOKEN="t0ken", PGPASSWORD="pg"):
                for secret in (url.partition("u:")[2].rpartition("@")[0], "t0ken", "pg"):
                    self.assertEqual(hide_passwords(f"({secret})"), "(***)")

    def test_every_command_uses_this_ending(self) -> None:
        paths = [path for path in sorted(COMPONENTS.rglob("*.py")) if not str(path).endswith(NOT_COMMANDS)]
        modules = [text for path in paths if 'if __name__ == "__main__"' in (text := path.read_text())]
        self.assertEqual(len(modules), 17)
        for text in modules:
            self.assertRegex(text, r"(?m)^@command\(.+\)\ndef main\(")

    def test_make_finds_the_project_under_pythonsafepath(self) -> None:
        command = ["make", "--no-print-directory", "--eval", 'show:; @echo "<$$PYTHONSAFEPATH>"', "show"]
        result = subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONSAFEPATH": "1"}, capture_output=True)
        self.assertEqual(result.stdout, b"<>\n")


class TestNames(DatabaseTestCase, ProjectTestCase):
    """A table and its contract, with a name that is hard to print."""

    def setUp(self) -> None:
        DatabaseTestCase.setUp(self)
        ProjectTestCase.setUp(self)
        for path in (self.project / CONTRACT).parent.glob("*.json"):
            path.unlink()
        quoted = f'"{HOSTILE}"'
        self.database.query(f"create table {quoted} ({quoted} integer)")

    def test_every_command_prints_it_harmlessly_in_every_encoding(self) -> None:
        prefix = "data_contract_components."
        git = ["git", "-c", "user.name=A", "-c", "user.email=a@example.org"]
        generate = [f"{prefix}detection.generate_contract_spec", HOSTILE, "--output", CONTRACT]
        generate += ["--owner-name", HOSTILE, "--owner-email", "a@example.org"]
        changes = f"{prefix}detection._get_data_migration_changes"
        report = f"{prefix}prevention.report"
        render = [report, "--from", "contract_report.json", "--format"]
        records = self.project / "records.json"
        records.write_text(json.dumps([{"objectID": 1, HOSTILE: 1}, {"objectID": HOSTILE}]))
        self.assert_harmless(generate, 0, LATIN_1)
        self.assert_harmless([generate[0], HOSTILE, HOSTILE], 0, LATIN_1)
        for arguments in (["init", "-q"], ["add", "--all"], ["commit", "-q", "-m", "x"]):
            subprocess.run([*git, *arguments], cwd=self.project, check=True)
        self.assert_harmless([f"{prefix}detection.contract_mutation_score", "--in-place"], 0, LATIN_1)
        self.assert_harmless([changes, "--base", HOSTILE], 2, LATIN_1)
        self.assert_harmless([f"{prefix}data_assets.seed_db", str(records)], 1, LATIN_1)
        self.assert_harmless([f"{prefix}data_assets.seed_db", HOSTILE], 2, LATIN_1)
        # An argument that is not in the terminal's own encoding names no table.
        self.assert_harmless(generate, 2, ASCII)
        for change, environment in ((f'alter "{HOSTILE}" type text', LATIN_1), ("rename to y", ASCII)):
            self.database.query(f'alter table "{HOSTILE}" {change}')
            output = self.assert_harmless(["unittest", CONTRACT_TESTS, "-v"], 1, environment)
            self.assertNotIn("ERROR:", output)
            self.assert_harmless([report, "--base", HOSTILE], 1, environment)
        for rendering in ("text", "annotations", "summary", "html"):
            self.assert_harmless([*render, rendering], 0, LATIN_1)
        (self.project / CONTRACT).write_text('{"::error::\\u001b": 1')
        self.assert_harmless(["unittest", CONTRACT_TESTS], 1, LATIN_1)

    def assert_harmless(self, command: list[str], status: int, environment: dict[str, str]) -> str:
        with self.subTest(command, **environment):
            result = run(command, self.project, self.url, check=False, **environment)
            self.assertEqual(result.returncode, status, result.stdout)
            self.assertNotIn("UnicodeEncodeError", result.stdout)
            if "unittest" not in command:
                self.assertNotIn("Traceback", result.stdout)
            self.assertNotRegex(result.stdout, "[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u202e]")
            commands = [line for line in result.stdout.splitlines() if line.lstrip().startswith("::")]
            if command[-1] == "annotations":
                commands = [line for line in commands if not re.match("::(error|warning|notice) .*::", line)]
            self.assertEqual(commands, [])
            return result.stdout
        return ""


class TestUnexpectedError(ProjectTestCase):
    def test_the_report_could_not_check_and_names_the_error(self) -> None:
        path = self.project / "data_contract_components/prevention/contract_report/get_contract_report.py"
        path.write_text(path.read_text().replace("    try:\n", "    raise KeyError('x')\n    try:\n", 1))
        result = run(["data_contract_components.prevention.report"], self.project)
        self.assertEqual((result.returncode, result.stdout.count("\n")), (2, 1), result.stdout)
        report = json.loads(Path(self.project / "contract_report.json").read_text())
        self.assertEqual(report["outcome"], "could not check")
        self.assertIn("unexpected KeyError at get_contract_report.py:", report["error"])
