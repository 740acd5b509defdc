from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from medseg.pipeline import code


@pytest.fixture
def digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Write a small package and return the digest of its module `top`."""
    monkeypatch.syspath_prepend(str(tmp_path))
    package = tmp_path / "little"
    package.mkdir()
    (package / "__init__.py").write_text("")

    def of(**modules: str) -> str:
        for name, text in modules.items():
            (package / f"{name}.py").write_text(text)
        importlib.invalidate_caches()
        code.digest_of_code.cache_clear()
        code._source.cache_clear()
        sys.modules.pop("little", None)
        forgetful = code.digest_of_code("little.top", "little")
        assert code.digest_of_code("little.top", "little", tmp_path / "memo.sqlite") == forgetful
        return forgetful

    return of


BELOW = "def f():\n    return 1\n"
TOP = "from little.below import f\n"


def test_comments_docstrings_and_layout_do_not_count(digest) -> None:
    before = digest(top=TOP, below=BELOW)
    assert digest(below='"""Words."""\n# more words\ndef f():\n    """Say."""\n\n    return 1  # one\n') == before


def test_code_below_counts_at_any_depth(digest) -> None:
    before = digest(top=TOP, below=BELOW, deeper="X = 1\n")
    with_deeper = digest(below="def f():\n    from little import deeper\n    return 1\n")
    assert with_deeper != before
    assert digest(deeper="X = 2\n") != with_deeper


def test_a_module_nobody_imports_does_not_count(digest) -> None:
    before = digest(top=TOP, below=BELOW, stranger="X = 1\n")
    assert digest(stranger="X = 2\n") == before


def test_import_circles_end(digest) -> None:
    assert digest(top="import little.below\n", below="import little.top\n")


def test_stages_reach_what_they_compute_with() -> None:
    with code._known("medseg", None) as known:
        assert "medseg.ops.intensity" in code._reach("medseg.stages.prepare", "medseg", known)
        assert not any(name.startswith("medseg.cli") for name in code._reach("medseg.stages.train", "medseg", known))
