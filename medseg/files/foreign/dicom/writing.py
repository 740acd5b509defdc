"""Masks go out as DICOM-SEG objects that belong to the patient, study and space of their image series."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import medseg
from medseg.files.appearing import appearing_at_once
from medseg.files.foreign.dicom.elements import is_dicom_file
from medseg.files.foreign.dicom.folder import is_dicom_folder
from medseg.files.foreign.dicom.series import Series, read_series
from medseg.values.digests import digest_of
from medseg.values.error import Refusal
from medseg.values.volume import Array, Volume

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_INSTALL = "install the writer with pip install 'medseg[dicom]'"
_SAME_VOXEL = 1e-3
_UNKNOWN_DAY, _UNKNOWN_TIME = "19000101", "000000"
_SERIES_NUMBER = 9001


def write_dicom_seg(path: Path, mask: Volume, names: Mapping[int, str], series: Path) -> None:
    """Write a mask `(1, X, Y, Z)` of uint8 on the grid of a DICOM series as a BINARY segmentation of it.

    Each label is the segment of its number; numbers below the largest that nobody uses become empty segments, since the
    standard counts from 1 without gaps. UIDs are made from the content and dates are those of the series, so the same
    input gives the same bytes. Refuses a mask on another grid, one without labels or names, and a series that is none.
    Source: DICOM PS3.3 A.51.
    """
    _check_mask(path, mask, names)
    if not is_dicom_folder(series) and not is_dicom_file(series):
        raise Refusal(str(series), "a DICOM-SEG belongs to a DICOM series", "none", "write NIfTI, NRRD or MHA instead")
    found = read_series(series)
    _check_grid(path, mask, found)
    try:
        from highdicom.seg import Segmentation
        from pydicom import dcmread
    except ImportError:
        raise Refusal(str(path), "DICOM-SEG is written with highdicom", "no highdicom", _INSTALL) from None
    sources, planes = _sources(found, mask, dcmread)
    entropy = [*(str(one.SOPInstanceUID) for one in sources), digest_of(_content(planes, names))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about odd values of the series, which are copied as they are
        made = Segmentation(
            source_images=sources,
            pixel_array=planes,
            segmentation_type="BINARY",
            segment_descriptions=_descriptions(max(names), names),
            series_instance_uid=_uid("series", entropy),
            series_number=_SERIES_NUMBER,
            sop_instance_uid=_uid("instance", entropy),
            instance_number=1,
            manufacturer="medseg",
            manufacturer_model_name="medseg",
            software_versions=medseg.__version__,
            device_serial_number="1",
        )
    _same_every_time(made, sources[0], entropy)
    with appearing_at_once(path) as file:
        made.save_as(file, enforce_file_format=True)


def _check_mask(path: Path, mask: Volume, names: Mapping[int, str]) -> None:
    if mask.voxels.dtype != np.uint8 or len(mask.voxels) != 1:
        value = f"{mask.voxels.dtype} of shape {mask.voxels.shape}"
        raise Refusal(str(path), "a mask is (1, X, Y, Z) of uint8", value, "convert it first")
    present = {int(label) for label in np.flatnonzero(np.bincount(mask.voxels.ravel(), minlength=256))} - {0}
    if not names or present - set(names) or not all(1 <= number <= 255 for number in names):
        value = f"labels {sorted(present)}, names for {sorted(names)}"
        raise Refusal(str(path), "every label from 1 to 255 has a name", value, "name them all")


def _check_grid(path: Path, mask: Volume, series: Series) -> None:
    affine = series.position.affine
    apart = np.abs(np.linalg.inv(affine) @ mask.affine - np.eye(4)).max() if mask.shape == series.grid else np.inf
    if apart > _SAME_VOXEL:
        value = f"{mask.shape} for {series.grid}, {apart:.3g} voxels apart"
        raise Refusal(str(path), "the mask lies on the grid of the series", value, "bring it to that grid first")


def _sources(series: Series, mask: Volume, read: Any) -> tuple[list[Dataset], Array]:
    """Return the data sets of the series and the mask's planes `(frames, Y, X)` in the order of their frames."""
    height = {place: z for z, place in enumerate(series.order)}
    places = [(number, frame) for number, file in enumerate(series.files) for frame in range(len(file.frames))]
    planes = mask.voxels[0].transpose(2, 1, 0)[[height[place] for place in places]]
    return [read(file.path, stop_before_pixels=True) for file in series.files], np.ascontiguousarray(planes)


def _content(planes: Array, names: Mapping[int, str]) -> dict[str, object]:
    import hashlib

    voxels = hashlib.sha256(np.ascontiguousarray(planes).data).hexdigest()
    return {"voxels": voxels, "names": {str(number): name for number, name in names.items()}}


def _descriptions(largest: int, names: Mapping[int, str]) -> list[Any]:
    """Describe the segments 1..largest. What tissue a label is nobody told us: they all are just tissue."""
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.seg import SegmentDescription
    from pydicom.sr.codedict import codes

    algorithm = AlgorithmIdentificationSequence("medseg", codes.cid7162.ArtificialIntelligence, medseg.__version__)
    return [
        SegmentDescription(
            segment_number=number,
            segment_label=names.get(number, f"unused_{number}")[:64],
            segmented_property_category=codes.SCT.Tissue,
            segmented_property_type=codes.SCT.Tissue,
            algorithm_type="AUTOMATIC",
            algorithm_identification=algorithm,
        )
        for number in range(1, largest + 1)
    ]


def _same_every_time(made: Dataset, source: Dataset, entropy: Sequence[str]) -> None:
    """Put the series' date for the present one, and a UID made from the content for the one drawn at random."""
    day = source.get("SeriesDate") or source.get("StudyDate") or _UNKNOWN_DAY
    time = source.get("SeriesTime") or source.get("StudyTime") or _UNKNOWN_TIME
    for name, value in (("Date", day), ("Time", time)):
        for kind in ("Content", "InstanceCreation", "Series"):
            if f"{kind}{name}" in made:
                setattr(made, f"{kind}{name}", value)
    for item in made.get("ContributingEquipmentSequence", ()):
        if "ContributionDateTime" in item:
            item.ContributionDateTime = f"{day}{time}"
    for sequence in ("DimensionOrganizationSequence", "DimensionIndexSequence"):
        for item in made.get(sequence, ()):
            item.DimensionOrganizationUID = _uid("dimensions", entropy)


def _uid(kind: str, entropy: Sequence[str]) -> str:
    from pydicom.uid import generate_uid

    return str(generate_uid(entropy_srcs=["medseg", kind, *entropy]))
