"""The plan: what the training cases and the settings together decide before any training."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from medseg.values.settings import Settings


class Architecture(Settings):
    """Shape of a network, one entry per level, finest first.

    `strides[i]` is the step from level i-1 to level i (all ones at level 0); strides and kernels have
    `dimensions` numbers each. `outputs` counts the output channels (classes, or regions).
    """

    dimensions: Literal[2, 3]
    channels: PositiveInt
    outputs: PositiveInt
    features: tuple[PositiveInt, ...]
    strides: tuple[tuple[PositiveInt, ...], ...]
    kernels: tuple[tuple[PositiveInt, ...], ...]


class Plan(Settings):
    """Grid, patch and network for one data set. Axes are the canonical ones (RAS+).

    `patch` always has three numbers; in 2D it is 1 along `plane`, the axis that slices are cut across. `channels` are
    the names of the image channels in order, as far as they are known.
    """

    spacing_mm: tuple[PositiveFloat, PositiveFloat, PositiveFloat]
    patch: tuple[PositiveInt, PositiveInt, PositiveInt]
    batch: PositiveInt
    plane: Annotated[int, Field(ge=0, le=2)] | None
    architecture: Architecture
    channels: tuple[str, ...] = ()
