"""Images and masks that do or do not fit each other, through the index stage and back through the loader of cases."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from medseg.files.layouts.find import DataSettings
from medseg.files.records import CaseRecord, read_cases
from medseg.stages.cases import load_channels, load_mask
from medseg.stages.index import IndexSettings, run
from medseg.values.machine import Machine
from tests.intake.kinds import AFFINE, Array
from tests.intake.nifti_bytes import claiming, zeros_packed

SHAPE = (12, 10, 8)
STILL = np.diag([2.0, 3.0, 4.0, 1.0])  # axes are RAS+ already: the loader hands out what was written
ONE: Array = np.random.default_rng(31).normal(100, 20, SHAPE).astype(np.float32)
TWO: Array = np.random.default_rng(32).normal(10, 2, SHAPE).astype(np.float32)
MASK: Array = np.zeros(SHAPE, np.uint8)
MASK[2:6, 3:7, 2:5], MASK[3:5, 4:6, 3] = 2, 1
PLACE = "the mask lies on the grid of the first channel"


@dataclass(frozen=True)
class CaseKind:
    """A sound case spoilt: `spoil` works in its folder; `rule` is what it is refused with, None if it is not.

    `mending` are the settings under which a refused case is accepted. `mask` and `second` (the second channel) are what
    the loader then gives.
    """

    name: str
    spoil: Callable[[Path], Any]
    rule: str | None = None
    file: str = "seg"
    settings: dict[str, Any] = field(default_factory=dict)
    mending: dict[str, Any] = field(default_factory=dict)
    mask: Array | None = field(default_factory=lambda: MASK)
    second: Array | None = field(default_factory=lambda: TWO)
    noted: str = ""


def put(folder: Path, channel: str, voxels: Array, affine: Array = STILL) -> None:
    """Write one file of a case."""
    folder.mkdir(parents=True, exist_ok=True)
    nibabel.Nifti1Image(voxels, affine).to_filename(folder / f"{folder.name}_{channel}.nii.gz")


def sound(folder: Path) -> None:
    """Write a case of two channels and a mask."""
    put(folder, "flair", ONE)
    put(folder, "t1", TWO)
    put(folder, "seg", MASK)


def shifted(voxels: float) -> Array:
    """Move a grid along its first axis."""
    moved = STILL.copy()
    moved[0, 3] += voxels * STILL[0, 0]
    return moved


def tilted(by: float) -> Array:
    """Change one direction by so much."""
    turned = STILL.copy()
    turned[1, 0] += by
    return turned


def mirrored() -> Array:
    """Return the affine of the same voxels written from right to left."""
    turned = STILL.copy()
    turned[0, 0], turned[0, 3] = -STILL[0, 0], STILL[0, 0] * (SHAPE[0] - 1)
    return turned


def seg(voxels: Array, affine: Array = STILL) -> Callable[[Path], None]:
    """Replace the mask."""
    return partial(put, channel="seg", voxels=voxels, affine=affine)


def t1(voxels: Array, affine: Array = STILL) -> Callable[[Path], None]:
    """Replace the second channel."""
    return partial(put, channel="t1", voxels=voxels, affine=affine)


def labelled(number: int) -> Array:
    """Put another number into the mask."""
    mask = MASK.copy()
    mask[0, 0, 0] = number
    return mask


def cut_mask(folder: Path) -> None:
    """Cut the mask's file."""
    path = folder / f"{folder.name}_seg.nii.gz"
    path.write_bytes(path.read_bytes()[:-4])


def bomb_mask(folder: Path) -> None:
    """Let the mask claim thousands of times the image's voxels."""
    path = folder / f"{folder.name}_seg.nii.gz"
    path.write_bytes(zeros_packed(claiming((512, 512, 256), "u1"), 1 << 26))


def without(channel: str) -> Callable[[Path], None]:
    """Take a file away."""
    return lambda folder: (folder / f"{folder.name}_{channel}.nii.gz").unlink()


def coarse(folder: Path) -> None:
    """Write the second channel with voxels twice as long along x, its first centre half a voxel further."""
    affine = STILL.copy()
    affine[0, 0], affine[0, 3] = 4, 1
    put(folder, "t1", np.full((6, 10, 8), 5, np.float32) + np.arange(8, dtype=np.float32), affine)


HOLED = np.where(TWO.mean() < TWO, TWO, np.nan).astype(np.float32)
LOWEST = np.float32(HOLED[np.isfinite(HOLED)].min())
RAMP = np.broadcast_to(np.arange(8, dtype=np.float32) + 5, SHAPE)
SWAPPED = STILL[:, [1, 2, 0, 3]]
SMALL = MASK[1:, :, :]

CASES = [
    CaseKind("sound", lambda folder: None),
    CaseKind("a mask in another axis order", seg(MASK.transpose(1, 2, 0), SWAPPED)),
    CaseKind("a mask stored from right to left", seg(MASK[::-1], mirrored())),
    CaseKind("a second channel in another axis order", t1(TWO.transpose(1, 2, 0), SWAPPED)),
    CaseKind("a direction that differs by 1e-7", seg(MASK, tilted(1e-7))),
    CaseKind("a mask half a thousandth of a voxel away", seg(MASK, shifted(5e-4))),
    CaseKind("a second channel half a thousandth of a voxel away", t1(TWO, shifted(5e-4))),
    CaseKind(
        "a mask a hundredth of a voxel away", seg(MASK, shifted(1e-2)), PLACE, mending={"repair": ("resample_mask",)}
    ),
    CaseKind(
        "a mask whose header says that it is mirrored within the same box", seg(MASK, mirrored()), mask=MASK[::-1]
    ),
    CaseKind("a mask whose first direction is flipped", seg(MASK, STILL @ np.diag([-1, 1, 1, 1])), PLACE),
    CaseKind(
        "a mask on a smaller grid",
        seg(SMALL, shifted(1.0)),
        PLACE,
        mending={"repair": ("resample_mask",)},
        mask=np.concatenate([MASK[:1] * 0, SMALL]),
    ),
    CaseKind(
        "a mask of another shape at the same place",
        seg(MASK[:, :, :7]),
        PLACE,
        mending={"repair": ("resample_mask",)},
        mask=np.concatenate([MASK[:, :, :7], MASK[:, :, 6:7] * 0], axis=2),
    ),
    CaseKind(
        "a label that nobody named",
        seg(labelled(7)),
        "a mask holds only 0, 1, 2",
        mending={"repair": ("drop_unknown_labels",)},
    ),
    CaseKind(
        "a label of voxels that nobody annotated",
        seg(labelled(9)),
        "a mask holds only 0, 1, 2",
        mending={"ignore": 9},
        mask=labelled(9),
    ),
    CaseKind("a mask cut short", cut_mask, "the gzip stream is whole"),
    CaseKind("a mask without any label", seg(MASK * 0), mask=MASK * 0),
    CaseKind("a mask of thousands of times the voxels", bomb_mask, ""),
    CaseKind("no mask", without("seg"), "has a mask", file=""),
    CaseKind("a constant channel", t1(TWO * 0 + 4), "voxels differ from each other", file="t1"),
    CaseKind(
        "a channel with voxels that are no numbers",
        t1(HOLED),
        "finite",
        file="t1",
        mending={"repair": ("fill_nonfinite",)},
        second=np.where(np.isfinite(HOLED), HOLED, LOWEST),
    ),
    CaseKind("a channel on a coarser grid", coarse, second=RAMP, noted="all channels lie on the grid of the first one"),
    CaseKind(
        "a channel on a coarser grid, resampling off",
        coarse,
        "all channels lie on the grid of the first one",
        file="t1",
        settings={"resample_channels": False},
        mending={"resample_channels": True},
        second=RAMP,
    ),
    CaseKind(
        "a channel of another place", t1(TWO, shifted(100)), "all channels show the same part of space", file="t1"
    ),
    CaseKind(
        "a channel is missing",
        without("t1"),
        "has a file for each of the channels",
        file="",
        mending={"missing_channel": "zeros"},
        second=TWO * 0,
    ),
    CaseKind(
        "a channel of several volumes",
        t1(np.stack([TWO, ONE], -1)),
        "holds 1 volume(s)",
        file="t1",
        mending={"repair": ("first_volume",)},
    ),
    CaseKind(
        "a mask of several volumes", seg(np.stack([MASK, MASK[::-1]], -1)), "", mending={"repair": ("first_volume",)}
    ),
]


@pytest.fixture(scope="module")
def accepted_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of one sound case, to be copied."""
    root = tmp_path_factory.mktemp("sound")
    sound(root / "case_sound")
    return root


def indexed(root: Path, out: Path, **settings: Any) -> CaseRecord:
    """Index a data set of two cases and return the record of the second."""
    data = DataSettings(labels={"core": 1, "rim": 2}, layout="brats", **settings)
    out.mkdir()
    run(IndexSettings(data=data), {"data": root}, out, Machine(store=str(out / "store")))
    first, second = read_cases(out / "cases.json")
    assert first.refused is None, first.refused
    return second


def loaded_right(record: CaseRecord, root: Path, kind: CaseKind) -> None:
    """What the loader gives is what was written, on the grid of the first channel."""
    assert record.refused is None, record.refused
    image, mask = load_channels(record, root), load_mask(record, root)
    assert np.array_equal(image.voxels[0], ONE)
    assert np.allclose(image.voxels[1], kind.second, atol=1e-4)
    assert np.array_equal(mask.voxels[0], kind.mask)
    assert np.allclose(image.affine, STILL)
    assert np.array_equal(image.affine, mask.affine)
    assert record.labels == {str(n): int((kind.mask == n).sum()) for n in (1, 2) if (kind.mask == n).any()}


@pytest.mark.parametrize("kind", CASES, ids=[kind.name for kind in CASES])
def test_a_case_is_loaded_exactly_or_refused_with_its_rule(tmp_path: Path, accepted_once: Path, kind: CaseKind) -> None:
    root = tmp_path / "data"
    shutil.copytree(accepted_once, root)
    sound(root / "case_spoilt")
    kind.spoil(root / "case_spoilt")
    record = indexed(root, tmp_path / "out", **kind.settings)
    if kind.rule is None:
        loaded_right(record, root, kind)
        assert not kind.noted or any(kind.noted in one.rule for one in record.findings)
        return
    assert record.refused is not None
    assert kind.rule in record.refused.rule
    assert kind.file in record.refused.subject
    found = next(one for one in record.findings if one.severity == "refuse")
    assert (found.rule, found.value) == (record.refused.rule, record.refused.value)
    if kind.mending:
        name = next(iter(kind.mending))
        assert name == "ignore" or found.override is not None
        assert name == "ignore" or f"data.{name}=" in str(found.override)
        mended = indexed(root, tmp_path / "mended", **{**kind.settings, **kind.mending})
        loaded_right(mended, root, kind)
        assert mended.findings or name == "ignore", "what was mended is told"


def test_the_source_is_never_written_to(tmp_path: Path) -> None:
    root = tmp_path / "data"
    sound(root / "case_a")
    sound(root / "case_b")
    seg(labelled(7), shifted(0.4))(root / "case_b")
    before = {path: gzip.decompress(path.read_bytes()) for path in root.rglob("*.gz")}
    indexed(root, tmp_path / "out", repair=("resample_mask", "drop_unknown_labels"))
    assert {path: gzip.decompress(path.read_bytes()) for path in root.rglob("*.gz")} == before
    assert sorted(path.name for path in root.iterdir()) == ["case_a", "case_b"]


def test_the_affine_of_the_first_channel_counts(tmp_path: Path) -> None:
    root = tmp_path / "data"
    for case in ("case_a", "case_b"):
        put(root / case, "flair", ONE, AFFINE)
        put(root / case, "t1", TWO, AFFINE)
        put(root / case, "seg", MASK, AFFINE)
    record = indexed(root, tmp_path / "out")
    assert np.allclose(np.asarray(record.affine), AFFINE)
    assert record.shape == SHAPE
