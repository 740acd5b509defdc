"""The digest of a stage's code: a stage is done again when what computes it has changed, and only then."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import sys
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from medseg.pipeline.memo import Memo, opened
from medseg.values.digests import digest_of, digest_of_file

PAGES = {".html", ".css", ".js"}


@dataclass(frozen=True, slots=True)
class _Parsed:
    """What a source file is without comments and docstrings, and every module that it may name in an import."""

    digest: str
    named: tuple[str, ...]


@cache
def digest_of_code(module: str, package: str = "medseg", memory: Path | None = None) -> str:
    """Return the SHA-256 over `module` and every module of `package` that it imports, at any depth.

    Pages (html, css, js) beside those modules count too, and imports inside functions. Comments, docstrings and the
    layout of Python do not. Code is parsed, never run; what was parsed before is remembered in the memo `memory`.
    """
    with opened(memory) if memory else nullcontext(Memo(None)) as memo:
        modules = _reach(module, package, memo)
    digest = hashlib.sha256()
    for name, parsed in sorted(modules.items()):
        digest.update(f"{name}:{parsed.digest}\n".encode())
    for path in sorted({page for name in modules for page in _pages(name)}):
        digest.update(f"{path.name}:{digest_of_file(path)}\n".encode())
    return digest.hexdigest()


def _reach(module: str, package: str, memo: Memo) -> dict[str, _Parsed]:
    seen: dict[str, _Parsed] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        source = _source(name)
        if source is None:
            raise ModuleNotFoundError(f"{name} has no source file")
        seen[name] = _parsed(source.read_bytes(), memo)
        waiting += [one for one in seen[name].named if one.split(".")[0] == package and _source(one) is not None]
    return seen


def _parsed(source: bytes, memo: Memo) -> _Parsed:
    """Parse a source file, or remember it: the same bytes and the same Python give the same."""
    key = digest_of(["parsed code", sys.version_info[:3], hashlib.sha256(source).hexdigest()])
    known = memo.get(key)
    if known is not None:
        digest, named = json.loads(known)
        return _Parsed(digest, tuple(named))
    found = _parse(ast.parse(source))
    memo.put(key, json.dumps([found.digest, found.named]))
    return found


def _parse(tree: ast.Module) -> _Parsed:
    """Take the docstrings out of a tree, and find every module that an import may mean; some are names in modules."""
    named: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            named.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            named.add(node.module)
            named.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            node.body = node.body[_has_docstring(node) :]
    return _Parsed(hashlib.sha256(ast.dump(tree).encode()).hexdigest(), tuple(sorted(named)))


def _has_docstring(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return ast.get_docstring(node, clean=False) is not None


def _pages(name: str) -> list[Path]:
    source = _source(name)
    return [path for path in source.parent.iterdir() if path.suffix in PAGES] if source else []


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
