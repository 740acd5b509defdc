"""What was parsed is remembered beside the bytecode: it saves work, changes no digest, and never stands in the way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

TOP = "from little.below import f\n"
BELOW = "def f():\n    return 1\n"
# Prints the digest and how many sources were parsed: Python tells of each, those parsed from no file as <unknown>.
PROGRAM = """
import sys
from pathlib import Path
from medseg.pipeline.code import digest_of_code
parsed = []
sys.addaudithook(lambda event, said: parsed.append(said) if event == "compile" and said[1] == "<unknown>" else None)
memory = Path(sys.argv[1]) if len(sys.argv) > 1 else None
print(digest_of_code("little.top", "little", memory), len(parsed))
"""


class Little:
    """A package of three modules, and the place of bytecode that belongs to it alone."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.package, self.prefix = folder, folder / "little", folder / "bytecode"
        self.package.mkdir()
        for name, text in {"__init__": "", "top": TOP, "below": BELOW}.items():
            (self.package / f"{name}.py").write_text(text)

    @property
    def place(self) -> Path:
        folder = Path(f"{self.prefix}{self.package}")
        return folder / f"parsed.{sys.implementation.cache_tag}.json"

    def digest(self, *words: str, **environment: str) -> tuple[str, int]:
        """Return the digest in a new process, and how many sources it parsed for it."""
        own = {"PYTHONPATH": f"{self.folder}{os.pathsep}{Path.cwd()}", "PYTHONPYCACHEPREFIX": str(self.prefix)}
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        command = [sys.executable, "-c", PROGRAM, *words]
        done = subprocess.run(command, env={**inherited, **own, **environment}, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        digest, parsed = done.stdout.split()
        return digest, int(parsed)


@pytest.fixture
def little(tmp_path: Path) -> Little:
    return Little(tmp_path)


def test_each_source_is_parsed_once_for_all_stores(little: Little) -> None:
    first, parsed = little.digest()
    assert parsed == 2
    assert little.digest() == (first, 0)
    assert little.digest(str(little.folder / "store" / "memo.sqlite")) == (first, 0)
    assert not (little.folder / "store").exists(), "the memo is not opened where nothing is missing"


def test_only_what_has_changed_is_parsed_again(little: Little) -> None:
    before, _ = little.digest()
    (little.package / "below.py").write_text(BELOW.replace("1", "2"))
    changed, parsed = little.digest()
    assert parsed == 1
    assert changed != before
    (little.package / "below.py").write_text(f"# a comment\n{BELOW}")
    assert little.digest() == (before, 1)
    assert little.digest() == (before, 0)


def test_nothing_is_written_where_python_writes_no_bytecode(little: Little) -> None:
    digest, parsed = little.digest(PYTHONDONTWRITEBYTECODE="1")
    assert parsed == 2
    assert not little.prefix.exists()
    memory = str(little.folder / "memo.sqlite")
    assert little.digest(memory, PYTHONDONTWRITEBYTECODE="1") == (digest, 2)
    assert little.digest(memory, PYTHONDONTWRITEBYTECODE="1") == (digest, 0), "the memo remembers instead"


def test_a_place_that_cannot_be_written_to_is_no_error(little: Little) -> None:
    little.place.parent.parent.mkdir(parents=True)
    little.place.parent.write_text("a file, where the folder would be")
    digest, _ = little.digest(PYTHONDONTWRITEBYTECODE="1")
    memory = str(little.folder / "memo.sqlite")
    assert little.digest(memory) == (digest, 2)
    assert little.digest(memory) == (digest, 0)
    little.place.parent.unlink()
    little.place.mkdir(parents=True)
    assert little.digest() == (digest, 2)
    assert [path.name for path in little.place.parent.iterdir()] == [little.place.name], "no draft is left"


def damaged(known: dict[str, Any]) -> list[bytes]:
    """Return all the ways in which the file can be wrong."""
    rules, modules = known["rules"], known["modules"]
    one = modules["little.top"]
    wrong: list[object] = [[], 3, None, {}, {"rules": rules}, {"rules": rules, "modules": []}]
    wrong += [{"rules": "3.9.1 of others", "modules": {**modules, "little.top": [one[0], "0", []]}}]
    for entry in (None, 3, "x", {}, [], one[:2], [one[0], 1, one[2]], [one[0], one[1], "little"], [*one[:2], [1]]):
        wrong.append({"rules": rules, "modules": dict.fromkeys(modules, entry)})
    text = json.dumps(known).encode()
    return [
        b"",
        b"\0" * 100,
        b"\xff\xfe{",
        b"[" * 100_000,
        text[: len(text) // 2],
        *(json.dumps(w).encode() for w in wrong),
    ]


def test_what_is_damaged_is_passed_over(little: Little, monkeypatch: pytest.MonkeyPatch) -> None:
    from medseg.pipeline.parsed import Beside, parse

    digest, _ = little.digest()
    known = json.loads(little.place.read_text())
    monkeypatch.setattr(sys, "pycache_prefix", str(little.prefix))
    init = little.package / "__init__.py"
    for content in damaged(known):
        little.place.write_bytes(content)
        assert [Beside(init).get(name, entry[0]) for name, entry in known["modules"].items()] == [None] * 2, content
    assert little.digest() == (digest, 2)
    assert json.loads(little.place.read_text()) == known, "and the file is made anew"
    sha256, *_ = known["modules"]["little.top"]
    assert Beside(init).get("little.top", sha256) == parse(TOP.encode())
    assert Beside(init).get("little.top", "0" * 64) is None
