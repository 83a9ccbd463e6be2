"""Other people's words as Markdown: none can end its place, become a link or an element, or call somebody."""

import re

from data_contract_components.errors import escape_controls

TEXT_CHARACTERS = 200


def fold(title: str, text: str) -> str:
    return f"<details>\n<summary>{title}</summary>\n\n{text}\n\n</details>"


def cut_middle(text: str, characters: int) -> str:
    if len(text) <= characters:
        return text
    half = characters // 2
    return f"{text[:half]}\n\n… {len(text) - 2 * half:,} characters are left out here …\n\n{text[-half:]}"


def fence(text: str) -> str:
    """A block of code that ends where it should."""
    text = escape_controls(text).strip("\n")
    longest = max((len(ticks) for ticks in re.findall("`+", text)), default=0)
    ticks = "`" * max(3, longest + 1)
    return f"{ticks}text\n{text}\n{ticks}"


def code(text: str) -> str:
    """`text` as code within a line or a table's cell."""
    text = " ".join(escape_controls(cut(text)).split()) or " "
    longest = max((len(ticks) for ticks in re.findall("`+", text)), default=0)
    ticks = "`" * (longest + 1)
    blank = " " if text.startswith("`") or text.endswith("`") else ""
    # In a table, GitHub takes "|" for the end of the cell even inside of code, unless a backslash is before it.
    text = text.replace("|", r"\|")
    return f"{ticks}{blank}{text}{blank}{ticks}"


def escape(text: str, characters: int = TEXT_CHARACTERS) -> str:
    """`text` as words within a line or a table's cell."""
    text = " ".join(escape_controls(cut(text, characters)).split())
    # A mention and a number of an issue are found in the finished page, where an entity is a character again.
    text = re.sub(r"(?<!\w)@|#(?=\d)", lambda match: f"{match[0]}\u200b", text, flags=re.ASCII)
    return re.sub(r"[&<>*`\[\]|~$\\]|(?<!\w)_|_(?!\w)|(?<=\w):(?=//)|(?<=www)\.", _to_entity, text)


def _to_entity(match: re.Match[str]) -> str:
    return f"&#{ord(match[0])};"


def cut(text: str, characters: int = TEXT_CHARACTERS) -> str:
    return text if len(text) <= characters else f"{text[: characters - 1]}…"
