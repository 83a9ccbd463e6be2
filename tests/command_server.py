"""Runs the commands of tests.run, each in a process of its own, which is forked when the packages are imported.

To import pandas, SQLAlchemy and Alembic takes longer than most commands. The project's own modules are imported by each
command, from the directory in which it runs.
"""

import gc
import importlib
import json
import os
import runpy
import socket
import sys

PACKAGES = ("alembic.command", "alembic.config", "jsonschema_rs", "jinja2", "pandas", "psycopg2", "requests", "tqdm")


def serve(connection: socket.socket) -> dict[str, str]:
    """In a new process, the command that it is to run; its output goes where the client says. Ends with the client."""
    with connection.makefile("rb", buffering=0) as requests:
        while True:
            start, descriptors, *_ = socket.recv_fds(connection, 1, 1)
            if not start:
                sys.exit()
            request: dict[str, str] = json.loads(requests.readline())
            if (process_id := os.fork()) == 0:
                for standard in (1, 2):
                    os.dup2(descriptors[0], standard)
                os.close(descriptors[0])
                connection.close()
                return request
            os.close(descriptors[0])
            _, status = os.waitpid(process_id, 0)
            connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    gc.disable()
    for package in PACKAGES:
        importlib.import_module(package)
    gc.freeze()  # Python's documentation: for a program that forks
    asked = serve(socket.socket(fileno=int(sys.argv[1])))
    gc.enable()
    os.chdir(asked["directory"])
    os.environ.clear()
    os.environ.update(json.loads(asked["environment"]))
    sys.path.insert(0, asked["directory"])
    sys.argv = ["", *json.loads(asked["arguments"])]
    runpy.run_module(asked["module"], run_name="__main__", alter_sys=True)
