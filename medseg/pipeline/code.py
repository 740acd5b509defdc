"""The digest of a stage's code: a stage is done again when what computes it has changed, and only then."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path

from medseg.pipeline.memo import Memo, opened
from medseg.pipeline.parsed import Beside, Parsed, parse, rules
from medseg.values.digests import digest_of, digest_of_file

PAGES = {".html", ".css", ".js"}


@cache
def digest_of_code(module: str, package: str = "medseg", memory: Path | None = None) -> str:
    """Return the SHA-256 over `module` and every module of `package` that it imports, at any depth.

    Pages (html, css, js) beside those modules count too, and imports inside functions. Comments, docstrings and the
    layout of Python do not. Code is parsed, never run. What was parsed before is remembered beside the bytecode of
    `package` and, for places where nothing can be written, in the memo `memory`.
    """
    with _known(package, memory) as known:
        modules = _reach(module, package, known)
    digest = hashlib.sha256()
    for name, parsed in sorted(modules.items()):
        digest.update(f"{name}:{parsed.digest}\n".encode())
    for path in sorted({page for name in modules for page in _pages(name)}):
        digest.update(f"{path.name}:{digest_of_file(path)}\n".encode())
    return digest.hexdigest()


class _Known:
    """Parses a source, or remembers it; the memo is not opened before something is missing beside the bytecode."""

    def __init__(self, beside: Beside | None, memory: Path | None, stack: ExitStack) -> None:
        self.beside, self.memory, self.stack = beside, memory, stack
        self.memo: Memo | None = None

    def parsed(self, name: str, source: bytes) -> Parsed:
        """Return a module as parsed: the same bytes and the same Python give the same."""
        sha256 = hashlib.sha256(source).hexdigest()
        found = self.beside.get(name, sha256) if self.beside else None
        if found is None:
            found = self._from_memo(source, sha256)
            if self.beside:
                self.beside.put(name, sha256, found)
        return found

    def _from_memo(self, source: bytes, sha256: str) -> Parsed:
        if self.memo is None:
            self.memo = self.stack.enter_context(opened(self.memory)) if self.memory else Memo(None)
        key = digest_of(["parsed code", rules(), sha256])
        known = self.memo.get(key)
        if known is not None:
            digest, named = json.loads(known)
            return Parsed(digest, tuple(named))
        found = parse(source)
        self.memo.put(key, json.dumps([found.digest, found.named]))
        return found


@contextmanager
def _known(package: str, memory: Path | None) -> Iterator[_Known]:
    init = _source(package)
    beside = Beside(init) if init else None
    with ExitStack() as stack:
        yield _Known(beside, memory, stack)
    if beside:
        beside.save()


def _reach(module: str, package: str, known: _Known) -> dict[str, Parsed]:
    seen: dict[str, Parsed] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        source = _source(name)
        if source is None:
            raise ModuleNotFoundError(f"{name} has no source file")
        seen[name] = known.parsed(name, source.read_bytes())
        waiting += [one for one in seen[name].named if one.split(".")[0] == package and _source(one) is not None]
    return seen


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
