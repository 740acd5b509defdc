"""A folder that a command writes into, kept from other commands while it works."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from medseg.values.error import wrong_setting


@contextmanager
def claimed(out: Path, mark: str, things: str, check: Callable[[], None]) -> Iterator[None]:
    """Make the folder `out`, `check` it, and keep other commands from it by a lock on the file `mark` in it.

    things: what goes there, for the message. Refuses (exit 2) a folder that cannot be written to and one in which
    another command is at work.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        check()
        file = (out / mark).open("a")  # which changes nothing where it is a link to something else
    except OSError as error:
        value = f"{out} ({error.strerror})"
        rule = f"the folder of the {things} must be writable"
        raise wrong_setting("out", rule, value, "name another folder") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            rule = "one command at a time works in a folder"
            raise wrong_setting("out", rule, f"{out}, where another is at work", "wait, or name another one") from None
        yield
