import fcntl
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import unittest
from pathlib import Path
from typing import IO

import psutil

from tests import ProjectTestCase, wait_until

AS_ORDINARY_USER = ["unshare", "--user", "--map-user=65534", "--map-group=65534"]
HELPER = "from data_contract_components.data_assets._query_postgres_helper import PostgresDB, database_url\n"
# Prints a line when the server serves it, and then goes on using it for as long as its standard input is open.
USER = HELPER + "database_url(); print('ready', flush=True); import sys; sys.stdin.read()"
STOPPER = "data_contract_components.data_assets._embedded_postgres"
CREATED = "embedded PostgreSQL 18"


def can_run_as_ordinary_user() -> bool:
    return shutil.which("unshare") is not None and subprocess.run([*AS_ORDINARY_USER, "true"]).returncode == 0


class EmbeddedPostgresTestCase(ProjectTestCase):
    prefix: tuple[str, ...] = ()

    def start(self, program: str) -> subprocess.Popen[str]:
        environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
        process = subprocess.Popen(
            [*self.prefix, sys.executable, "-c", program],
            cwd="/", env=environment | {"PYTHONPATH": str(self.project)}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.addCleanup(process.communicate)
        return process

    def python(self, program: str) -> tuple[str, str]:
        """What the program printed on standard output and on standard error."""
        process = self.start(program)
        output = process.communicate()
        self.assertEqual(process.returncode, 0, output[1])
        return output

    def query(self, sql: str) -> str:
        return self.python(f"{HELPER}print(PostgresDB().query({sql!r}).iloc[0, 0])")[0].strip()

    def start_user(self) -> subprocess.Popen[str]:
        user = self.start(USER)
        self.assertEqual(self.read_line(user.stdout), "ready\n")
        return user

    def read_line(self, stream: IO[str] | None) -> str:
        assert stream is not None
        return stream.readline()

    def is_stopped(self) -> bool:
        """Whether no process of the embedded server lives."""
        with (self.project / ".postgres/server.lock").open("ab") as lock_file:
            try:
                fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        return True

    def server_process_id(self) -> int:
        return int((self.project / ".postgres/data/postmaster.pid").read_text().splitlines()[0])

    def socket_directory(self) -> Path:
        return (self.project / ".postgres/socket").readlink()

    def kill_server(self) -> None:
        os.kill(self.server_process_id(), signal.SIGKILL)
        wait_until(self.is_stopped)  # a signal's effect is not there at once


class TestEmbeddedPostgres(EmbeddedPostgresTestCase):
    def test_data_are_kept_between_commands_and_the_server_stops_after_each(self) -> None:
        self.assertEqual(self.query("create table t (a int); insert into t values (7)"), "INSERT 0 1")
        wait_until(self.is_stopped)
        self.assertEqual(self.query("select a from t"), "7")
        wait_until(self.is_stopped)

    def test_its_creation_is_told_in_one_line_on_standard_error_and_only_then(self) -> None:
        output, errors = self.python(HELPER + "database_url()")
        self.assertEqual(output, "")
        self.assertRegex(errors, rf"\A{CREATED}.*\n\Z")
        self.assertEqual(self.python(HELPER + "database_url()"), ("", ""))

    def test_two_processes_that_start_at_once_share_one_server(self) -> None:
        identify = HELPER + "print(PostgresDB().query('select system_identifier from pg_control_system()').iloc[0, 0])"
        outputs = [process.communicate() for process in [self.start(identify), self.start(identify)]]
        self.assertEqual(len({output for output, _ in outputs}), 1)
        self.assertEqual("".join(errors for _, errors in outputs).count(CREATED), 1)

    def test_the_server_runs_until_the_last_of_its_users_is_gone(self) -> None:
        first, second = self.start_user(), self.start_user()
        server = self.server_process_id()
        first.communicate()
        self.assertEqual(self.query("select 1"), "1")
        self.assertEqual(self.server_process_id(), server)
        second.communicate()
        wait_until(self.is_stopped)

    def test_the_server_stops_when_its_last_user_was_killed(self) -> None:
        user = self.start_user()
        self.query("create table t (a int); insert into t values (7)")
        user.kill()
        wait_until(self.is_stopped)
        self.assertEqual(self.query("select a from t"), "7")

    def test_a_user_and_the_next_command_go_on_after_the_server_was_killed(self) -> None:
        program = HELPER + (
            "import sys\n"
            "PostgresDB().query('create table t (a int); insert into t values (7)')\n"
            "print('ready', flush=True)\n"
            "sys.stdin.readline()\n"
            "print(PostgresDB().query('select a from t').iloc[0, 0], flush=True)\n"
            "sys.stdin.readline()\n"
        )
        user = self.start(program)
        self.assertEqual(self.read_line(user.stdout), "ready\n")
        for _ in range(2):
            socket_directory = self.socket_directory()
            self.kill_server()
            self.assertEqual(self.query("select a from t"), "7")
            self.assertFalse(socket_directory.exists())
        self.kill_server()
        assert user.stdin is not None
        user.stdin.write("\n")
        user.stdin.flush()
        self.assertEqual(self.read_line(user.stdout), "7\n")
        user.communicate()
        wait_until(self.is_stopped)

    def test_the_next_command_works_and_stops_the_server_after_its_stopper_was_killed(self) -> None:
        user = self.start_user()
        stoppers = [
            process
            for process in psutil.process_iter(["cmdline"])
            if {STOPPER, str(self.project / ".postgres")} <= set(process.info["cmdline"] or ())
        ]
        self.assertEqual(len(stoppers), 1)
        stoppers[0].kill()
        user.communicate()
        self.assertFalse(self.is_stopped())
        self.assertEqual(self.query("select 1"), "1")
        wait_until(self.is_stopped)

    def test_a_user_that_was_killed_while_the_server_starts_leaves_no_server(self) -> None:
        self.query("select 1")
        wait_until(self.is_stopped)
        for _ in range(5):
            user = self.start(USER)
            wait_until(lambda: not self.is_stopped())
            user.kill()
            user.communicate()
            wait_until(self.is_stopped)
        self.assertEqual(self.query("select 1"), "1")

    def test_a_socket_that_somebody_removed_is_made_anew(self) -> None:
        user = self.start_user()
        shutil.rmtree(self.socket_directory())
        self.assertEqual(self.query("select 1"), "1")
        user.communicate()
        wait_until(self.is_stopped)

    def test_a_creation_that_was_killed_is_made_up_for(self) -> None:
        creation = self.start(HELPER + "database_url()")
        wait_until(lambda: any(self.project.glob(".postgres/initdb-*/data/base")))
        creation.kill()
        self.assertEqual(self.query("select 1"), "1")

    def test_a_server_that_cannot_start_says_why(self) -> None:
        self.query("select 1")
        wait_until(self.is_stopped)
        with (self.project / ".postgres/data/postgresql.conf").open("a") as settings:
            settings.write("max_connections = many\n")
        _, errors = self.start(HELPER + "PostgresDB().query('select 1')").communicate()
        self.assertIn("DatabaseUnavailableError", errors)
        self.assertIn('invalid value for parameter "max_connections": "many"', errors)
        self.assertIn(str(self.project / ".postgres/log"), errors)

    def test_a_port_of_the_users_environment_is_meant_for_another_server(self) -> None:
        variables = {"PGPORT": "1", "PGHOST": "nowhere.invalid", "PGHOSTADDR": "127.0.0.1", "PGDATA": "/nowhere"}
        environment = f"import os; os.environ |= {variables}\n"
        output, _ = self.python(environment + HELPER + "print(PostgresDB().query('select 1').iloc[0, 0])")
        self.assertEqual(output, "1\n")


class TestClosedDirectories(EmbeddedPostgresTestCase):
    def test_no_directory_outside_its_own_is_opened(self) -> None:
        self.project.parent.chmod(0o700)
        directories = [self.project, *self.project.parents, Path(sys.executable), Path(sys.prefix), Path.home()]
        before = [directory.stat().st_mode for directory in directories]
        self.query("select 1")
        self.assertEqual([directory.stat().st_mode for directory in directories], before)
        self.assertEqual((self.project / ".postgres").stat().st_mode & 0o777, 0o700)

    def test_it_listens_on_no_network_address(self) -> None:
        self.assertEqual(self.query("show listen_addresses"), "")

    @unittest.skipUnless(os.geteuid() == 0, "only root can become somebody else")
    def test_nobody_else_can_connect_not_even_who_shares_the_servers_account(self) -> None:
        self.start_user()
        address = f"{self.socket_directory()}/.s.PGSQL.5432"
        for account in ("nobody", "daemon"):
            child = os.fork()
            if child == 0:
                status = 0
                try:
                    os.setgroups([])
                    os.setgid(pwd.getpwnam(account).pw_gid)
                    os.setuid(pwd.getpwnam(account).pw_uid)
                    with socket.socket(socket.AF_UNIX) as connection:
                        connection.connect(address)
                except PermissionError:
                    status = 13
                finally:
                    os._exit(status)
            self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 13, account)


class TestLongPathWithSpaces(EmbeddedPostgresTestCase):
    def project_path(self) -> str:
        return "/".join(["a directory, named 'at' \"length\" %20"] * 5)

    def test_the_server_runs_there(self) -> None:
        self.assertGreater(len(str(self.project)), 107)
        self.assertEqual(self.query("create table t (a int); insert into t values (7)"), "INSERT 0 1")
        wait_until(self.is_stopped)
        self.assertEqual(self.query("select a from t"), "7")


@unittest.skipUnless(
    os.geteuid() == 0 and can_run_as_ordinary_user(),
    "for root alone (the other tests run as an ordinary user else), and only where unshare can make a user namespace",
)
class TestOrdinaryUser(EmbeddedPostgresTestCase):
    # In a user namespace: the process has another user's id, and may yet read a Python below root's home directory.
    prefix = tuple(AS_ORDINARY_USER)

    def test_the_server_runs_under_the_users_own_account(self) -> None:
        self.assertEqual(self.python("import os; print(os.geteuid())")[0], "65534\n")
        self.assertEqual(self.query("create table t (a int); insert into t values (7)"), "INSERT 0 1")
        wait_until(self.is_stopped)
        self.assertEqual(self.query("select a from t"), "7")
        self.assertEqual((self.project / ".postgres/data").owner(), pwd.getpwuid(os.geteuid()).pw_name)
