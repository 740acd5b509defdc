"""The digest of a stage's code: a stage is done again when what computes it has changed, and only then."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
from functools import cache
from pathlib import Path

from medseg.values.digests import digest_of_file

PAGES = {".html", ".css", ".js"}


def digest_of_code(module: str, package: str = "medseg") -> str:
    """Return the SHA-256 over `module` and every module of `package` that it imports, at any depth.

    Pages (html, css, js) beside those modules count too, and imports inside functions. Comments, docstrings and the
    layout of Python do not. Code is parsed, never run.
    """
    digest = hashlib.sha256()
    names = _reach(module, package)
    for name in sorted(names):
        digest.update(f"{name}:{_digest_of_module(name)}\n".encode())
    for path in sorted({page for name in names for page in _pages(name)}):
        digest.update(f"{path.name}:{digest_of_file(path)}\n".encode())
    return digest.hexdigest()


def _pages(name: str) -> list[Path]:
    source = _source(name)
    return [path for path in source.parent.iterdir() if path.suffix in PAGES] if source else []


def imports_of(module: str, package: str = "medseg") -> frozenset[str]:
    """Return the modules of `package` that the source of `module` names in an import, anywhere in the file."""
    found: set[str] = set()
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(name for name in found if name.split(".")[0] == package and _source(name) is not None)


def _reach(module: str, package: str) -> set[str]:
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting.extend(imports_of(name, package))
    return seen


@cache
def _digest_of_module(name: str) -> str:
    tree = _tree(name)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and _has_docstring(node):
            node.body = node.body[1:]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def _has_docstring(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return ast.get_docstring(node, clean=False) is not None


def _tree(name: str) -> ast.Module:
    source = _source(name)
    if source is None:
        raise ModuleNotFoundError(f"{name} has no source file")
    return ast.parse(source.read_text(encoding="utf-8"))


@cache
def _source(name: str) -> Path | None:
    """Find the source file of a module by its name alone; only the top package is looked up, nothing is imported."""
    top, *rest = name.split(".")
    spec = importlib.util.find_spec(top)
    if spec is None or not spec.submodule_search_locations:
        return None
    place = Path(spec.submodule_search_locations[0]).joinpath(*rest)
    candidates = (place / "__init__.py", place.with_suffix(".py"))
    return next((path for path in candidates if path.is_file()), None)
