"""Change the intensities of cut patches as drawn: many channels at once, in place, each with strengths of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from medseg.engines.sampling.changing.filters import blur, coarsen, uneven
from medseg.engines.sampling.changing.levels import power, scale, stretch
from medseg.engines.sampling.changing.noise import add_noise, add_rician
from medseg.engines.sampling.cutting.sources import moved
from medseg.engines.sampling.drawing.drawn import NEUTRAL, Draw, Intensity

Row = tuple[Intensity, int]  # how a channel changes, and the number that seeds its noise
Change = Callable[[Tensor, Sequence[Row]], None]


def change_intensity(images: Tensor, draws: Sequence[Draw], keep: bool = True) -> Tensor:
    """Return `images` (B, C, *space) with each channel changed as its draw says, by no draw the same bytes.

    With `keep` the images given stay as they are; otherwise they are changed and returned. A blank channel is exactly
    0, whatever its draw says. Nothing reads a value back from the device. The noise belongs to the draw's number and
    to the kind of device.
    """
    changed = images.clone(memory_format=torch.contiguous_format) if keep else images.contiguous()
    flat = changed.view(-1, *images.shape[2:])
    rows: list[Row] = []
    for draw in draws:
        for channel, intensity in enumerate(draw.intensity):
            blank = channel in draw.blank
            if blank:
                flat[len(rows)].zero_()
            rows.append((NEUTRAL if blank else intensity, draw.number + channel))
    for part in _parts(flat, rows):
        change_rows(flat[part], rows[part])
    return changed


def _parts(flat: Tensor, rows: Sequence[Row]) -> Iterator[slice]:
    """Yield which rows to change together: all on a device; on a CPU one after the other, each stays in the cache."""
    if flat.device.type == "cuda":
        yield slice(0, len(rows))
        return
    for number, (intensity, _) in enumerate(rows):
        if intensity is not NEUTRAL and intensity != NEUTRAL:
            yield slice(number, number + 1)


def change_rows(images: Tensor, rows: Sequence[Row]) -> None:
    """Change channels (R, *space) in place, in the order of nnU-Net; a bias field comes first, as it does in a scanner.

    Each change works on all the channels that it happens to together.
    """
    for happens, change in _CHANGES:
        chosen = [number for number, (intensity, _) in enumerate(rows) if happens(intensity)]
        if len(chosen) == len(rows):
            change(images, rows)
        elif chosen:
            where = moved(np.asarray(chosen), images.device)
            taken = images.index_select(0, where)
            change(taken, [rows[number] for number in chosen])
            images.index_copy_(0, where, taken)


def _numbers(images: Tensor, values: Sequence[float]) -> Tensor:
    """Return one number per row, in a shape that works on all of its voxels."""
    return moved(np.asarray(values, np.float32), images.device).view(-1, *(1,) * (images.ndim - 1))


def _uneven(images: Tensor, rows: Sequence[Row]) -> None:
    uneven(images, [row.bias for row, _ in rows])


def _noise(images: Tensor, rows: Sequence[Row]) -> None:
    add_noise(images, _numbers(images, [row.noise for row, _ in rows]), [number for _, number in rows])


def _rician(images: Tensor, rows: Sequence[Row]) -> None:
    add_rician(images, _numbers(images, [row.rician for row, _ in rows]), [number for _, number in rows])


def _blur(images: Tensor, rows: Sequence[Row]) -> None:
    blur(images, [row.blur for row, _ in rows])


def _scale(images: Tensor, rows: Sequence[Row]) -> None:
    scale(images, _numbers(images, [row.brightness for row, _ in rows]))


def _stretch(images: Tensor, rows: Sequence[Row]) -> None:
    stretch(images, _numbers(images, [row.contrast for row, _ in rows]))


def _coarsen(images: Tensor, rows: Sequence[Row]) -> None:
    coarsen(images, [row.low_resolution for row, _ in rows])


def _power_inverted(images: Tensor, rows: Sequence[Row]) -> None:
    power(images, _numbers(images, [row.gamma_inverted for row, _ in rows]), inverted=True)


def _power(images: Tensor, rows: Sequence[Row]) -> None:
    power(images, _numbers(images, [row.gamma for row, _ in rows]))


_CHANGES: tuple[tuple[Callable[[Intensity], bool], Change], ...] = (
    (lambda row: bool(row.bias), _uneven),
    (lambda row: row.noise > 0, _noise),
    (lambda row: row.rician > 0, _rician),
    (lambda row: row.blur > 0, _blur),
    (lambda row: row.brightness != 1, _scale),
    (lambda row: row.contrast != 1, _stretch),
    (lambda row: row.low_resolution != 1, _coarsen),
    (lambda row: row.gamma_inverted != 1, _power_inverted),
    (lambda row: row.gamma != 1, _power),
)
