"""What was drawn of a patch, in words: a line on where it is from, and one on what was changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from math import acos, degrees

import numpy as np

from medseg.engines.sampling.drawing.drawn import NEUTRAL, Draw, Intensity
from medseg.files.prepared import PreparedCase
from medseg.values.volume import FloatArray

_WORDS = {"rician": "Rician noise", "low_resolution": "low resolution", "gamma_inverted": "inverted gamma"}


def describe(draw: Draw, case: PreparedCase, channels: Sequence[str] = (), classes: Sequence[str] = ()) -> str:
    """Return two lines, e.g. `STS_004, on tumour at 12 40 7` and `turned 9 degrees, zoom 1.1; PET: noise 0.08`.

    channels: names in order.  classes: names from class 1 on. Numbers stand for what has no name.
    """
    where = "placed anywhere"
    if draw.seed_voxel is not None:
        index = int(case.classes[draw.seed_voxel])
        name = classes[index - 1] if 0 < index <= len(classes) else f"class {index}"
        where = f"on {name} at {' '.join(map(str, draw.seed_voxel))}"
    parts = [", ".join(_geometry(draw, np.asarray(case.spacing_mm)))]
    for number, intensity in enumerate(draw.intensity):
        name = channels[number] if number < len(channels) else f"channel {number + 1}"
        changes = ["blank"] if number in draw.blank else list(_changes(intensity))
        parts.append(f"{name}: {', '.join(changes)}" if changes else "")
    return f"{case.case}, {where}\n{'; '.join(part for part in parts if part) or 'unchanged'}"


def _geometry(draw: Draw, spacing_mm: FloatArray) -> Iterator[str]:
    """Tell angle, zoom and flips of the matrix apart; a flip is told from a turn by more than a right angle."""
    matrix = np.asarray(draw.matrix) * spacing_mm[:, None] / spacing_mm
    lengths, signs = np.linalg.norm(matrix, axis=0), np.where(np.diag(matrix) < 0, -1.0, 1.0)
    angle = degrees(acos(float(np.clip((np.trace(matrix / lengths * signs) - 1) / 2, -1, 1))))
    zooms = [f"{1 / length:.2f}" for length in lengths]
    if angle > 0.05:
        yield f"turned {angle:.0f} degrees"
    if np.ptp(lengths) > 1e-6:
        yield f"zoom {' x '.join(zooms)}"
    elif abs(lengths[0] - 1) > 1e-6:
        yield f"zoom {zooms[0]}"
    if np.any(signs < 0):
        yield f"flipped along {' '.join('xyz'[axis] for axis in np.flatnonzero(signs < 0))}"
    if draw.elastic is not None:
        yield f"bent by up to {np.abs(draw.elastic.shifts).max():.1f} voxels"


def _changes(intensity: Intensity) -> Iterator[str]:
    for field in fields(intensity):
        value = getattr(intensity, field.name)
        if value != getattr(NEUTRAL, field.name):
            word = _WORDS.get(field.name, field.name)
            yield f"{word} {value:.2f}" if isinstance(value, float) else f"{word} field"
