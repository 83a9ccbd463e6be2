"""A program that runs the migrations of one checkout on a scratch database; _migrations.py starts it by its directory.

Each line on standard input is a job, which runs in a process of its own, so that no job is affected by what another
imported or opened. The answer is a JSON file, and the exit status of the job's process a line on standard output. A job
that reads the revisions answers with them first, and with the line "read"; how many to apply is the next line on
standard input. The program ends with the process that started it.

The modules beside this one are loaded under another name, and import nothing of this package: here, the package's name
stands for the code of that checkout.
"""

import gc
import importlib
import json
import logging
import os
import select
import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

PACKAGE = "_contracts_migration_worker"


def main() -> None:
    # As Python's documentation of gc.freeze() says for a program that forks; it also shortens the imports by a quarter.
    gc.disable()
    # Python has put the directory on the path, where its modules would hide those of the checkout.
    sys.modules[PACKAGE] = ModuleType(PACKAGE)
    sys.modules[PACKAGE].__path__ = [sys.path.pop(0)]
    job_class = importlib.import_module(f"{PACKAGE}.job").Job
    gc.freeze()
    jobs, statuses = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    sys.stdout = sys.stderr  # what a revision prints is not part of the command's output
    logging.disable(logging.INFO)
    for line in jobs:
        process_id = os.fork()
        if process_id == 0:
            gc.enable()
            threading.Thread(target=_end_with_parent, args=(jobs.fileno(),), daemon=True).start()
            job = json.loads(line)
            path = Path(job["answer"])

            def ask(revisions: list[tuple[str, str]], path: Path = path) -> Any:
                path.write_text(json.dumps({"revisions": revisions}), encoding="utf-8")
                print("read", file=statuses, flush=True)
                return json.loads(jobs.readline())

            answer = job_class(job, ask).answer()
            path.write_text(json.dumps(answer, default=str), encoding="utf-8")
            sys.stderr.flush()
            os._exit(0)
        _, status = os.waitpid(process_id, 0)
        print(os.waitstatus_to_exitcode(status), file=statuses, flush=True)


def _end_with_parent(control: int) -> None:
    poll = select.poll()
    poll.register(control, 0)  # nothing but that the other end is closed
    poll.poll()
    os._exit(1)


if __name__ == "__main__":
    main()
