"""What commands have in common: an option, exit status, and the escaping of what they print. Needs Python only."""

import argparse
import datetime
import functools
import io
import os
import sys
import traceback
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, TextIO, cast

from data_contract_components.errors import DataContractError
from data_contract_components.escaping import escape_output, hide_passwords


class EscapedOutput:
    """A text stream that escapes what is written to it; `unescaped` is the stream behind it."""

    def __init__(self, unescaped: TextIO | None) -> None:
        # A command may call another one, and its output may be closed.
        self.unescaped: TextIO = getattr(unescaped, "unescaped", unescaped) or io.StringIO()
        if isinstance(self.unescaped, io.TextIOWrapper):
            self.unescaped.reconfigure(errors="backslashreplace")

    def write(self, text: str) -> int:
        # A progress bar is a write that begins with a carriage return.
        start = text[: text.startswith("\r")]
        self.unescaped.write(start + escape_output(text[len(start) :]))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.unescaped, name)


def write_escaped(text: str) -> None:
    """Writes `text` to standard output as it is: the caller has escaped it."""
    getattr(sys.stdout, "unescaped", sys.stdout).write(text)


def _read_day(text: str) -> datetime.date:
    try:
        return datetime.datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=datetime.UTC).date()
    except ValueError as error:
        raise argparse.ArgumentTypeError(f'expected a day as YYYY-MM-DD; found "{text}"') from error


def add_today(parser: argparse.ArgumentParser) -> None:
    """Adds the option for trying out what a later day brings."""
    parser.add_argument(
        "--today",
        type=_read_day,
        metavar="YYYY-MM-DD",
        help="check as on another day, to try out what a sunset or the end of a waiver brings",
    )


def command(state_if_stopped: str) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """A `main` that returns an exit status: 2 after an error, 130 after Ctrl-C, 141 after a closed pipe.

    The SystemExit of argparse passes through.

    `state_if_stopped` is printed after Ctrl-C.
    """

    def decorate(main: Callable[..., int]) -> Callable[..., int]:
        @functools.wraps(main)
        def run(*arguments: Any, **keywords: Any) -> int:
            output, errors = (cast(TextIO, EscapedOutput(stream)) for stream in (sys.stdout, sys.stderr))
            with redirect_stdout(output), redirect_stderr(errors):
                try:
                    status = main(*arguments, **keywords)
                    sys.stdout.flush()
                    return status
                except KeyboardInterrupt:
                    status, message = 130, f"stopped; {state_if_stopped}"
                except BrokenPipeError:
                    status, message = 141, ""
                except Exception as error:  # noqa: BLE001 - also an unexpected error has an exit status
                    status, message = 2, render_error(error)
                for stream, text in ((output, ""), (errors, message and f"{message}\n")):
                    try:
                        stream.write(text)
                        stream.flush()
                    except OSError:
                        # Python flushes again when it exits. Source: Python's documentation of `signal`, SIGPIPE.
                        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
                return status

        return run

    return decorate


def render_error(error: Exception) -> str:
    """The error's own message if a user can fix it; for an unexpected error, also how to report it."""
    if isinstance(error, DataContractError | OSError):
        return str(error)
    if sys.flags.dev_mode:
        return hide_passwords("".join(traceback.format_exception(error)))
    frame = traceback.extract_tb(error.__traceback__)[-1]
    text = hide_passwords(" ".join(str(error).split()))
    return (
        f"unexpected {type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}: {text}; "
        "this is an error in the program: please report it, with the output under PYTHONDEVMODE=1"
    )
