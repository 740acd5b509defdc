"""From a scan on canonical axes to the array that networks read: body, crop, bias field, normalisation, resampling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field, PositiveFloat

from medseg.ops.body import BodySettings, body_box, body_mask
from medseg.ops.intensity import ChannelNormalisation, Kind, correct_bias, normalise
from medseg.ops.placement import Placement, StoredGrid, place
from medseg.ops.resampling import Shape, coarse_axis, resample_classes, resample_image
from medseg.values.error import Refusal
from medseg.values.labels import IGNORED
from medseg.values.settings import Settings
from medseg.values.volume import Array, BoolArray, FloatArray, Volume

_SAME_SPACING = 0.02
_MARGIN = 2
_LOST_FOREGROUND = 0.01


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


class Preparation(Settings):
    """What the training cases decide for all: spacing, and each channel's normalisation in channel order."""

    spacing_mm: tuple[PositiveFloat, PositiveFloat, PositiveFloat]
    normalisations: dict[str, ChannelNormalisation]


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """Image float32 (C, X, Y, Z), class indices uint8 (X, Y, Z) where they were given, and the placement.

    `body` is the body of the whole scan before any crop, on canonical axes.
    """

    image: FloatArray
    classes: Array | None
    placement: Placement
    body: BoolArray | None = None


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
        image=normal if shape == inside.shape else resample_image(normal, shape, coarse=coarse),
        classes=None if classes is None else resample_classes(classes[box], shape),
        placement=place(stored, (start, stop), shape),
        body=body,
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
