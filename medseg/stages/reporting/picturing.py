"""Load a case of a run as it is drawn: its first channel, its truth and its prediction."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from medseg.files.records import CaseRecord
from medseg.files.scans import read_mask
from medseg.ops.scoring.geometry import on_grid_of
from medseg.ops.scoring.settings import GridRule
from medseg.report.pictured import Pictured
from medseg.stages.cases import load_channels, load_mask
from medseg.stages.reporting.guarding import Guard
from medseg.values.labels import LabelScheme
from medseg.values.volume import Array, Volume


@dataclass(frozen=True, slots=True)
class Place:
    """Where a case lies: its record, the folder of its files, and the file of its prediction.

    grid: what happens to a prediction on another grid than the scan's.  guard: what holds the scan against those that
    the model was trained on, None where nobody asks for it.
    """

    record: CaseRecord
    data: Path
    prediction: Path
    grid: GridRule = "refuse"
    guard: Guard | None = None


def load_pictured(place: Place, scheme: LabelScheme) -> Pictured:
    """Load the first channel that the case has, its truth and its prediction; what the truth ignores is 0 in both.

    Refuses a prediction on another grid, unless the place says to resample it.
    """
    record = place.record
    image, truth = load_channels(record, place.data), load_mask(record, place.data)
    predicted = on_grid_of(truth, read_mask(place.prediction), place.grid, record.case)
    found = pictured_of(_first_channel(record, image), truth, predicted, scheme, record.annotated)
    return found if place.guard is None else replace(found, unlike=place.guard.warnings(record, image))


def pictured_of(
    image: Volume | None,
    truth: Volume,
    predicted: Volume,
    scheme: LabelScheme,
    annotated: tuple[str, ...] | None = None,
) -> Pictured:
    """Join one channel and two label maps `(1, X, Y, Z)` on one canonical grid; `annotated`: as in `CaseRecord`."""
    x, y, z = truth.spacing_mm
    return Pictured(
        image=None if image is None else np.asarray(image.voxels[0], np.float32),
        truth=_kept(truth.voxels[0], truth.voxels[0], scheme),
        predicted=_kept(predicted.voxels[0], truth.voxels[0], scheme),
        spacing_mm=(x, y, z),
        known=scheme.is_annotated(scheme.tumour, annotated),
        affine=truth.affine,
    )


def _first_channel(record: CaseRecord, image: Volume) -> Volume:
    shown = next(index for index, name in enumerate(record.channel_names) if name in record.channels)
    return Volume(image.voxels[shown : shown + 1], image.affine)


def _kept(labels: Array, truth: Array, scheme: LabelScheme) -> Array:
    """Return labels as uint8 with 0 where the truth ignores a voxel."""
    found = np.asarray(labels, np.uint8)
    return found if scheme.ignore is None else np.where(truth == scheme.ignore, np.uint8(0), found)
