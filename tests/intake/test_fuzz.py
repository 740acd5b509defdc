"""Whatever is done to a file, the door reads what is there or refuses it; see `benchmarks/fuzz_intake.py`."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from medseg.files.reading import AS_IT_IS
from tests.intake.judging import FINE, Request, judged, request_of, write
from tests.intake.kinds import IMAGE
from tests.intake.mutations import mutated
from tests.intake.nifti_bytes import nifti_bytes
from tests.intake.sound_files import Family

PLAIN = nifti_bytes(IMAGE)
PACKED = gzip.compress(PLAIN, mtime=0)
NUMBERS = st.integers(0, 2**64)
many = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
some = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A folder for one file after the other."""
    yield tmp_path
    shutil.rmtree(tmp_path)


def fine(family: Family, number: int, folder: Path) -> None:
    kind, detail = judged(write(folder, family, number), request_of(family, number))
    assert kind in FINE, detail


def as_it_is(path: Path) -> str:
    kind, detail = judged(path, Request("image", 0, AS_IT_IS))
    assert kind in FINE, detail
    return kind


@many
@given(NUMBERS)
def test_a_spoilt_nifti_is_read_or_refused(place: Path, number: int) -> None:
    fine("nifti", number, place)


@some
@given(st.sampled_from(["nrrd", "meta", "dicom"]), NUMBERS)
def test_a_spoilt_scan_of_another_format_is_read_or_refused(place: Path, family: Family, number: int) -> None:
    fine(family, number, place)


@many
@given(st.integers(0, 351), st.binary(min_size=1, max_size=8))
def test_a_header_with_other_bytes_is_read_or_refused(place: Path, start: int, piece: bytes) -> None:
    path = place / "scan.nii"
    path.write_bytes(PLAIN[:start] + piece + PLAIN[start + len(piece) :])
    as_it_is(path)


@many
@given(st.integers(0, len(PACKED) - 1), st.binary(min_size=1, max_size=8))
@example(len(PACKED) - 4, b"\0")
def test_a_packed_stream_with_other_bytes_is_never_read_as_something_else(
    place: Path, start: int, piece: bytes
) -> None:
    spoilt = PACKED[:start] + piece + PACKED[start + len(piece) :]
    path = place / "scan.nii.gz"
    path.write_bytes(spoilt)
    if as_it_is(path) == "read":
        assert gzip.decompress(spoilt) == PLAIN


@many
@given(st.integers(0, len(PACKED) - 1))
def test_a_packed_stream_that_is_cut_is_never_read(place: Path, size: int) -> None:
    path = place / "scan.nii.gz"
    path.write_bytes(PACKED[:size])
    assert as_it_is(path) == "refused"


def test_a_number_always_gives_the_same_file() -> None:
    assert mutated("nifti", 7) == mutated("nifti", 7)
    assert len({str(mutated("meta", number)) for number in range(50)}) > 45
