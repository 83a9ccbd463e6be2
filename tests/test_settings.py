import subprocess
import tempfile
import unittest
from pathlib import Path

from data_contract_components.errors import SettingsError
from data_contract_components.settings import Settings, find_settings
from tests import ROOT, run


class TestSettings(unittest.TestCase):
    def setUp(self) -> None:
        self.root = Path(self.enterContext(tempfile.TemporaryDirectory())).resolve()
        subprocess.run(["git", "init", "-q"], cwd=self.root, check=True)
        self.project = self.root / "backend"
        (self.project / "contracts").mkdir(parents=True)
        (self.project / "alembic.ini").touch()

    def write(self, text: str) -> None:
        (self.project / "pyproject.toml").write_text(text)

    def find(self, directory: str = "backend") -> Settings:
        settings = find_settings(self.root / directory)
        assert settings
        return settings

    def test_they_are_found_upward_and_stop_at_the_repository(self) -> None:
        self.write("[tool.data_contracts]\n")
        (self.project / "app/models").mkdir(parents=True)
        settings = self.find("backend/app/models")
        self.assertEqual((settings.root_directory, settings.git_directory), (self.project, self.root))
        self.assertEqual(settings.contracts, self.project / "contracts")
        self.assertIsNone(find_settings(self.root))
        subprocess.run(["git", "init", "-q"], cwd=self.project / "app", check=True)
        self.assertIsNone(find_settings(self.project / "app/models"))

    def test_a_project_that_uses_only_pyproject_needs_no_key(self) -> None:
        (self.project / "alembic.ini").unlink()
        self.write('[tool.alembic]\nscript_location = "migrations"\n[tool.data_contracts]\n')
        self.assertEqual(self.find().alembic_config, "pyproject.toml")

    def test_every_key_is_read(self) -> None:
        self.write(
            '[tool.data_contracts]\nalembic_section = "reports"\nx_arguments = ["tenant=a"]\n'
            'url_variables = ["APP_DB", "DB"]\nbefore_migrations = "python create_all.py"\nserver = 16\n'
            '[tool.data_contracts.environment]\nMODE = "test"\n'
        )
        expected = Settings(
            self.project,
            self.root,
            "contracts",
            "alembic.ini",
            "reports",
            ("tenant=a",),
            ("APP_DB", "DB"),
            {"MODE": "test"},
            "python create_all.py",
            16,
        )
        self.assertEqual(self.find(), expected)
        other = self.find().at(Path("/checkout"))
        self.assertEqual((other.root_directory, other.server), (Path("/checkout/backend"), 16))

    def test_a_wrong_key_value_or_path_is_an_error_with_the_nearest_right_one(self) -> None:
        (self.project / "config").mkdir()
        (self.project / "config/alembic.ini").touch()
        for text, *words in (
            ('contract_direktory = "x"', 'unknown key "contract_direktory"', 'Did you mean "contract_directory"?'),
            ('alembic_config = "conf/alembic.ini"', "does not exist", 'Did you mean "config/alembic.ini"?'),
            ('contract_directory = "contract"', "does not exist", 'Did you mean "contracts"?'),
            ('contract_directory = "../.."', "outside"),
            ('before_migrations = "dump.sql"', "does not exist"),
            ('url_variables = "DB"', "url_variables is 'DB'", 'Write a list of strings: ["…"].'),
            ("url_variables = []", "url_variables is []", 'Write a list of strings: ["…"].'),
            ("environment = { A = 1 }", "environment is {'A': 1}", 'Write a table of strings: {NAME = "…"}.'),
            ("server = 17", "server is 17", "Write 16 or 18."),
            ("server = true", "server is True", "Write 16 or 18."),
            ("alembic_config = 1", "alembic_config is 1", "Write a string"),
        ):
            with self.subTest(text), self.assertRaises(SettingsError) as caught:
                self.write(f"[tool.data_contracts]\n{text}\n")
                find_settings(self.project)
            for word in (str(self.project / "pyproject.toml"), *words):
                self.assertIn(word, str(caught.exception))

    def test_a_file_that_cannot_be_read_is_an_error(self) -> None:
        for text, word in (("[tool", "cannot be read"), ("[tool]\ndata_contracts = 1", "is not a table")):
            with self.subTest(text), self.assertRaisesRegex(SettingsError, word):
                self.write(text)
                find_settings(self.project)

    def test_a_command_ends_with_the_message(self) -> None:
        self.write('[tool.data_contracts]\nservers = "16"\n')
        result = run(["data_contract_components.prevention.report"], self.project, PYTHONPATH=str(ROOT))
        self.assertEqual(result.returncode, 2)
        self.assertIn('Did you mean "server"?', result.stdout)
