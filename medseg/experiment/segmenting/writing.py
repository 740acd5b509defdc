"""The files of one segmented scan: mask, maps and record. Each appears whole or not at all, the record last."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from medseg.engines.inference.segmenting import Segmented
from medseg.experiment.formats import ENDINGS, Format
from medseg.files.foreign.dicom.writing import write_dicom_seg
from medseg.files.foreign.scan import is_dicom_file, is_dicom_folder
from medseg.files.layouts.masks import is_beside
from medseg.files.nifti.probabilities import write_probabilities, write_uncertainty
from medseg.files.segmented import SegmentedScan, record_path
from medseg.files.writing import write_volume
from medseg.ops.placement import Placement, restore_values
from medseg.pipeline.store import write_whole
from medseg.stages.segmenting.finishing import ProbabilityMaps, affine_of
from medseg.values.error import Refusal
from medseg.values.volume import Volume

PROBABILITIES, UNCERTAINTY = "probabilities", "uncertainty"
_MAPS = (PROBABILITIES, UNCERTAINTY)
_LISTING = "segment"


def beside(case: str, word: str) -> str:
    """Return the name of a map beside a mask."""
    return f"{case}.{word}.nii.gz"


def mask_names(case: str) -> tuple[str, ...]:
    """Return the names that a mask of a case can have."""
    return tuple(f"{case}{ending}" for ending in ENDINGS.values())


def own_names(case: str) -> tuple[str, ...]:
    """Return the names that masks and maps of a case can have."""
    return mask_names(case) + tuple(beside(case, word) for word in _MAPS)


def check_name(case: str) -> None:
    """Refuse a case whose files would have the names of others."""
    if case.lower() == _LISTING or is_beside(case.lower()):
        rule = f"files of a scan have names of their own, unlike {_LISTING}.json and CASE.{_MAPS[0]}.nii.gz"
        raise Refusal(case, rule, case, "rename the scan")


def write_label_map(folder: Path, case: str, mask: Volume, labels: Mapping[str, int], asked: Format, scan: Path) -> str:
    """Write a mask in the format that is asked for and return its name; DICOM-SEG only for a `scan` in DICOM.

    Other scans get NIfTI instead: a DICOM-SEG belongs to a DICOM series.
    """
    dicom = asked == "dicom_seg" and (is_dicom_folder(scan) or is_dicom_file(scan))
    name = f"{case}{ENDINGS['nifti' if asked == 'dicom_seg' and not dicom else asked]}"
    if dicom:
        write_dicom_seg(folder / name, mask, {number: label for label, number in labels.items()}, scan)
    else:
        write_volume(folder / name, mask, labels)
    return name


def write_maps(folder: Path, case: str, segmented: Segmented, placement: Placement, softmax: bool) -> tuple[str, ...]:
    """Write the maps that a segmentation has, on the scan's own grid, and return their names."""
    names = []
    if segmented.probabilities is not None:
        names.append(beside(case, PROBABILITIES))
        maps = ProbabilityMaps(segmented.probabilities, placement, softmax)
        write_probabilities(folder / names[-1], maps, affine_of(placement))
    if segmented.uncertainty is not None:
        names.append(beside(case, UNCERTAINTY))
        restored = restore_values(segmented.uncertainty, placement)
        write_uncertainty(folder / names[-1], restored, affine_of(placement))
    return tuple(names)


def write_record(folder: Path, record: SegmentedScan) -> None:
    """Write the record of a case."""
    try:
        write_whole(record_path(folder, record.case), record.model_dump_json(indent=1) + "\n")
    except OSError as error:
        value = error.strerror or str(error)
        raise Refusal(str(folder), "the record can be written", value, "free space or choose another folder") from error


def clear(folder: Path, case: str, but: tuple[str, ...] = ()) -> None:
    """Delete the masks and maps that an earlier command left of a case, apart from those named."""
    for name in own_names(case):
        if name not in but:
            (folder / name).unlink(missing_ok=True)
