"""Leads the imports of this process to its checkout, and finds those that come from another one."""

import os
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

PACKAGE = "data_contract_components"
WORKER_DIRECTORY = str(Path(__file__).resolve().parent)


class Modules:
    """The Python files of the checkout `root`; those of `other_root`, if that is another one, may be on the path."""

    def __init__(self, root: str, other_root: str) -> None:
        self._root, self._other_root = root, other_root
        self._opened: set[str] = set()

    def isolate(self, directory: str) -> None:
        """Modules come from `directory` and this checkout, and are compiled again; which are read is noted."""
        sys.path[:] = [directory, *map(self._move, sys.path)]
        if Path(self._root, PACKAGE).is_dir():
            # An editable install puts a checkout on the path, whose regular packages win over root's, a namespace.
            sys.path[1:] = [path for path in sys.path[1:] if not Path(path, PACKAGE).is_dir()]
        for finder in sys.meta_path:  # setuptools' for an editable install that is not a directory on the path
            module = sys.modules.get(getattr(finder, "__module__", ""))
            mapping = getattr(module, "MAPPING", None)
            if isinstance(mapping, dict):
                mapping.update({name: self._move(path) for name, path in mapping.items()})
        get_stats = SourceFileLoader.path_stats

        def path_stats(loader: SourceFileLoader, path: Any) -> Any:
            # Python takes a compiled file as current when its source has the same size and time, and of the other
            # checkout it would hide the file that is read.
            source = os.path.realpath(path)
            if is_of(source, self._root) or is_of(source, self._other_root):
                raise OSError("no compiled file is used")
            return get_stats(loader, path)

        SourceFileLoader.path_stats = path_stats  # type: ignore[method-assign,assignment]
        sys.addaudithook(self._note)

    def find_others(self) -> list[str]:
        """The files of the other checkout that were read all the same, in order."""
        if self._root == self._other_root:
            return []
        return sorted(path for path in self._opened if is_of(path, self._other_root))

    def _move(self, path: str) -> str:
        return self._root + path[len(self._other_root) :] if is_of(f"{path}/", self._other_root) else path

    def _note(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[0], str) and arguments[0].endswith(".py"):
            self._opened.add(os.path.realpath(arguments[0]))


def is_of(path: str, root: str) -> bool:
    """Whether it is a file of the checkout itself; a virtual environment may lie in it."""
    return path.startswith(f"{root}/") and "/site-packages/" not in path and not path.startswith(WORKER_DIRECTORY)
