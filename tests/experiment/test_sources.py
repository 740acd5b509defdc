"""Digests are remembered as long as the file is the same, and a failure to read is never remembered."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from medseg.experiment.sources import FileDigests
from medseg.files.listing import is_digest

UNREADABLE = Path("/proc/self/mem")  # it has a size and a time, and reading its first byte fails


def test_a_digest_is_remembered_until_the_file_changes(tmp_path: Path) -> None:
    scan = tmp_path / "scan.nii"
    scan.write_bytes(b"one")
    first = FileDigests(tmp_path / "store" / "files.json")
    assert first.digests([scan], 2) == [hashlib.sha256(b"one").hexdigest()]
    first.save()
    again = FileDigests(tmp_path / "store" / "files.json")
    assert again.digests([scan], 2) == [hashlib.sha256(b"one").hexdigest()]
    assert not again.changed
    scan.write_bytes(b"two")
    os.utime(scan, ns=(1, 1))
    assert again.digests([scan], 2) == [hashlib.sha256(b"two").hexdigest()]
    assert again.changed


@pytest.mark.skipif(not UNREADABLE.exists(), reason="needs a file that exists and cannot be read, as Linux has one")
def test_a_failure_to_read_is_told_and_not_remembered(tmp_path: Path) -> None:
    digests = FileDigests(tmp_path / "files.json")
    (told,) = digests.digests([UNREADABLE], 1)
    assert told.startswith("unread: ")
    assert not is_digest(told)
    assert (digests.known, digests.changed) == ({}, False)


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"a": 1}', '{"a": []}'])
def test_a_damaged_list_of_digests_is_passed_over(tmp_path: Path, text: str) -> None:
    scan = tmp_path / "scan.nii"
    scan.write_bytes(b"one")
    (tmp_path / "files.json").write_text(text.replace('"a"', f'"{scan}"'))
    digests = FileDigests(tmp_path / "files.json")
    assert digests.digests([scan], 1) == [hashlib.sha256(b"one").hexdigest()]
    assert digests.changed
