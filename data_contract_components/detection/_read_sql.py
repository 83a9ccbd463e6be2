"""Reads the queries that stand beside the modules, in .sql files."""

import re
from pathlib import Path


def read_sql(path: Path) -> str:
    """The text of an .sql file, in which a line `-- include FILE` stands for the text of FILE, relative to `path`.

    Values are bound, as %s or %(name)s, so that no file may have another per cent sign, not even in a comment.
    """
    text = path.read_text(encoding="utf-8")
    return re.sub(r"(?m)^ *-- include (\S+)\n", lambda match: read_sql(path.parent / match[1]), text)
