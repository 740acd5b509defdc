"""Prepare: from a scan as stored to the arrays that networks read, and the placement that leads back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from medseg.files.prepared import PreparedCase, write_prepared
from medseg.files.records import CaseRecord, read_case, read_scheme
from medseg.ops.intensity import sample_intensities
from medseg.ops.placement import StoredGrid
from medseg.ops.preparing import Preparation, Prepared, PrepareSettings, prepare_case
from medseg.ops.seeds import class_sizes, draw_seeds, lesion_map
from medseg.stages.cases import load_channels, load_mask
from medseg.stages.channels import check_channels, missing_channels
from medseg.values.error import Refusal
from medseg.values.labels import LabelScheme
from medseg.values.machine import Machine
from medseg.values.streams import stream
from medseg.values.volume import Array, FloatArray, Volume

INTENSITIES_PER_CASE = 10_000


def run(settings: PrepareSettings, inputs: Mapping[str, Path], out: Path, machine: Machine) -> None:
    """Prepare one case: reads data, scheme, case and preparation, writes the prepared folder."""
    record = read_case(inputs["case"])
    preparation = Preparation.model_validate_json(inputs["preparation"].read_text(encoding="utf-8"))
    check_channels(record, preparation)
    scheme = read_scheme(inputs["scheme"]).scheme
    annotated, missing = scheme.annotated_classes(record.annotated), missing_channels(record)
    mask = load_mask(record, inputs["data"])
    classes = class_indices(record.case, mask.voxels[0], scheme)
    image = load_channels(record, inputs["data"])
    try:
        prepared = prepare_case(image, classes, stored_grid_of(record), preparation, settings, missing)
    except Refusal as refusal:
        subject = f"{record.case} {refusal.subject}"
        rule, value, remedy = refusal.rule, refusal.value, refusal.remedy
        raise Refusal(subject, rule, value, remedy, refusal.exit_code, refusal.override) from refusal
    case = as_record(record.case, prepared, settings.seed)
    write_prepared(out, replace(case, annotated=annotated, missing=missing))


def as_record(case: str, prepared: Prepared, seed: int) -> PreparedCase:
    """Join a prepared scan with its seeds and their lesions; refuse one that was prepared without a mask."""
    if prepared.classes is None:
        raise Refusal(case, "a prepared case has a mask", "none", "predict a scan without mask by its path")
    placement = prepared.placement
    lesions = lesion_map(prepared.classes)
    seeds = draw_seeds(case, prepared.classes, seed, lesions)
    return PreparedCase(
        case,
        prepared.image,
        prepared.classes,
        seeds,
        placement.spacing_mm,
        placement.model_dump(mode="json"),
        lesions={index: lesions[tuple(places.T)] for index, places in seeds.items()},
        voxels=class_sizes(prepared.classes),
    )


def class_indices(case: str, labels: Array, scheme: LabelScheme) -> Array:
    """Turn label numbers (X, Y, Z) into class indices (uint8); a number outside the scheme is refused.

    The ignored number becomes `IGNORED`.
    """
    strange = sorted(set(np.flatnonzero(np.bincount(labels.ravel())).tolist()) - set(scheme.allowed))
    if strange:
        raise Refusal(case, f"labels of the mask are among {scheme.allowed}", strange, "name them in data.labels")
    return scheme.to_indices(labels)


def foreground_intensities(
    case: str, image: Volume, mask: Volume, settings: PrepareSettings, ignore: int | None = None
) -> FloatArray:
    """Draw at most 10,000 foreground voxels (label above 0) of a case: their intensities (C, N), before N4.

    Voxels with the number `ignore` are no foreground. A case without foreground gives (C, 0).
    """
    generator = stream(settings.seed, "intensities", case)
    foreground = mask.voxels[0] > 0
    if ignore is not None:
        foreground &= mask.voxels[0] != ignore
    return sample_intensities(image.voxels, np.asarray(foreground, np.bool_), generator, INTENSITIES_PER_CASE)


def stored_grid_of(record: CaseRecord) -> StoredGrid:
    """Take the stored grid of a case from the index; refuse a case without one."""
    if record.shape is None or record.affine is None:
        raise Refusal(record.case, "the index knows the grid of the case", None, "run index again")
    return StoredGrid.model_validate({"shape": record.shape, "affine": record.affine})
