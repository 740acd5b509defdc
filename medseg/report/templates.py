"""The templates of the pages, and what Jinja made of them, kept where Python keeps its own bytecode."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from contextlib import suppress
from pathlib import Path

import jinja2
from jinja2 import BytecodeCache, Environment, PackageLoader, StrictUndefined
from jinja2.bccache import Bucket


def environment() -> Environment:
    """Return the templates of this package; everything put into them is escaped."""
    loader = PackageLoader("medseg.report", "")
    return Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=False,
        lstrip_blocks=True,
        bytecode_cache=BesideBytecode(Path(__file__)),
    )


class BesideBytecode(BytecodeCache):
    """Compiled templates in the folder of the bytecode of the module `source`, and as trustworthy as it.

    A file holds for one template, one Jinja and one text of `source`, which says how templates are compiled; one that
    is damaged is passed over. Nothing is written where Python writes no bytecode, and an unwritable place is no error.
    """

    def __init__(self, source: Path) -> None:
        self._folder: Path | None = None
        with suppress(NotImplementedError):  # a Python that keeps no bytecode
            self._folder = Path(importlib.util.cache_from_source(str(source))).parent
        how = f"{jinja2.__version__} {sys.version_info[:3]}".encode() + source.read_bytes()
        self._how = hashlib.sha256(how).digest()

    def load_bytecode(self, bucket: Bucket) -> None:
        """Give the bucket its code, where the file is whole and for the same template."""
        path = self._path(bucket)
        if path is None:
            return
        with suppress(OSError):
            content = path.read_bytes()
            if content[:32] == self._sum(content[32:]):
                bucket.bytecode_from_string(content[32:])

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep the code of the bucket: a reader sees the old file or the new one."""
        path = self._path(bucket)
        if path is None or sys.dont_write_bytecode:
            return
        draft = path.with_name(f"{path.name}.{os.getpid()}.draft")
        content = bucket.bytecode_to_string()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            draft.write_bytes(self._sum(content) + content)
            draft.replace(path)
        except OSError:
            with suppress(OSError):
                draft.unlink(missing_ok=True)

    def _path(self, bucket: Bucket) -> Path | None:
        return self._folder and self._folder / f"template.{bucket.key}.{sys.implementation.cache_tag}.jinja"

    def _sum(self, content: bytes) -> bytes:
        return hashlib.sha256(self._how + content).digest()
