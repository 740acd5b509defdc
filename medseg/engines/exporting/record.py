"""What lies beside an export and says what it is: FILE.json."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

import medseg
from medseg.engines.exporting.parity import Parity
from medseg.engines.exporting.programs import BATCH, INPUT, OUTPUT, window_shape
from medseg.engines.packages.package import Card
from medseg.ops.preparing import Preparation, PrepareSettings
from medseg.values.settings import Settings

Format = Literal["onnx", "torch", "monai"]


class Port(Settings):
    """An input or output: its name, its type, and its shape, where `batch` is any number from 1 on."""

    name: str
    dtype: Literal["float32"] = "float32"
    shape: tuple[str | int, ...]


class ExportRecord(Settings):
    """All that another program needs to use the file, and how far it is from PyTorch.

    `sha256` is that of the exported file, `weights` that of the package's weights. Windows are cut from a scan on
    canonical axes (RAS+), prepared as `prepare` and `preparation` say and padded with zeros where it is smaller; in 2D
    they are slices across `plane`. The outputs are logits: with `softmax` one per class, background first, then the
    labels in ascending order of their numbers; with `sigmoid` one per region, in the order of `regions`.
    """

    medseg: str
    format: Format
    sha256: str
    weights: str
    versions: dict[str, str]
    input: Port
    output: Port
    channels: tuple[str, ...]
    labels: dict[str, int]
    regions: dict[str, tuple[int, ...]]
    activation: Literal["softmax", "sigmoid"]
    spacing_mm: tuple[float, float, float] = Field(description="edges of a voxel of a window")
    plane: int | None
    prepare: PrepareSettings
    preparation: Preparation
    parity: Parity


def record_of(
    made: Format, card: Card, digests: tuple[str, str], versions: dict[str, str], parity: Parity
) -> ExportRecord:
    """Fill in the record; `digests` are those of the exported file and of the weights."""
    shape = window_shape(card)
    return ExportRecord(
        medseg=medseg.__version__,
        format=made,
        sha256=digests[0],
        weights=digests[1],
        versions=versions,
        input=Port(name=INPUT, shape=(BATCH, *shape)),
        output=Port(name=OUTPUT, shape=(BATCH, card.plan.architecture.outputs, *shape[1:])),
        channels=card.channel_names,
        labels=card.scheme.labels,
        regions=card.scheme.regions,
        activation=card.activation,
        spacing_mm=card.plan.spacing_mm,
        plane=card.plan.plane,
        prepare=card.prepare,
        preparation=card.preparation,
        parity=parity,
    )
