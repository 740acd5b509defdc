"""What an independent reader makes of a file: nibabel of NIfTI, SimpleITK of NRRD and MetaImage, pydicom of DICOM."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import SimpleITK

from tests.intake.kinds import LPS_TO_RAS, Array


def second_opinion(path: Path, component: int) -> tuple[Array, Array]:
    """Return voxels (X, Y, Z), float32, and the affine in RAS+ mm."""
    if path.is_dir():
        return _of_slices([pydicom.dcmread(file) for file in path.iterdir() if _is_slice(file)])
    if path.suffix in (".nrrd", ".nhdr", ".mha", ".mhd"):
        return _of_itk(SimpleITK.ReadImage(str(path)), component)
    image = _nifti(path)
    voxels = np.asarray(image.dataobj)
    chosen = voxels.reshape(*voxels.shape[:3], -1)[..., component]
    return chosen.astype(np.float32), np.asarray(image.affine)


def _nifti(path: Path) -> Any:
    if ".hdr" in path.name or ".img" in path.name:
        return nibabel.load(path)
    content = path.read_bytes()
    content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    two = 540 in (int.from_bytes(content[:4], "little"), int.from_bytes(content[:4], "big"))
    return (nibabel.Nifti2Image if two else nibabel.Nifti1Image).from_bytes(content)


def _of_itk(image: Any, component: int) -> tuple[Array, Array]:
    voxels = SimpleITK.GetArrayFromImage(image)
    if image.GetNumberOfComponentsPerPixel() > 1:
        voxels = voxels[..., component]
    lps = np.eye(4)
    lps[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    lps[:3, 3] = image.GetOrigin()
    return voxels.T.astype(np.float32), LPS_TO_RAS @ lps


def _is_slice(path: Path) -> bool:
    head = path.read_bytes()[:132]
    return head[128:] == b"DICM" and path.name != "DICOMDIR"


def _of_slices(slices: list[Any]) -> tuple[Array, Array]:
    row, column = np.reshape(slices[0].ImageOrientationPatient, (2, 3)).astype(float)
    slices.sort(key=lambda one: float(np.cross(row, column) @ np.asarray(one.ImagePositionPatient, float)))
    places = [np.asarray(one.ImagePositionPatient, float) for one in slices]
    voxels = [
        one.pixel_array.T * float(one.get("RescaleSlope", 1)) + float(one.get("RescaleIntercept", 0)) for one in slices
    ]
    down, across = map(float, slices[0].PixelSpacing)
    lps = np.eye(4)
    lps[:3, :3] = np.stack([row * across, column * down, (places[-1] - places[0]) / (len(places) - 1)], axis=1)
    lps[:3, 3] = places[0]
    return np.stack(voxels, axis=-1).astype(np.float32), LPS_TO_RAS @ lps
