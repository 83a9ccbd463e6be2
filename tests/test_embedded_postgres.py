import contextlib
import fcntl
import io
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import psutil

from data_contract_components.data_assets._embedded_postgres import start_embedded_postgres, stop_embedded_postgres
from data_contract_components.data_assets._postgres_programs import PACKAGES
from data_contract_components.data_assets._query_postgres_helper import PostgresDB
from data_contract_components.errors import DatabaseUnavailableError, QueryError
from tests import BINARIES, PACKAGE_DIRECTORY, ProjectTestCase, read_data, wait_until

AS_ORDINARY_USER = ["unshare", "--user", "--map-user=65534", "--map-group=65534"]
HELPER = "from data_contract_components.data_assets._query_postgres_helper import PostgresDB, database_url\n"
# Prints a line when the server serves it, and then goes on using it for as long as its standard input is open.
USER = HELPER + "database_url(); print('ready', flush=True); import sys; sys.stdin.read()"
STOPPER = "data_contract_components.data_assets._embedded_postgres"
CREATED = "embedded PostgreSQL 18"
EXTENSIONS = ("pg_trgm", "citext", "hstore", "fuzzystrmatch", "ltree", "unaccent", "btree_gist", "vector")
# Runs the rest of its command line where no program on the disk of its first word may run.
NOEXEC = 'mount --bind "$0" "$0" && mount -o remount,bind,noexec "$0" && exec "$@"'
# PostgreSQL 18 manual, "libpq: Environment Variables", and two that older versions have.
LIBPQ_VARIABLES = read_data("libpq_variables.txt").split()


def can_run_as_ordinary_user() -> bool:
    return shutil.which("unshare") is not None and subprocess.run([*AS_ORDINARY_USER, "true"]).returncode == 0


class EmbeddedPostgresTestCase(ProjectTestCase):
    prefix: tuple[str, ...] = ()

    def start(self, program: str, prefix: Sequence[str] = (), **variables: str) -> subprocess.Popen[str]:
        environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"} | variables
        # Not PYTHONPATH, where a colon separates two directories.
        program = f"import os, sys; sys.path.insert(0, {str(self.project)!r}); {program}"
        process = subprocess.Popen(
            [*self.prefix, *prefix, sys.executable, "-c", program],
            cwd="/", env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.addCleanup(process.communicate)
        return process

    def python(self, program: str, **variables: str) -> tuple[str, str]:
        """What the program printed on standard output and on standard error."""
        process = self.start(program, **variables)
        output = process.communicate()
        self.assertEqual(process.returncode, 0, output[1])
        return output

    def query(self, sql: str, **variables: str) -> str:
        return self.python(f"{HELPER}print(PostgresDB().query({sql!r}).iloc[0, 0])", **variables)[0].strip()

    def assert_data_are_kept_and_the_server_stops_after_each_command(self) -> None:
        self.assertEqual(self.query("create table t (a int); insert into t values (7)"), "INSERT 0 1")
        wait_until(self.is_stopped)
        self.assertEqual(self.query("select a from t"), "7")
        wait_until(self.is_stopped)

    def start_user(self) -> subprocess.Popen[str]:
        user = self.start(USER)
        self.assertEqual(self.read_line(user.stdout), "ready\n")
        return user

    def end_last(self, user: subprocess.Popen[str]) -> None:
        """The user has ended, and then the server, as it was the last."""
        user.communicate()
        wait_until(self.is_stopped)

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

    def create_and_stop(self) -> None:
        self.query("select 1")
        wait_until(self.is_stopped)

    def server_process_id(self) -> int:
        return int((self.project / ".postgres/data/postmaster.pid").read_text().splitlines()[0])

    def socket_directory(self) -> Path:
        return (self.project / ".postgres/socket").readlink()

    def kill_server(self) -> None:
        os.kill(self.server_process_id(), signal.SIGKILL)
        wait_until(self.is_stopped)  # a signal's effect is not there at once


class TestEmbeddedPostgres(EmbeddedPostgresTestCase):
    def test_data_are_kept_between_commands_and_the_server_stops_after_each(self) -> None:
        self.assert_data_are_kept_and_the_server_stops_after_each_command()

    def test_one_line_on_standard_error_reports_its_creation(self) -> None:
        output, errors = self.python(HELPER + "database_url()")
        self.assertEqual(output, "")
        self.assertRegex(errors, rf"\A{CREATED}.*\n\Z")
        self.assertEqual(self.python(HELPER + "database_url()"), ("", ""))

    def test_two_processes_that_start_at_once_share_one_server(self) -> None:
        identify = HELPER + "print(PostgresDB().query('select system_identifier from pg_control_system()').iloc[0, 0])"
        outputs = [process.communicate() for process in [self.start(identify), self.start(identify)]]
        self.assertEqual(len({output for output, _ in outputs}), 1)
        self.assertEqual("".join(errors for _, errors in outputs).count(CREATED), 1)

    def test_the_server_runs_until_its_last_user_has_ended(self) -> None:
        first, second = self.start_user(), self.start_user()
        server = self.server_process_id()
        first.communicate()
        self.assertEqual(self.query("select 1"), "1")
        self.assertEqual(self.server_process_id(), server)
        self.end_last(second)

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
        for _ in "12":
            socket_directory = self.socket_directory()
            self.kill_server()
            self.assertEqual(self.query("select a from t"), "7")
            self.assertFalse(socket_directory.exists())
        self.kill_server()
        assert user.stdin is not None
        user.stdin.write("\n")
        user.stdin.flush()
        self.assertEqual(self.read_line(user.stdout), "7\n")
        self.end_last(user)

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
        self.create_and_stop()
        for _ in range(5):
            user = self.start(USER)
            wait_until(lambda: not self.is_stopped())
            user.kill()
            self.end_last(user)
        self.assertEqual(self.query("select 1"), "1")

    def test_a_socket_that_was_removed_is_created_again(self) -> None:
        user = self.start_user()
        shutil.rmtree(self.socket_directory())
        self.assertEqual(self.query("select 1"), "1")
        self.end_last(user)

    def test_the_next_command_completes_a_creation_that_was_killed(self) -> None:
        creation = self.start(HELPER + "database_url()")
        wait_until(lambda: any(self.project.glob(".postgres/initdb-*/data/base")))
        creation.kill()
        self.assertEqual(self.query("select 1"), "1")

    def test_a_server_that_cannot_start_reports_the_reason(self) -> None:
        self.create_and_stop()
        with (self.project / ".postgres/data/postgresql.conf").open("a") as settings:
            settings.write("max_connections = many\n")
        _, errors = self.start(HELPER + "PostgresDB().query('select 1')").communicate()
        self.assertIn("DatabaseUnavailableError", errors)
        self.assertIn('invalid value for parameter "max_connections": "many"', errors)
        self.assertIn(str(self.project / ".postgres/log"), errors)

    def test_variables_of_libpq_have_no_effect(self) -> None:
        nonsense = dict.fromkeys(LIBPQ_VARIABLES, "nonsense")
        role_and_database = self.query("select current_user || '@' || current_database()", **nonsense)
        self.assertEqual(role_and_database, "postgres@postgres")
        alembic = "import alembic.config; alembic.config.main(['-c', sys.path[0] + '/{}', 'upgrade', 'head'])"
        self.python(alembic.format("data_contract_components/data_assets/alembic.ini"), **nonsense)
        self.assertEqual(self.query("select count(*) from alembic_version"), "1")

    def test_the_socket_is_below_tmpdir_unless_its_path_is_too_long(self) -> None:
        for name, is_used in {"short": True, "long" * 20: False, "comma,": False}.items():
            with self.subTest(name=name), tempfile.TemporaryDirectory(suffix=name) as directory:
                Path(directory).chmod(0o755)
                parent = "import pathlib; print(pathlib.Path(sys.path[0], '.postgres/socket').readlink().parent)"
                output, _ = self.python(f"{HELPER}database_url(); {parent}", TMPDIR=directory)
                self.assertEqual(output.strip(), directory if is_used else "/tmp")
                wait_until(self.is_stopped)

    def test_the_stopper_stops_the_server_and_nothing_else_whatever_is_in_its_pid_file(self) -> None:
        bystander = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
        self.addCleanup(bystander.communicate)
        user = self.start_user()
        for text in (str(bystander.pid), "-1", "nonsense"):
            with self.subTest(text=text):
                data_directory = self.query("show data_directory")
                self.query(f"copy (select '{text}') to '{data_directory}/postmaster.pid'")
                self.end_last(user)
                self.assertIsNone(bystander.poll())
                user = self.start_user()


class TestVersions(EmbeddedPostgresTestCase):
    def start_here(self, version: int, binaries_directory: Path | None = None) -> PostgresDB:
        with contextlib.redirect_stderr(io.StringIO()):
            return PostgresDB(start_embedded_postgres(self.project / ".postgres", version, binaries_directory))

    def stop(self) -> None:
        stop_embedded_postgres(self.project / ".postgres")

    def test_the_version_that_is_set_is_the_one_that_runs(self) -> None:
        for version in PACKAGES:
            with self.subTest(version=version):
                row = self.start_here(version).query("select current_setting('server_version_num')::int / 10000 as n")
                self.assertEqual(row["n"].to_list(), [version])
                self.stop()
                shutil.rmtree(self.project / ".postgres/data")

    def test_the_extensions_that_migrations_often_need_can_be_created(self) -> None:
        database = self.start_here(18)
        for name in EXTENSIONS:
            with self.subTest(name):
                self.assertEqual(database.query(f"create extension {name}")["status"][0], "CREATE EXTENSION")
        sql = "select similarity('art', 'arts') > 0.4 and 'A'::citext = 'a' and levenshtein('a', 'b') = 1 as is_so"
        self.assertEqual(database.query(sql)["is_so"].to_list(), [True])

    def test_data_of_another_version_are_kept_and_the_way_out_is_reported(self) -> None:
        for old, new in ((16, 18), (18, 16)):
            with self.subTest(old=old, new=new):
                self.start_here(old).query("create table t (a int); insert into t values (7)")
                for is_running in (True, False):
                    if not is_running:
                        self.stop()
                    with self.assertRaises(DatabaseUnavailableError) as caught:
                        self.start_here(new)
                    self.assertEqual(
                        (caught.exception.reason, caught.exception.way_out),
                        (
                            f"its data are of PostgreSQL {old}, and the version to run is {new}",
                            f"Set `server` to {old} to use them, or remove that directory, or set DATABASE_URL to a "
                            "PostgreSQL server.",
                        ),
                    )
                self.assertEqual(self.start_here(old).query("select a from t")["a"].to_list(), [7])
                self.stop()
                shutil.rmtree(self.project / ".postgres/data")

    def test_data_that_the_package_of_earlier_versions_of_this_project_made_are_used(self) -> None:
        old = self.start_here(18, BINARIES["16"].parents[1] / "pginstall18/bin")
        version = str(old.query("show server_version")["server_version"][0])
        old.query(
            "create extension vector; create table t (a vector(2), b text); create index on t (b);"
            "create index on t using hnsw (a vector_l2_ops); insert into t values ('[1,2]', 'é')"
        )
        self.kill_server()  # so that the other has its write-ahead log to read
        new = self.start_here(18)
        self.assertNotEqual(new.query("show server_version")["server_version"][0], version)
        sql = "alter extension vector update; select b from t where b = 'é' order by a <-> '[1,1]'"
        self.assertEqual(new.query(sql)["b"].to_list(), ["é"])

    def test_a_missing_package_is_named(self) -> None:
        for version, package in PACKAGES.items():
            program = (
                f"sys.modules[{package!r}] = None; from pathlib import Path; from {STOPPER} import *; "
                f"start_embedded_postgres(Path({str(self.project)!r}) / '.postgres', {version})"
            )
            _, errors = self.start(program).communicate()
            name = package.replace("_", "-")
            self.assertIn(f"the package {name}, which has PostgreSQL {version}, is not installed for ", errors)
            self.assertIn(f"\nInstall it (pip install {name}), or set DATABASE_URL to ", errors)


class TestClosedDirectories(EmbeddedPostgresTestCase):
    def test_it_opens_no_directory_outside_its_own_and_listens_on_no_network_address(self) -> None:
        self.project.parent.chmod(0o700)
        directories = [self.project, *self.project.parents, Path(sys.executable), Path(sys.prefix), Path.home()]
        before = [directory.stat().st_mode for directory in directories]
        self.assertEqual(self.query("show listen_addresses"), "")
        self.assertEqual([directory.stat().st_mode for directory in directories], before)
        self.assertEqual((self.project / ".postgres").stat().st_mode & 0o777, 0o700)

    @unittest.skipUnless(os.geteuid() == 0, "only root can become another user")
    def test_no_other_user_can_connect_not_even_one_with_the_servers_account(self) -> None:
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
        return "/".join(["a directory: named 'at', \"length\" %20"] * 5)

    def test_the_server_runs_there(self) -> None:
        self.assertGreater(len(str(self.project)), 107)
        self.assert_data_are_kept_and_the_server_stops_after_each_command()


@unittest.skipUnless(os.geteuid() == 0, "an ordinary user's server may do what the user may")
class TestServerOfRoot(EmbeddedPostgresTestCase):
    def test_a_superuser_of_the_server_reads_and_writes_no_file_outside_its_own_directories(self) -> None:
        open_directory = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, open_directory)
        open_directory.chmod(0o1777)
        secret, public, writable = self.project / "secret", self.project / "public", open_directory / "root's"
        for path, mode in ((secret, 0o600), (public, 0o644), (writable, 0o644)):
            path.write_text("of root")
            path.chmod(mode)
        directory, copy = self.project / ".postgres", self.project / "copy"
        with contextlib.redirect_stderr(io.StringIO()):
            start_embedded_postgres(directory)
        stop_embedded_postgres(directory)
        # Another clone's server, which runs under the same user id: its process, too, could be a way to its data.
        subprocess.run(["cp", "-Rp", directory, copy], check=True)
        self.addCleanup(stop_embedded_postgres, copy)
        database, other = PostgresDB(start_embedded_postgres(directory)), PostgresDB(start_embedded_postgres(copy))
        other_process = str(other.query("select pg_read_file('postmaster.pid')").iloc[0, 0]).splitlines()[0]
        other_data = str(other.query("show data_directory").iloc[0, 0]).replace("self", other_process)
        database.query("create table t (a text); insert into t values ('of the server'); select lo_create(1)")
        own_data = str(database.query("show data_directory").iloc[0, 0])
        database.query("copy t to program 'ln -s .. up; ln -s ../.. top'")

        text = str(database.query("select pg_read_file('/proc/self/status')").iloc[0, 0])
        status = dict(line.split(":", 1) for line in text.splitlines())
        for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            self.assertEqual(int(status[name], 16), 0, name)
        self.assertEqual((status["NoNewPrivs"].strip(), status["Groups"].strip()), ("1", ""))

        paths = ["/etc/shadow", secret, public, f"{own_data}/up/log", f"{own_data}/top/public"]
        paths += [f"{other_data}/PG_VERSION", f"/proc/{other_process}/environ", f"/proc/{os.getpid()}/environ"]
        reads = [
            "select pg_read_file($${}$$)",
            "select lo_import($${}$$)",
            "copy t from $${}$$",
            """copy t from program $$cat "{}"$$""",
        ]
        writes = ["copy t to $${}$$", "select lo_export(1, $${}$$)", """copy t to program $$cat > "{}"$$"""]
        attempts = [form.format(path) for path in paths for form in reads + writes]
        attempts += [form.format(writable) for form in writes]
        attempts.append(f"copy t to program 'rm {self.socket_directory()}/.s.PGSQL.5432'")
        for sql in attempts:
            with self.subTest(sql=sql), self.assertRaisesRegex(QueryError, "ermission denied|child process exited"):
                database.query(sql)
        for path in (secret, public, writable):
            self.assertEqual(path.read_text(), "of root")
        self.assertEqual(database.query("select a from t")["a"].to_list(), ["of the server"])

    def test_links_that_a_superuser_of_the_server_made_are_not_followed(self) -> None:
        target = self.project / "target"
        target.write_text("\n".join(["1"] * 7 + ["ready"]))
        self.query("select 1")
        for make in (lambda path: path.symlink_to(target), os.mkfifo):
            wait_until(self.is_stopped)
            make(self.project / ".postgres/data/postmaster.pid")
            self.assertEqual(self.query("select 1"), "1")
        self.assertTrue(target.read_text().endswith("ready"))

    def test_the_programs_may_be_below_a_closed_directory(self) -> None:
        closed = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, closed)
        for directory in (PACKAGE_DIRECTORY / "pginstall", PACKAGE_DIRECTORY.with_suffix(".libs")):
            shutil.copytree(directory, closed / directory.relative_to(PACKAGE_DIRECTORY.parent))
        with contextlib.redirect_stderr(io.StringIO()):
            binaries_directory = closed / PACKAGE_DIRECTORY.name / "pginstall/bin"
            url = start_embedded_postgres(self.project / ".postgres", 18, binaries_directory)
        # The second needs libpq, which is beside the package.
        sql = "create extension vector; create extension dblink; select dblink_get_connections() is null as is_loaded"
        self.assertEqual(PostgresDB(url).query(sql)["is_loaded"].to_list(), [True])
        self.assertEqual(closed.stat().st_mode & 0o777, 0o700)

    def test_data_of_an_earlier_version_are_refused(self) -> None:
        self.create_and_stop()
        nobody = pwd.getpwnam("nobody")
        os.chown(self.project / ".postgres/data", nobody.pw_uid, nobody.pw_gid)
        _, errors = self.start(HELPER + "database_url()").communicate()
        self.assertIn("its data belong to another account", errors)
        self.assertIn("\nRemove that directory, or set DATABASE_URL", errors)


@unittest.skipUnless(os.geteuid() == 0, "only root can take rights away")
class TestFailures(EmbeddedPostgresTestCase):
    def assert_fails(self, reason: str, way_out: str, *prefix: str) -> None:
        with self.subTest(reason):
            _, errors = self.start(HELPER + "database_url()", prefix).communicate()
            place = f"cannot reach the embedded PostgreSQL in {self.project}/.postgres"
            message = f"{place}: {reason}\n{way_out}, or set DATABASE_URL to a PostgreSQL server.\n"
            self.assertEqual(errors.partition("DatabaseUnavailableError: ")[2], message)

    def test_each_reports_the_cause_and_the_way_out(self) -> None:
        reason = "root does not have the capabilities CHOWN, SETUID here"
        way_out = "Work as an ordinary user (docker run --user), or grant them (docker run --cap-add)"
        self.assert_fails(reason, way_out, "setpriv", "--bounding-set=-chown,-setuid")
        (self.project / ".postgres").mkdir(exist_ok=True)
        os.chown(self.project / ".postgres", 1, 1)
        reason = f"that directory belongs to another user, {pwd.getpwuid(1).pw_name}"
        self.assert_fails(reason, "Work as that user, or remove it as that user")
        (self.project / ".postgres").rmdir()

    @unittest.skipUnless(can_run_as_ordinary_user(), "unshare can make no user namespace")
    def test_a_user_that_cannot_run_a_server_gets_the_way_out(self) -> None:
        reason = "the user id 54321 has no name (no entry in /etc/passwd), which initdb asks for"
        way_out = "Work as a user who has one, or add one"
        self.assert_fails(reason, way_out, "unshare", "--user", "--map-user=54321")
        reason = "root cannot give a directory there to another user (Invalid argument)"
        self.assert_fails(reason, "Work as an ordinary user", "unshare", "--user", "--map-root-user")

    def test_a_disk_where_no_program_may_run_is_reported_with_the_way_out(self) -> None:
        mount = ["unshare", "--mount", "sh", "-c", NOEXEC, str(PACKAGE_DIRECTORY)]
        if subprocess.run([*mount, "true"], capture_output=True).returncode != 0:
            self.skipTest("root may not mount")
        reason = f"no program can run in {PACKAGE_DIRECTORY}/pginstall/bin, as its disk is mounted noexec"
        self.assert_fails(reason, "Make the virtual environment on another disk", *mount)


@unittest.skipUnless(
    os.geteuid() == 0 and can_run_as_ordinary_user(),
    "for root alone (the other tests run as an ordinary user else), and only where unshare can make a user namespace",
)
class TestOrdinaryUser(EmbeddedPostgresTestCase):
    # In a user namespace: the process has another user's id, and may yet read a Python below root's home directory.
    prefix = tuple(AS_ORDINARY_USER)

    def test_the_server_runs_under_the_users_own_account(self) -> None:
        self.assertEqual(self.python("import os; print(os.geteuid())")[0], "65534\n")
        self.assert_data_are_kept_and_the_server_stops_after_each_command()
        self.assertEqual((self.project / ".postgres/data").owner(), pwd.getpwuid(os.geteuid()).pw_name)
