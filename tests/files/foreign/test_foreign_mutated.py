"""Whatever damage is done to a file, it is read or refused: no other exception, and the next file is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medseg.files.scans import read_heading, read_image, read_mask
from medseg.values.error import Refusal
from tests.files.foreign.dicom_making import IMPLICIT, JPEG_LS, enhanced, make_series
from tests.files.foreign.text_headers import meta, nrrd

WORDS = [b"\xff\xff\xff\xff", bytes(4), b"9999", b"-1 0", b"\xff\xff\xff\x7f", b"nan ", b"\xfe\xff\x00\xe0"]


def one_of_a_series(syntax: str) -> Callable[[Path], Path]:
    return lambda folder: make_series(folder / "series", syntax=syntax) / "a003.dcm"


MAKE: dict[str, Callable[[Path], Path]] = {
    "nrrd": lambda folder: nrrd(folder / "a.nrrd"),
    "packed nrrd": lambda folder: nrrd(folder / "a.nrrd", packed=True),
    "mha": lambda folder: meta(folder / "a.mha"),
    "packed mha": lambda folder: meta(folder / "a.mha", packed=True),
    "dicom": one_of_a_series("1.2.840.10008.1.2.1"),
    "implicit dicom": one_of_a_series(IMPLICIT),
    "packed dicom": one_of_a_series(JPEG_LS),
    "frames": lambda folder: enhanced(folder / "a.dcm"),
}


@st.composite
def damage(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """Bytes changed, put in, taken out, or the rest cut off; mostly in the header."""
    places = draw(
        st.lists(st.tuples(st.floats(0, 1), st.sampled_from(["set", "word", "in", "out", "cut"])), max_size=3)
    )
    value, word = draw(st.integers(0, 255)), draw(st.sampled_from(WORDS))

    def spoil(data: bytes) -> bytes:
        for share, kind in places:
            at = int(share**2 * len(data))
            stop = {"set": at + 1, "word": at + 4, "in": at, "out": at + 7, "cut": len(data)}[kind]
            new = {"set": bytes([value]), "word": word, "in": word, "out": b"", "cut": b""}[kind]
            data = data[:at] + new + data[stop:]
        return data

    return spoil


@pytest.fixture(params=list(MAKE))
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A sound file: a scan of its own, or one slice of a series."""
    return MAKE[request.param](tmp_path)


def refusal_of(read: Callable[[Path], object], scan: Path) -> Refusal | None:
    try:
        read(scan)
    except Refusal as refusal:
        return refusal
    return None


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(spoil=damage())
def test_damage_is_refused_or_read(path: Path, spoil: Callable[[bytes], bytes]) -> None:
    scan = path.parent if path.parent.name == "series" else path
    whole = path.read_bytes()
    before = read_image(scan)
    path.write_bytes(spoil(whole))
    refusals = [refusal_of(read, scan) for read in (read_heading, read_image, read_mask)]
    path.write_bytes(whole)
    for refusal in refusals:
        assert refusal is None or refusal.exit_code == 1
        assert refusal is None or "readable scan" not in refusal.rule, "every damage is met by a check of its own"
    np.testing.assert_array_equal(read_image(scan).voxels, before.voxels)
