"""Every kind of bad or odd file is read exactly or refused with its rule, and read after all where it can be mended."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from medseg.files.reading import AS_IT_IS, Reading, Repair
from medseg.files.scan_values import Scan
from medseg.files.scans import parts_of, read_heading
from medseg.values.error import Refusal
from tests.intake.bad_files import KINDS, scan
from tests.intake.kinds import Kind, Made
from tests.intake.second_reader import second_opinion

GOOD = [kind for kind in KINDS if kind.rule is None]
BAD = [kind for kind in KINDS if kind.rule is not None]
MENDED = [kind for kind in BAD if kind.mended is not None]
HOPELESS = [kind for kind in BAD if kind.stays]
ALL_REPAIRS = tuple(one for one in get_args(Repair) if one != "use_qform")


def named(kinds: list[Kind]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("kind", kinds, ids=[kind.name for kind in kinds])


def content(path: Path) -> dict[Path, bytes]:
    """All that lies below a folder, to see that reading changes nothing."""
    return {one: one.read_bytes() for one in path.rglob("*") if one.is_file() and one.stat().st_size < 1 << 20}


def check(found: Scan, kind: Kind, made: Made) -> None:
    """The voxels and the affine are those that were written."""
    voxels = found.volume.voxels
    assert voxels.dtype == (np.uint8 if kind.what == "mask" else np.float32)
    assert voxels.flags.c_contiguous
    assert voxels.flags.writeable or not voxels.flags.owndata
    assert made.voxels is not None
    assert made.affine is not None
    assert np.array_equal(voxels[0], made.voxels.astype(voxels.dtype))
    assert found.volume.affine.dtype == np.float64
    assert np.allclose(found.volume.affine, made.affine, rtol=1e-6, atol=1e-5)


def refused(kind: Kind, path: Path, reading: Reading = AS_IT_IS) -> Refusal:
    with pytest.raises(Refusal) as caught:
        scan(kind, path, reading)
    return caught.value


def test_there_are_more_kinds_than_sixty_and_all_have_names() -> None:
    assert len({kind.name for kind in KINDS}) == len(KINDS) > 150
    assert len(GOOD) > 40
    assert len(BAD) > 100


@named(GOOD)
def test_an_odd_file_is_read_exactly(tmp_path: Path, kind: Kind) -> None:
    made = kind.make(tmp_path)
    before = content(tmp_path)
    found = scan(kind, made.path)
    check(found, kind, made)
    heading = read_heading(made.path)
    assert heading.grid == found.volume.shape
    assert np.array_equal(heading.affine, found.volume.affine)
    assert found.applied == AS_IT_IS
    assert not kind.noted or any(kind.noted in f"{one.rule} {one.value} {one.remedy}" for one in found.findings)
    assert content(tmp_path) == before
    assert all(part.is_file() for part in parts_of(made.path))


@named([kind for kind in GOOD if kind.oracle != "none"])
def test_an_independent_reader_agrees(tmp_path: Path, kind: Kind) -> None:
    made = kind.make(tmp_path)
    found = scan(kind, made.path).volume
    voxels, affine = second_opinion(made.path, kind.component)
    assert np.array_equal(found.voxels[0], voxels)
    if kind.oracle == "both":
        assert np.allclose(found.affine, affine, rtol=1e-5, atol=1e-4)


@named(BAD)
def test_a_bad_file_is_refused_with_its_rule(tmp_path: Path, kind: Kind) -> None:
    made = kind.make(tmp_path)
    refusal = refused(kind, made.path)
    assert kind.rule is not None
    assert kind.rule in refusal.rule
    assert refusal.subject.startswith(str(tmp_path)), "names the file"
    assert refusal.exit_code == 1
    assert refusal.remedy
    if not kind.stays:
        assert (refusal.override is not None) == (kind.mended is not None)
    assert "\n" not in str(refusal)


@named(MENDED)
def test_the_named_repair_reads_it_after_all(tmp_path: Path, kind: Kind) -> None:
    made = kind.make(tmp_path)
    before = content(tmp_path)
    assert kind.mended is not None
    asked = [f"data.repair=[{one}]" for one in kind.mended.repair]
    asked += [f"data.assume_orientation={kind.mended.assume_orientation}"] if kind.mended.assume_orientation else []
    refusal = refused(kind, made.path)
    assert refusal.override is not None
    assert refusal.override in refusal.remedy
    assert asked[0].split("=")[0] == refusal.override.split("=")[0]
    found = scan(kind, made.path, kind.mended)
    check(found, kind, made)
    assert found.applied == kind.mended
    assert found.findings, "what was mended is told"
    assert content(tmp_path) == before


@named(HOPELESS)
def test_no_repair_makes_something_of_nothing(tmp_path: Path, kind: Kind) -> None:
    made = kind.make(tmp_path)
    refused(kind, made.path, Reading(repair=ALL_REPAIRS, assume_orientation="RAS"))


@named([kind for kind in GOOD if kind.what == "image"][::3])
def test_repairs_that_are_not_needed_change_nothing(tmp_path: Path, kind: Kind) -> None:
    made = kind.make(tmp_path)
    found = scan(
        kind, made.path, Reading(repair=("fill_nonfinite", "lengths_are_mm", "first_volume"), assume_orientation="RAS")
    )
    check(found, kind, made)
    assert found.applied == AS_IT_IS
