"""Prepare: from a scan as stored to the arrays that networks read, and the placement that leads back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pydantic import Field

from medseg.files.prepared import PreparedCase, write_prepared
from medseg.files.records import CaseRecord, read_case, read_scheme
from medseg.ops.body import BodySettings, body_box, body_mask
from medseg.ops.intensity import Kind, correct_bias, normalise, sample_intensities
from medseg.ops.placement import Placement, StoredGrid, place
from medseg.ops.resampling import Shape, coarse_axis, resample_classes, resample_image
from medseg.ops.seeds import class_sizes, draw_seeds, lesion_map
from medseg.stages.cases import load_channels, load_mask
from medseg.stages.channels import Preparation, check_channels, missing_channels
from medseg.values.error import Refusal
from medseg.values.labels import IGNORED, LabelScheme
from medseg.values.machine import Machine
from medseg.values.settings import Settings
from medseg.values.streams import stream
from medseg.values.volume import Array, BoolArray, FloatArray, Volume

_SAME_SPACING = 0.02
_MARGIN = 2
_LOST_FOREGROUND = 0.01
INTENSITIES_PER_CASE = 10_000


class PrepareSettings(Settings):
    """What happens to every scan before a network sees it."""

    body: BodySettings = BodySettings()
    normalise: Kind | dict[str, Kind] = Field(
        default="zscore", description="one kind for all channels, or a kind per channel name"
    )
    crop: bool = Field(default=True, description="crop to the body, with a margin of two voxels")
    n4: bool = Field(default=False, description="divide every channel by its bias field (N4)")
    resample: bool = Field(default=True, description="resample to the plan's spacing")
    seed: int = Field(default=0, ge=0, description="names the streams that draw seeds and intensity samples")


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """Image float32 (C, X, Y, Z), class indices uint8 (X, Y, Z) where they were given, and the placement."""

    image: FloatArray
    classes: Array | None
    placement: Placement


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


def prepare_case(
    image: Volume,
    classes: Array | None,
    stored: StoredGrid,
    preparation: Preparation,
    settings: PrepareSettings,
    missing: Sequence[int] = (),
) -> Prepared:
    """Crop to the body, correct the bias field, normalise and resample a scan.

    image: (C, X, Y, Z) on canonical axes, channels in the order of `preparation`; those in `missing` hold nothing and
    come out as exactly 0, which is the mean of a z-scored channel.  classes: class indices (X, Y, Z) on the same grid,
    `IGNORED` where nobody annotated, or None for a new scan.  stored: the grid of the file the image came from.
    A body that leaves more than 1 % of the foreground out is refused, before a network learns from half a tumour.
    """
    body, start, stop = crop_to_body(image, settings, missing)
    box = tuple(slice(low, high) for low, high in zip(start, stop, strict=True))
    if classes is not None:
        _check_crop(classes, classes[box])
    spacing = image.spacing_mm
    voxels, inside = image.voxels[(slice(None), *box)], body[box]
    if settings.n4:
        voxels = _without_bias(voxels, inside, spacing, missing)
    normal = normalise(voxels, inside, tuple(preparation.normalisations.values()), missing)
    wanted = preparation.spacing_mm if settings.resample else spacing
    shape = resampled_shape(inside.shape, spacing, wanted)
    coarse = next((axis for axis in (coarse_axis(spacing), coarse_axis(wanted)) if axis is not None), None)
    return Prepared(
        image=resample_image(normal, shape, coarse=coarse),
        classes=None if classes is None else resample_classes(classes[box], shape),
        placement=place(stored, (start, stop), shape),
    )


def crop_to_body(
    image: Volume, settings: PrepareSettings, missing: Sequence[int] = ()
) -> tuple[BoolArray, Shape, Shape]:
    """Return the body (X, Y, Z) and where the crop to it starts and stops; without cropping, the whole scan.

    Channels in `missing` have no say in it.
    """
    body = body_mask(image.voxels, settings.body, missing)
    start, stop = body_box(body, _MARGIN) if settings.crop else ((0, 0, 0), image.shape)
    return body, start, stop


def resampled_shape(shape: Sequence[int], spacing_mm: Sequence[float], wanted_mm: Sequence[float]) -> Shape:
    """Return how many voxels of `wanted_mm` fill the box of `shape` voxels of `spacing_mm`, at least one per axis.

    An axis whose spacing is within 2 % of the wanted one keeps its voxels, so that it needs no resampling.
    """
    sizes = []
    for size, edge, wanted in zip(shape, spacing_mm, wanted_mm, strict=True):
        same = abs(edge / wanted - 1) <= _SAME_SPACING
        sizes.append(size if same else max(1, round(size * edge / wanted)))
    return sizes[0], sizes[1], sizes[2]


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


def _without_bias(
    voxels: FloatArray, inside: BoolArray, spacing_mm: Sequence[float], missing: Sequence[int]
) -> FloatArray:
    corrected: FloatArray = np.stack(
        [
            channel if index in missing else correct_bias(channel, inside, spacing_mm)
            for index, channel in enumerate(voxels)
        ]
    )
    return corrected


def _check_crop(classes: Array, cropped: Array) -> None:
    whole, kept = (np.count_nonzero((part > 0) & (part != IGNORED)) for part in (classes, cropped))
    if whole - kept > _LOST_FOREGROUND * whole:
        remedy = "choose another prepare.body.kind or set prepare.crop to false"
        raise Refusal("body", "the crop keeps 99 % of the foreground", f"{kept} of {whole} voxels", remedy)
