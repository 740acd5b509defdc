"""Ten faults, each planted into one case of a sound data set in nnU-Net's format."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from benchmarks.intake_sets import describe

Change = Callable[[Any], Any]


@dataclass(frozen=True)
class Fault:
    """`plant(image, mask)` spoils one case; `looked_for` says that nnU-Net's check looks for this kind of fault."""

    name: str
    plant: Callable[[Path, Path], None]
    looked_for: bool


def _own(path: Path) -> Path:
    """Replace a link by a copy that may be changed."""
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)
    return path


def _rewritten(
    path: Path, change: Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]], affine: Change = lambda a: a
) -> None:
    image = nibabel.load(_own(path))
    voxels = change(np.asarray(image.dataobj))
    moved = affine(image.affine.copy())
    path.unlink()
    nibabel.Nifti1Image(voxels, moved).to_filename(path)


def _same(voxels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return voxels.astype(np.uint8)


def nan_voxels(image: Path, mask: Path) -> None:
    def spoil(voxels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        changed = voxels.astype(np.float32)
        changed[5:8, 5:8, 5:8] = np.nan
        return changed

    _rewritten(image, spoil)


def other_shape(image: Path, mask: Path) -> None:
    _rewritten(mask, lambda voxels: _same(voxels)[:, :, :-2])


def unknown_label(image: Path, mask: Path) -> None:
    def spoil(voxels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        changed = _same(voxels)
        changed[3, 3, 3] = 7
        return changed

    _rewritten(mask, spoil)


def missing_mask(image: Path, mask: Path) -> None:
    mask.unlink()


def other_spacing(image: Path, mask: Path) -> None:
    _rewritten(mask, _same, lambda affine: affine @ np.diag([1, 1, 1.5, 1]))


def moved_mask(image: Path, mask: Path) -> None:
    def move(affine: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        affine[0, 3] += 2.0
        return affine

    _rewritten(mask, _same, move)


def cut_in_half(image: Path, mask: Path) -> None:
    content = _own(image).read_bytes()
    image.write_bytes(content[: len(content) // 2])


def wrong_checksum(image: Path, mask: Path) -> None:
    content = bytearray(_own(image).read_bytes())
    content[-6] ^= 1
    image.write_bytes(content)


def constant(image: Path, mask: Path) -> None:
    _rewritten(image, lambda voxels: np.full_like(voxels, 100))


def copied_case(image: Path, mask: Path) -> None:
    """Another patient's name on the same image, packed anew so that the files differ."""
    (image.parent / "hippocampus_999_0000.nii.gz").write_bytes(
        gzip.compress(gzip.decompress(image.read_bytes()), 4, mtime=0)
    )
    (mask.parent / "hippocampus_999.nii.gz").write_bytes(gzip.compress(gzip.decompress(mask.read_bytes()), 4, mtime=0))


FAULTS = (
    Fault("voxels of NaN in an image", nan_voxels, True),
    Fault("a mask of another shape", other_shape, True),
    Fault("a label that nobody named", unknown_label, True),
    Fault("a mask is missing", missing_mask, True),
    Fault("a mask of another spacing", other_spacing, True),
    Fault("a mask moved by 2 mm", moved_mask, True),
    Fault("an image file cut in half", cut_in_half, False),
    Fault("an image file with a wrong checksum", wrong_checksum, False),
    Fault("an image of one value", constant, False),
    Fault("a case twice, under two names", copied_case, False),
)


def planted(fault: Fault, folder: Path, case: str, labels: Mapping[str, int]) -> None:
    """Plant one fault and let dataset.json tell the true number of cases."""
    fault.plant(folder / "imagesTr" / f"{case}_0000.nii.gz", folder / "labelsTr" / f"{case}.nii.gz")
    describe(folder, labels, len(list((folder / "imagesTr").iterdir())))
