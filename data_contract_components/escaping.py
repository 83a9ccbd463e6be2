"""Escapes text from files, databases and people for a terminal, GitHub's runner, and Markdown."""

import os
import re
from urllib.parse import unquote

TEXT_CHARACTERS = 200
# C0 except tab and newline, DEL, C1, surrogates, and what breaks lines or changes the direction of writing.
CONTROLS = re.compile(
    "[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069\\ud800-\\udfff]"
)


def escape_controls(text: str) -> str:
    """`text`, with each control character as Python writes it; tabs and line ends stay."""
    return CONTROLS.sub(lambda match: ascii(match[0])[1:-1], text.replace("\r\n", "\n"))


def escape_output(text: str) -> str:
    """`text` without control characters and without commands to GitHub's runner.

    A command is a line that begins with "::", or "##[" anywhere. Source: actions/runner, ActionCommand.cs.
    """
    return re.sub(r"(?m)^(\s*)::", r"\1: :", escape_controls(text)).replace("##[", "## [")


def hide_passwords(text: str) -> str:
    """`text` without the passwords and tokens of the environment."""
    users = (value.partition("://")[2].rpartition("@")[0] for value in os.environ.values() if "://" in value)
    passwords = [password for user in users if (password := user.partition(":")[2])]
    secrets = [*passwords, *map(unquote, passwords), os.environ.get("PGPASSWORD"), os.environ.get("GITHUB_TOKEN")]
    for secret in filter(None, secrets):
        text = text.replace(secret, "***")
    return text


def cut_middle(text: str, characters: int) -> str:
    if len(text) <= characters:
        return text
    half = characters // 2
    return f"{text[:half]}\n\n… {len(text) - 2 * half:,} characters left out …\n\n{text[-half:]}"


def fence(text: str) -> str:
    """`text` as a block of code, which nothing in `text` can end."""
    text = escape_controls(text).strip("\n")
    ticks = _render_ticks(text, 3)
    return f"{ticks}text\n{text}\n{ticks}"


def _render_ticks(text: str, least: int) -> str:
    """More backquotes than `text` has in a row."""
    return "`" * max(least, 1 + max(map(len, re.findall("`+", text)), default=0))


def code(text: str) -> str:
    """`text` as code in a line or in a table's cell."""
    text = " ".join(escape_controls(cut(text)).split()) or " "
    ticks = _render_ticks(text, 1)
    blank = " " if text.startswith("`") or text.endswith("`") else ""
    # In a table, "|" ends the cell even inside of code, unless a backslash is before it.
    text = text.replace("|", r"\|")
    return f"{ticks}{blank}{text}{blank}{ticks}"


def escape(text: str, characters: int = TEXT_CHARACTERS) -> str:
    """`text` as plain text in a line or in a table's cell."""
    text = " ".join(escape_controls(cut(text, characters)).split())
    # GitHub looks for mentions and issue numbers in the finished page, where an entity is a character again.
    text = re.sub(r"(?<!\w)@|#(?=\d)", lambda match: f"{match[0]}\u200b", text, flags=re.ASCII)
    special = r"[&<>*`\[\]|~$\\]|(?<!\w)_|_(?!\w)|(?<=\w):(?=//)|(?<=www)\."
    return re.sub(special, lambda match: f"&#{ord(match[0])};", text)


def cut(text: str, characters: int = TEXT_CHARACTERS) -> str:
    return text if len(text) <= characters else f"{text[: characters - 1]}…"
