"""What one training case shows the fingerprint: its grid, samples of its intensities, and its signature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medseg.files.records import CaseRecord
from medseg.ops.guard import Signature, signature_of
from medseg.ops.intensity import sample_intensities
from medseg.ops.orientation import orientation_of
from medseg.ops.preparing import PrepareSettings, crop_to_body
from medseg.stages.cases import load_channels, load_mask
from medseg.stages.channels import missing_channels
from medseg.stages.prepare import foreground_intensities
from medseg.values.streams import stream
from medseg.values.volume import FloatArray

SAMPLES = 10_000


@dataclass(frozen=True, slots=True)
class Look:
    """What one training case shows: its grid after cropping to the body, and a sample of its intensities.

    Samples are `(N,)` per channel name; a channel that the case lacks is absent. `signature` is for the guard of new
    scans.
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    foreground: Mapping[str, FloatArray]
    body: Mapping[str, FloatArray]
    signature: Signature


def look_at(record: CaseRecord, root: Path, settings: PrepareSettings, seed: int, ignore: int | None) -> Look:
    """Look at a training case below `root`; voxels with the label number `ignore` are no foreground."""
    image, mask = load_channels(record, root), load_mask(record, root)
    missing = missing_channels(record)
    body, start, stop = crop_to_body(image, settings, missing)
    x, y, z = (high - low for low, high in zip(start, stop, strict=True))
    foreground = foreground_intensities(record.case, image, mask, settings, ignore)
    inside = sample_intensities(image.voxels, body, stream(seed, "fingerprint", record.case), SAMPLES)
    box = tuple(slice(low, high) for low, high in zip(start, stop, strict=True))
    axes = orientation_of(np.asarray(record.affine, np.float64))
    return Look(
        shape=(x, y, z),
        spacing_mm=image.spacing_mm,
        foreground=_of_its_own(record, foreground),
        body=_of_its_own(record, inside),
        signature=signature_of(image, body, box, record.channel_names, missing, axes),
    )


def _of_its_own(record: CaseRecord, samples: FloatArray) -> dict[str, FloatArray]:
    """Return samples (C, N) by channel name, without the channels that the case lacks."""
    named = zip(record.channel_names, samples, strict=True)
    return {name: values for name, values in named if name not in record.missing}


def joined(samples: Sequence[Mapping[str, FloatArray]], channel: str) -> FloatArray:
    """Join the samples of a channel, over the cases that have it."""
    values: FloatArray = np.concatenate([one[channel] for one in samples if channel in one])
    return values
