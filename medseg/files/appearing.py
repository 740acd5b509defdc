"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from medseg.values.error import Refusal


@contextmanager
def appearing_at_once(path: Path) -> Iterator[BinaryIO]:
    """Yield a file beside `path` that takes its place when all is on disk; refuses one without room or rights."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with draft.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
    except OSError as error:
        value = error.strerror or str(error)
        raise Refusal(str(path), "the file can be written", value, "free space or choose another folder") from error
