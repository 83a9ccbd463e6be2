"""Files that are new: the name and the text of a contract's, and the writing of all or none."""

import json
import re
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from data_contract_components.contract_definition.contract_files import NAME_ENDING
from data_contract_components.escaping import CONTROLS

# What the name of a file cannot have on some system where the repository may be checked out, or that hides it.
_UNUSUAL = re.compile(rf'{CONTROLS.pattern}|[\t\n/\\:*?"<>|]|^\.')


def make_file_name(table_schema: str, table_name: str) -> str:
    return _UNUSUAL.sub("_", render_table_name(table_schema, table_name)) + NAME_ENDING


def render_table_name(table_schema: str, table_name: str) -> str:
    return table_name if table_schema == "public" else f"{table_schema}.{table_name}"


def render_contract(spec: Mapping[str, Any]) -> str:
    return json.dumps(spec, indent=2, ensure_ascii=False) + "\n"


def write_new_files(texts: Mapping[Path, str]) -> None:
    """The files are there. Raises: OSError, also where one is there already; then none is new, and none was changed."""
    with ExitStack() as undo:
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                undo.callback(path.unlink)
                file.write(text)
        undo.pop_all()
