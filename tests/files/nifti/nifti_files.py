"""Small NIfTI files for the tests of the door: written by nibabel, then damaged byte by byte."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from medseg.files.nifti.scan import scan_image, scan_mask
from medseg.files.reading import AS_IT_IS, Reading
from medseg.files.scan_values import Scan
from medseg.values.error import Refusal
from medseg.values.volume import Volume

AFFINE = np.array([[-1.5, 0, 0, 10], [0, 2, 0.25, -20], [0, -0.25, 3, 30], [0, 0, 0, 1.0]])
Voxels = np.ndarray[Any, Any]


def noise(shape: tuple[int, ...] = (7, 6, 5), seed: int = 1) -> Voxels:
    """Voxels that no compressor makes small."""
    return np.random.default_rng(seed).normal(100, 20, shape).astype(np.float32)


def saved(path: Path, voxels: Voxels, **fields: Any) -> Path:
    """Write a file with nibabel; `fields` are put into the header's bytes afterwards, as damage would."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.Nifti1Image(voxels, AFFINE, dtype=voxels.dtype).to_filename(path)
    return respoiled(path, **fields)


def respoiled(path: Path, **fields: Any) -> Path:
    """Put `fields` into the header's bytes of a NIfTI-1 file."""
    if fields:
        packed = path.name.endswith(".gz")
        content = bytearray(gzip.decompress(path.read_bytes()) if packed else path.read_bytes())
        header = nibabel.Nifti1Header(bytes(content[:348]), check=False)
        for name, value in fields.items():
            header[name] = value
        content[:348] = header.binaryblock
        path.write_bytes(gzip.compress(bytes(content), 1) if packed else bytes(content))
    return path


def read_image(path: Path, component: int = 0, *repairs: Any, orientation: str | None = None) -> Volume:
    """Read an image, with repairs where they are named."""
    return scan_image(path, component, Reading(repair=repairs, assume_orientation=orientation)).volume


def read_mask(path: Path) -> Volume:
    """Read a mask as it is."""
    return scan_mask(path).volume


def with_repairs(path: Path, *repairs: Any, mask: bool = False, orientation: str | None = None) -> Scan:
    """Read a file with repairs; reading with what was applied, and nothing else, gives the same scan."""
    reading = Reading(repair=repairs, assume_orientation=orientation)
    scan = scan_mask(path, reading) if mask else scan_image(path, 0, reading)
    again = scan_mask(path, scan.applied) if mask else scan_image(path, 0, scan.applied)
    assert np.array_equal(again.volume.voxels, scan.volume.voxels)
    assert np.array_equal(again.volume.affine, scan.volume.affine)
    assert again.applied == scan.applied
    assert again.findings == scan.findings
    return scan


def refused(path: Path, mask: bool = False, reading: Reading = AS_IT_IS) -> Refusal:
    """Return the refusal, which names the file."""
    with pytest.raises(Refusal) as caught:
        scan_mask(path, reading) if mask else scan_image(path, 0, reading)
    assert caught.value.subject == str(path)
    assert caught.value.exit_code == 1
    return caught.value


def refusal(read: Callable[[Path], Volume], path: Path) -> str:
    """Return the message of the refusal, which names the file."""
    with pytest.raises(Refusal) as caught:
        read(path)
    assert caught.value.subject == str(path)
    assert caught.value.exit_code == 1
    return str(caught.value).removeprefix(f"{path}: ")
