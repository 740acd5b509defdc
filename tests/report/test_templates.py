"""Compiled templates are kept beside the bytecode: the pages stay the same, and nothing stands in the way."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from jinja2 import DictLoader, Environment

from medseg.report.templates import BesideBytecode, environment


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module whose bytecode would lie in a folder of its own, and a Python that writes bytecode."""
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path / "bytecode"))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    (tmp_path / "module.py").write_text("one way to compile")
    return tmp_path / "module.py"


def render(source: Path, template: str = "Dear {{ name }}", **options: bool) -> str:
    """Render a template with whatever is kept for it."""
    jinja = Environment(loader=DictLoader({"t": template}), bytecode_cache=BesideBytecode(source), **options)  # noqa: S701
    return jinja.get_template("t").render(name="<you>")


def kept(source: Path) -> list[Path]:
    return sorted((source.parent / "bytecode").rglob("*.*"))


def test_a_compiled_template_is_used_again_and_by_nothing_else(source: Path) -> None:
    assert render(source, autoescape=True) == "Dear &lt;you&gt;"
    (first,) = kept(source)
    before = first.stat().st_ino
    assert render(source, autoescape=True) == "Dear &lt;you&gt;"
    assert first.stat().st_ino == before, "it is not written again"
    assert render(source, "Hello {{ name }}", autoescape=True) == "Hello &lt;you&gt;"
    source.write_text("another way to compile")
    assert render(source, "Hello {{ name }}", autoescape=False) == "Hello <you>"
    assert kept(source) == [first]


def test_what_is_damaged_is_passed_over_and_made_anew(source: Path) -> None:
    render(source)
    (first,) = kept(source)
    whole = first.read_bytes()
    spoilt = [whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :] for middle in range(0, len(whole), 7)]
    for content in (b"", b"x", whole[:-1], whole[:40], whole + b"x", *spoilt):
        first.write_bytes(content)
        assert render(source) == "Dear <you>"
        assert first.read_bytes() == whole


def test_nothing_is_written_where_python_writes_no_bytecode(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert render(source) == "Dear <you>"
    assert kept(source) == []


def test_a_place_that_cannot_be_written_to_is_no_error(source: Path) -> None:
    render(source)
    (first,) = kept(source)
    first.unlink()
    first.mkdir()
    assert render(source) == "Dear <you>"
    assert kept(source) == [first], "no draft is left"
    shutil.rmtree(source.parent / "bytecode")
    (source.parent / "bytecode").write_text("a file, where the folder would be")
    assert render(source) == "Dear <you>"


def test_all_pages_compile_and_escape() -> None:
    for name in ("check.html", "page.html", "notebook/piece.html"):
        environment().get_template(name)
    assert environment().autoescape is True
