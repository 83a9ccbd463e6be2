"""Who approves changes of contracts: CODEOWNERS as the command writes and checks it, and the contract test."""

import json
import subprocess
from pathlib import Path

from data_contract_components.contract_definition.code_owners import (
    BEGIN,
    COMMAND,
    END,
    find_code_owner_problems,
    write_code_owners,
)
from data_contract_components.contract_definition.contract_files import get_data_contract_specs
from data_contract_components.contract_definition.contract_spec import Contract
from tests import CONTRACT_TESTS, CONTRACTS, ROOT, DatabaseTestCase, ProjectTestCase, run
from tests.contracts import ContractsTestCase, chapters_spec

MODULE = COMMAND.removeprefix("python -m ")
TEAM, USER = "@met/data-engineering", "@octocat"
FILE = Path(".github/CODEOWNERS")
A, B = "contracts/a_contract_spec.json", "contracts/b c_contract_spec.json"
BLOCK = f"{BEGIN}\n/{A} {TEAM}\n{END}\n"
# What a line below the block changes: who approves A then, if it is not its owner alone.
LATER_LINES = {
    "/contracts/ @other": "@other",
    "*.json": "nobody",
    f"contracts/* {TEAM} @other ops@met.org": f"{TEAM} or @other or ops@met.org",
    f"**/a_*  @OTHER # not {TEAM}": "@OTHER",
    f"*  {TEAM.upper()} # not @other": None,
    "/CONTRACTS/ @other": None,
    "# *.json @other": None,
    "[a-z]* @other": None,
    "[ @other": None,
    "**/contract_spec.json @other": None,
    "/docs/* @other": None,
}
ODD_NAMES = ("a b", " a", "!a", "a*", "a?", "[a]", "a,'é表", "(a)+", "$a^", "@a b")
INEXPRESSIBLE_NAMES = {"a#b": "'#'", "a\\b": "'\\\\'", "a\tb": "'\\t'", "a\u3000b": "'\\u3000'", "a\x1bb": "'\\x1b'"}
BROKEN_MARKERS = (
    (f"{BEGIN}\n", "1"),
    (f"# mine\n{END}\n", "2"),
    (f"{END}\n{BEGIN}\n", "1, 2"),
    (f"{BLOCK}{BLOCK}", "1, 3, 4, 6"),
    (f"{BEGIN}\n{BLOCK}", "1, 2, 4"),
)


class CodeOwnersTestCase(ContractsTestCase):
    """Each test has a repository whose contracts are in the folder `contracts`."""

    def setUp(self) -> None:
        super().setUp()
        (self.directory / "pyproject.toml").write_text('[tool.data_contracts]\ncontract_directory = "contracts"\n')
        for name in (".git", "contracts"):
            (self.directory / name).mkdir()

    def write_contract(self, name: str, owner: str | None, **changes: object) -> Path:
        spec = chapters_spec(name=name, **{"spec-version": "1.2.0"}, **changes)
        spec["schema"]["table_name"] = name
        spec["owner"] |= {"github": owner} if owner else {}
        return self.write(f"contracts/{name}", spec)

    def write_file(self, content: str | bytes, path: Path = FILE) -> None:
        (self.directory / path).parent.mkdir(exist_ok=True)
        (self.directory / path).write_bytes(content if isinstance(content, bytes) else content.encode())

    def read_file(self, path: Path = FILE) -> bytes:
        return (self.directory / path).read_bytes()

    def contracts(self) -> dict[str, Contract]:
        return get_data_contract_specs(self.directory / "contracts", self.directory)

    def write_code_owners(self) -> None:
        write_code_owners(self.contracts(), self.directory)

    def code_owner_problems(self) -> list[str]:
        problems = find_code_owner_problems(self.contracts(), self.directory)
        return [str(problem).removeprefix(f"{self.directory}/") for problem in problems]

    def command(self, *arguments: str) -> tuple[int, str]:
        result = run([MODULE, *arguments], self.directory, PYTHONPATH=str(ROOT))
        return result.returncode, result.stdout.replace(f"{self.directory}/", "")


class TestCommand(CodeOwnersTestCase):
    def test_each_contract_with_an_owner_has_one_line_in_the_order_of_the_paths(self) -> None:
        (self.directory / "contracts/B").mkdir()
        self.write_contract("b c", USER, status="retired")
        self.write_contract("a", TEAM)
        self.write_contract("B/e", TEAM)
        self.write_contract("d", None)
        asked = (0, ".github/CODEOWNERS asks the owners of 3 of 4 contracts for approval\n")
        self.assertEqual(self.command(), asked)
        rules = f"/contracts/B/e_contract_spec.json {TEAM}\n/{A} {TEAM}\n/contracts/b\\ c_contract_spec.json {USER}\n"
        self.assertEqual(self.read_file().decode(), f"{BEGIN}\n{rules}{END}\n")
        written = (self.directory / FILE).stat()
        for arguments in ((), ("--check",)):
            self.assertEqual(self.command(*arguments), asked)
            self.assertEqual((self.directory / FILE).stat().st_mtime_ns, written.st_mtime_ns)

    def test_without_a_line_the_check_names_the_contract_and_writes_nothing(self) -> None:
        self.write_contract("a", TEAM)
        problem = (
            f"{A}:10: $.owner.github: {TEAM} is not asked, as no line of CODEOWNERS names this file: run {COMMAND}\n"
        )
        self.assertEqual(self.command("--check"), (1, problem))
        self.assertFalse((self.directory / ".github").exists())
        self.write_file("/docs/ @other\n")
        self.assertEqual(self.command("--check"), (1, problem))
        self.assertEqual(self.read_file(), b"/docs/ @other\n")

    def test_a_later_line_that_gives_a_contract_to_others_is_found_after_writing(self) -> None:
        self.write_contract("a", TEAM)
        self.write_file(f"{BEGIN}\n{END}\n*.json @other\n")
        problem = (
            f".github/CODEOWNERS:4: changes of {A} are approved by @other, not by {TEAM} alone: "
            f"move this line above line 1, and run {COMMAND}\n"
        )
        self.assertEqual(self.command(), (1, problem))
        self.assertEqual(self.read_file().decode(), f"{BLOCK}*.json @other\n")
        self.write_file(f"*.json @other\n{BLOCK}")
        self.assertEqual(self.command("--check")[0], 0)

    def test_without_an_owner_no_marker_is_left(self) -> None:
        self.write_contract("a", None)
        none = (0, "no contract has owner.github\n")
        for content in ("", "* @other", f"* @other\n{BEGIN}\n{END}\n/docs/ @other\n"):
            self.write_file(content)
            self.assertEqual(self.command(), none)
            self.assertEqual(self.read_file().decode(), content.replace(f"{BEGIN}\n{END}\n", ""))
        self.write_file(BLOCK)
        status, output = self.command("--check")
        self.assertEqual((status, self.read_file().decode()), (1, BLOCK))
        self.assertIn(f'CODEOWNERS:2: "/{A} {TEAM}" is the line of no contract that has owner.github: run ', output)
        self.assertEqual(self.command(), none)
        self.assertFalse((self.directory / FILE).exists())
        self.assertEqual(self.command("--check"), none)
        self.assertFalse((self.directory / FILE).exists())

    def test_markers_that_are_no_pair_are_named_and_nothing_is_written(self) -> None:
        self.write_contract("a", TEAM)
        for content, lines in BROKEN_MARKERS:
            with self.subTest(lines):
                self.write_file(content)
                message = f'expected one line "{BEGIN}", and below it one "{END}"; found line {lines}'
                problem = f".github/CODEOWNERS:{lines.split(', ')[-1]}: {message}"
                self.assertEqual(self.command(), (2, f"{problem}; nothing was written\n"))
                status, output = self.command("--check")
                self.assertEqual((status, output.splitlines()[0]), (1, problem))
                self.assertEqual(self.read_file().decode(), content)

    def test_what_cannot_be_read_is_neither_right_nor_wrong(self) -> None:
        self.assertEqual(self.command("--check")[0], 2)
        path = self.write_contract("a", TEAM)
        (self.directory / FILE).mkdir(parents=True)
        for arguments in ((), ("--check",)):
            status, output = self.command(*arguments)
            self.assertEqual(status, 2)
            self.assertIn("Is a directory", output)
        path.write_text("{}")
        self.assertEqual(self.command()[0], 2)


class TestFile(CodeOwnersTestCase):
    def test_all_other_bytes_are_kept_and_the_lines_end_as_theirs(self) -> None:
        path = self.write_contract("a", TEAM)
        for before, line_end in (
            (b"* @other # caf\xe9\r\n\r\n", "\r\n"),
            (b"\n \t\n* @other\x0c# \xef\xbb\xbf\n", "\n"),
        ):
            block = BLOCK.replace("\n", line_end).encode()
            self.write_file(before)
            self.write_code_owners()
            self.assertEqual(self.read_file(), before + block)
            self.write_file(before + block + before)
            path.write_text(path.read_text().replace(TEAM, USER))
            self.write_code_owners()
            self.assertEqual(self.read_file(), before + block.replace(TEAM.encode(), USER.encode()) + before)
            path.write_text(path.read_text().replace(USER, TEAM))
        self.write_file("* @other")
        self.write_code_owners()
        self.assertEqual(self.read_file().decode(), f"* @other\n{BLOCK}")

    def test_the_file_is_the_one_that_github_reads(self) -> None:
        self.write_contract("a", TEAM)
        for path in (Path("docs/CODEOWNERS"), Path("CODEOWNERS"), FILE):
            self.write_file("/docs/ @other\n", path)
            self.assertEqual(len(self.code_owner_problems()), 1)
            self.write_code_owners()
            self.assertEqual(self.read_file(path).decode(), f"/docs/ @other\n{BLOCK}")
            self.assertEqual(self.code_owner_problems(), [])
        for path in (Path("docs/CODEOWNERS"), Path("CODEOWNERS")):
            self.write_file("broken", path)
        self.assertEqual(self.code_owner_problems(), [])

    def test_a_name_is_written_as_git_reads_patterns(self) -> None:
        subprocess.run(["git", "init", "-q"], cwd=self.directory, check=True)
        for name in ODD_NAMES:
            with self.subTest(name):
                path = self.write_contract(name, USER)
                self.write_code_owners()
                self.assertEqual(self.code_owner_problems(), [])
                pattern = self.read_file().decode().splitlines()[1].removesuffix(f" {USER}")
                (self.directory / ".gitignore").write_text(pattern)
                command = [
                    "git",
                    "-c",
                    "core.quotePath=false",
                    "check-ignore",
                    "--no-index",
                    path.name,
                    "ax_contract_spec.json",
                ]
                result = subprocess.run(command, cwd=path.parent, capture_output=True, text=True)
                self.assertEqual(result.stdout, f"{path.name}\n")
                path.unlink()

    def test_a_name_that_cannot_be_written_there_is_to_be_changed(self) -> None:
        for name, character in INEXPRESSIBLE_NAMES.items():
            with self.subTest(name):
                path = self.write_contract(name, TEAM)
                self.write_file("/docs/ @other\n")
                self.write_code_owners()
                (problem,) = self.code_owner_problems()
                self.assertIn(f": rename it, as CODEOWNERS has no way to write {character}", problem)
                self.assertNotIn("contracts", self.read_file().decode())
                self.write_file(f"/contracts/ {TEAM}\n")
                self.assertEqual(self.code_owner_problems(), [])
                path.unlink()


class TestProblems(CodeOwnersTestCase):
    def test_the_last_line_that_matches_decides(self) -> None:
        self.write_contract("a", TEAM)
        for line, who in LATER_LINES.items():
            for line_end in ("\n", "\r\n"):
                with self.subTest(line, line_end=line_end):
                    self.write_file(f"* @other\n{BLOCK}{line}\n".replace("\n", line_end))
                    problems = [
                        f".github/CODEOWNERS:5: changes of {A} are approved by {who}, not by {TEAM} alone: "
                        f"move this line above line 2, and run {COMMAND}"
                    ]
                    self.assertEqual(self.code_owner_problems(), problems if who else [])

    def test_it_decides_about_a_name_with_a_blank_too(self) -> None:
        self.write_contract("b c", TEAM)
        for pattern in ("/contracts/*", "/contracts/*.json", "contracts/b\\ *", "b*.json", "*"):
            self.write_file(f"{pattern} @other\n")
            problem = f".github/CODEOWNERS:1: changes of {B} are approved by @other, not by {TEAM} alone: run {COMMAND}"
            self.assertEqual(self.code_owner_problems(), [problem])
        for pattern in ("/contracts/b", "/contracts/b?_*"):
            self.write_file(f"{pattern} @other\n")
            self.assertIn("no line of CODEOWNERS names this file", self.code_owner_problems()[0])

    def test_a_line_that_somebody_wrote_by_hand_is_enough(self) -> None:
        self.write_contract("a", TEAM)
        for lines in (f"* @other\n/contracts/ {TEAM}\n", f"{BEGIN}\n# mine\n \n/contracts/ {TEAM}\n{END}\n"):
            self.write_file(lines)
            self.assertEqual(self.code_owner_problems(), [])

    def test_the_line_of_a_contract_that_was_renamed_or_has_a_new_owner_is_found_and_replaced(self) -> None:
        path = self.write_contract("a", TEAM)
        self.write_contract("b c", USER)
        self.write_code_owners()
        path.unlink()
        self.write_contract("e", TEAM)
        self.write_contract("b c", TEAM)
        old, new = self.code_owner_problems()[::-1][:1], self.code_owner_problems()[:2]
        self.assertEqual(
            new,
            [
                f".github/CODEOWNERS:3: changes of {B} are approved by {USER}, not by {TEAM} alone: run {COMMAND}",
                f"contracts/e_contract_spec.json:10: $.owner.github: {TEAM} is not asked, "
                f"as no line of CODEOWNERS names this file: run {COMMAND}",
            ],
        )
        self.assertEqual(
            old,
            [
                f'.github/CODEOWNERS:2: "/{A} {TEAM}" is the line of no contract that has owner.github: run {COMMAND}',
            ],
        )
        self.write_code_owners()
        self.assertEqual(self.code_owner_problems(), [])
        self.assertNotIn(A, self.read_file().decode())


class TestContractTests(DatabaseTestCase, ProjectTestCase):
    def setUp(self) -> None:
        DatabaseTestCase.setUp(self)
        ProjectTestCase.setUp(self)
        (self.project / "pyproject.toml").write_text("[tool.data_contracts]\n")

    def write_contract(self, **owner: str) -> None:
        spec = chapters_spec(**{"spec-version": "1.2.0"})
        del spec["schema"]["table_catalog"]
        spec["owner"] |= owner
        (self.project / CONTRACTS / "object_images_contract_spec.json").write_text(json.dumps(spec))

    def test_a_third_test_is_there_where_a_contract_has_an_owner_and_fails_without_its_line(self) -> None:
        module = CONTRACT_TESTS.removesuffix(".py").replace("/", ".")
        ways = ([CONTRACT_TESTS, "-v"], [module], ["discover", "-s", "data_contract_components/prevention", "-t", "."])
        self.write_contract()
        for arguments in ways:
            with self.subTest(arguments):
                self.assertRegex(self.run_tests(*arguments), r"\nRan 2 tests in .*\n\nOK\n$")
        self.write_contract(github=TEAM)
        for arguments in ways:
            with self.subTest(arguments):
                output = self.run_tests(*arguments)
                self.assertRegex(output, r"\nRan 3 tests in .*\n\nFAILED \(failures=1\)\n$")
                self.assertRegex(
                    output, rf"\nAssertionError: CODEOWNERS should .*\n\n.*: {TEAM} is not asked, as no line"
                )
        self.assertEqual(run([MODULE], self.project).returncode, 0)
        self.assertRegex(self.run_tests(CONTRACT_TESTS), r"\nRan 3 tests in .*\n\nOK\n$")

    def test_contracts_that_cannot_be_read_are_two_errors(self) -> None:
        self.write_contract(github="octocat")
        self.assertRegex(self.run_tests(CONTRACT_TESTS), r"\nRan 2 tests in .*\n\nFAILED \(errors=2\)\n$")

    def run_tests(self, *arguments: str) -> str:
        return run(["unittest", *arguments], self.project, self.url).stdout
