"""What source files are without comments and docstrings, remembered beside Python's own bytecode.

To parse some hundred files takes a quarter of a second, so it is done once for an installation and not once for every
store. The file is exactly as trustworthy as the bytecode it lies beside: whoever can write into that folder can have
Python run anything already, and an entry is only compared with, never run. What is not of the right form is passed
over; what was parsed from other bytes, by another Python or by other rules is parsed again.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a source file is without comments and docstrings, and every module that it may name in an import."""

    digest: str
    named: tuple[str, ...]


def parse(source: bytes) -> Parsed:
    """Take the docstrings out of a source, and find every module that an import may mean; some are names in modules."""
    tree = ast.parse(source)
    named: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            named.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            named.add(node.module)
            named.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            node.body = node.body[_has_docstring(node) :]
    return Parsed(hashlib.sha256(ast.dump(tree).encode()).hexdigest(), tuple(sorted(named)))


def _has_docstring(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return ast.get_docstring(node, clean=False) is not None


@cache
def rules() -> str:
    """Return what a parsed source depends on beside its bytes: the version of Python and this file."""
    version = ".".join(map(str, sys.version_info[:3]))
    return f"{version} {hashlib.sha256(Path(__file__).read_bytes()).hexdigest()}"


class Beside:
    """Parsed sources of one package by the names of their modules, in one file where its bytecode lies.

    Nothing is written where Python writes no bytecode, and an unwritable place is no error.
    """

    def __init__(self, init: Path) -> None:
        self.path = _place(init)
        self._known = _read(self.path) if self.path else {}
        self._changed = False

    def get(self, name: str, sha256: str) -> Parsed | None:
        """Return what was parsed from exactly these bytes, None where that is not known."""
        found = self._known.get(name)
        return Parsed(found[1], tuple(found[2])) if found and found[0] == sha256 else None

    def put(self, name: str, sha256: str, parsed: Parsed) -> None:
        """Remember a module in place of what it was before; `save` writes it."""
        self._known[name] = [sha256, parsed.digest, list(parsed.named)]
        self._changed = True

    def save(self) -> None:
        """Write what is new: a reader sees the old file or the new one; of two writers the last one counts."""
        if self.path is None or not self._changed or sys.dont_write_bytecode:
            return
        self._changed = False
        draft = self.path.with_name(f"{self.path.name}.{os.getpid()}.draft")
        try:
            draft.parent.mkdir(parents=True, exist_ok=True)
            draft.write_text(json.dumps({"rules": rules(), "modules": self._known}), encoding="utf-8")
            draft.replace(self.path)
        except OSError:
            with suppress(OSError):
                draft.unlink(missing_ok=True)


def _place(init: Path) -> Path | None:
    """Name the file beside the bytecode of a package's `__init__.py`; None for a Python that keeps no bytecode."""
    try:
        bytecode = Path(importlib.util.cache_from_source(str(init)))
    except NotImplementedError:
        return None
    return bytecode.with_name(f"parsed.{sys.implementation.cache_tag}.json")


def _read(path: Path) -> dict[str, list[Any]]:
    """Read what is known; of a damaged file, or one that other rules made, nothing is."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(found, dict) or found.get("rules") != rules() or not isinstance(found.get("modules"), dict):
        return {}
    return {name: entry for name, entry in found["modules"].items() if _is_entry(entry)}


def _is_entry(entry: object) -> bool:
    if not isinstance(entry, list) or len(entry) != 3 or not isinstance(entry[2], list):
        return False
    return all(isinstance(text, str) for text in (*entry[:2], *entry[2]))
