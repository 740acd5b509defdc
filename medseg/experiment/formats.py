"""Label maps of a run in other formats than NIfTI, beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from medseg.experiment.outcome import Outcome
from medseg.files.foreign.dicom.writing import write_dicom_seg
from medseg.files.listing import folder_of
from medseg.files.records import CaseRecord, read_case, read_scheme
from medseg.files.scans import read_mask
from medseg.files.writing import write_volume
from medseg.values.error import Refusal

Format = Literal["nifti", "nrrd", "mha", "dicom_seg"]
ENDINGS: Mapping[Format, str] = {"nifti": ".nii.gz", "nrrd": ".nrrd", "mha": ".mha", "dicom_seg": ".dcm"}


def write_predictions(folder: Path, outcome: Outcome, write: Format) -> dict[str, str]:
    """Write each prediction into `folder` as CASE and the ending of the format; NIfTI is there already.

    Returns why a case could not be written, by case: a DICOM-SEG needs a first channel that is a DICOM series.
    """
    if write == "nifti":
        return {}
    reasons = {
        case: _why_not(folder / f"{case}{ENDINGS[write]}", finished.folder / "prediction.nii.gz", case, outcome, write)
        for case, finished in sorted(outcome.predictions.items())
    }
    return {case: reason for case, reason in reasons.items() if reason}


def _why_not(path: Path, prediction: Path, case: str, outcome: Outcome, write: Format) -> str:
    """Write one case; return why that was refused, "" where it was done."""
    try:
        _write(path, prediction, case, outcome, write)
    except Refusal as refusal:
        return str(refusal)
    return ""


def _write(path: Path, prediction: Path, case: str, outcome: Outcome, write: Format) -> None:
    mask = read_mask(prediction)
    index = outcome.stages["index"].folder
    labels = read_scheme(index / "scheme.json").labels
    if write != "dicom_seg":
        write_volume(path, mask, labels)
        return
    series = _first_channel(read_case(index / "cases" / f"{case}.json"), outcome)
    write_dicom_seg(path, mask, {number: name for name, number in labels.items()}, series)


def _first_channel(record: CaseRecord, outcome: Outcome) -> Path:
    if outcome.data is None:
        raise RuntimeError("the index comes first")
    return folder_of(outcome.data.path) / next(iter(record.channels.values())).path
