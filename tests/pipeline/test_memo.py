"""A memo remembers, forgets without harm, and never stands in the way."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from medseg.pipeline.memo import opened


def test_what_was_put_is_found_again_also_later(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "memo.sqlite"
    with opened(path) as memo:
        assert memo.get("a") is None
        memo.put("a", "ä text")
        memo.put("a", "a newer one")
        assert memo.get("a") == "a newer one"
    with opened(path) as memo:
        assert memo.get("a") == "a newer one"
        assert memo.get("b") is None


@pytest.mark.parametrize("content", [b"", b"no database at all" * 100, b"SQLite format 3\x00" + bytes(range(256)) * 20])
def test_a_damaged_memo_is_made_anew(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "memo.sqlite"
    path.write_bytes(content)
    with opened(path) as memo:
        assert memo.get("a") is None
        memo.put("a", "1")
    with opened(path) as memo:
        assert memo.get("a") == "1"


def test_a_memo_that_cannot_be_written_forgets(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with opened(tmp_path / "file" / "memo.sqlite") as memo:
        memo.put("a", "1")
        assert memo.get("a") is None


def test_a_killed_process_leaves_a_memo_that_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "memo.sqlite"
    code = (
        "import os, signal, sys; from pathlib import Path; from medseg.pipeline.memo import opened\n"
        "with opened(Path(sys.argv[1])) as memo:\n"
        "    for number in range(1700): memo.put(str(number), 'x' * 100)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False, env=dict(os.environ))
    assert done.returncode == -9
    with opened(path) as memo:
        found = [number for number in range(1700) if memo.get(str(number)) == "x" * 100]
    assert found == list(range(1500))
