"""Digests: of the content alone."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from medseg.values.digests import digest_of, digest_of_file


def test_a_value_is_known_by_its_content_and_not_by_the_order_of_names() -> None:
    assert digest_of({"a": [1, 2.5], "ж": None}) == digest_of({"ж": None, "a": [1, 2.5]})
    assert digest_of({"b": 1, "a": "ж"}) == hashlib.sha256('{"a":"ж","b":1}'.encode()).hexdigest()
    values: list[object] = [1, 1.5, "1", [1], {"1": 1}, True, None, [2, 1], [1, 2]]
    assert len({digest_of(value) for value in values}) == len(values)


def test_what_is_no_number_has_no_digest() -> None:
    with pytest.raises(ValueError, match="Out of range"):
        digest_of({"loss": float("nan")})


def test_a_file_is_known_by_all_its_bytes(tmp_path: Path) -> None:
    content = bytes(range(256)) * 5000  # more than one piece
    (tmp_path / "file").write_bytes(content)
    assert digest_of_file(tmp_path / "file") == hashlib.sha256(content).hexdigest()
    (tmp_path / "file").write_bytes(content[:-1] + b"\x00")
    assert digest_of_file(tmp_path / "file") != hashlib.sha256(content).hexdigest()
