"""Small results found again by what made them, in one file: for work that is done thousands of times.

A memo can be deleted at any time; it only saves work. What is damaged or locked is passed over.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MEMO = "memo/shared/memo.sqlite"  # its place below the store
_WAIT_SECONDS = 5.0
_PUTS_PER_COMMIT = 500


class Memo:
    """Texts by key. One thread uses it; several processes may share the file."""

    def __init__(self, connection: sqlite3.Connection | None) -> None:
        self._connection = connection
        self._waiting = 0

    def get(self, key: str) -> str | None:
        """Return the text that was put under a key, None where there is none."""
        if self._connection is None:
            return None
        try:
            row = self._connection.execute("SELECT text FROM memo WHERE key = ?", (key,)).fetchone()
        except sqlite3.Error:
            return None
        return str(row[0]) if row else None

    def put(self, key: str, text: str) -> None:
        """Keep a text; it is on disk some hundred texts later, or when the memo is closed."""
        if self._connection is None:
            return
        with suppress(sqlite3.Error):
            self._connection.execute("INSERT OR REPLACE INTO memo VALUES (?, ?)", (key, text))
            self._waiting += 1
            if self._waiting >= _PUTS_PER_COMMIT:
                self._connection.commit()
                self._waiting = 0


@contextmanager
def opened(path: Path) -> Iterator[Memo]:
    """Open the memo in a file, made if missing, made anew if damaged; one that cannot be written to forgets all."""
    connection = _connect(path)
    try:
        yield Memo(connection)
    finally:
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.commit()
            connection.close()


def _connect(path: Path) -> sqlite3.Connection | None:
    try:
        return _prepared(path)
    except sqlite3.OperationalError:  # locked, read-only, full
        return None
    except sqlite3.DatabaseError:
        path.unlink(missing_ok=True)
    except OSError:
        return None
    try:
        return _prepared(path)
    except (sqlite3.Error, OSError):
        return None


def _prepared(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=_WAIT_SECONDS)
    try:
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("CREATE TABLE IF NOT EXISTS memo (key TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID")
        connection.commit()
    except BaseException:
        connection.close()
        raise
    return connection
