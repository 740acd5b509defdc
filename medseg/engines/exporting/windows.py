"""The windows on which an export is compared with PyTorch: of a scan, or of noise like one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from medseg.engines.packages.package import Card
from medseg.files.scans import read_image
from medseg.ops.orientation import to_canonical
from medseg.ops.placement import stored_grid
from medseg.ops.preparing import prepare_case
from medseg.values.error import wrong_setting
from medseg.values.streams import stream
from medseg.values.volume import Array, FloatArray, Volume

COUNT = 3
_COARSE = 4
_PLACES = (0.5, 0.25, 0.75)


def windows_of_scan(channels: Sequence[Path], card: Card) -> Tensor:
    """Return three windows `(3, C, *space)` of a scan, prepared as training prepared its own.

    channels: one file per channel, in the order of the card. The windows lie in the middle and at a quarter and three
    quarters of every axis; a scan smaller than a window stands in its middle, with zeros around it.
    Refuses (exit 2) another number of files than channels, and files on different grids.
    """
    if len(channels) != card.channels:
        names = f": {', '.join(card.channel_names)}" if card.channel_names else ""
        rule = f"one file for each of the {card.channels} channels{names}"
        raise wrong_setting("images", rule, len(channels), "write images=[FILE,FILE] in that order")
    volumes = [read_image(path) for path in channels]
    for path, volume in zip(channels, volumes, strict=True):
        if not _same_grid(volume, volumes[0]):
            rule = f"all channels are on the grid of the first, {volumes[0].shape} in {channels[0]}"
            raise wrong_setting("images", rule, f"{volume.shape} in {path}", "name channels of one scan")
    stored = Volume(np.concatenate([volume.voxels for volume in volumes]), volumes[0].affine)
    prepared = prepare_case(to_canonical(stored), None, stored_grid(stored), card.preparation, card.prepare)
    return _tensor(np.stack([_cut(prepared.image, card.plan.patch, place) for place in _PLACES]), card)


def windows_of_noise(card: Card) -> Tensor:
    """Return three windows `(3, C, *space)` of noise, always the same: half of it fine, half in blobs of four voxels.

    It has the range of a prepared scan: mean 0 and deviation 1, or 0 to 1 where channels are scaled by percentiles.
    """
    generator = stream(0, "export", "windows")
    shape = (COUNT, card.channels, *card.plan.patch)
    coarse = generator.standard_normal((*shape[:2], *(-(-size // _COARSE) for size in shape[2:])))
    for axis in (2, 3, 4):
        coarse = coarse.repeat(_COARSE, axis)
    fine = generator.standard_normal(shape)
    noise = (fine + coarse[tuple(slice(size) for size in shape)]) / np.sqrt(2)
    for index, how in enumerate(card.preparation.normalisations.values()):
        if how.kind == "percentile":
            noise[:, index] = np.clip(0.5 + noise[:, index] / 4, 0, 1)
    return _tensor(noise, card)


def _same_grid(one: Volume, other: Volume) -> bool:
    """Return whether two volumes have the same voxels, to a thousandth of a mm."""
    return one.shape == other.shape and bool(np.allclose(one.affine, other.affine, rtol=0, atol=1e-3))


def _cut(image: FloatArray, patch: tuple[int, int, int], place: float) -> FloatArray:
    window = np.zeros((image.shape[0], *patch), np.float32)
    source: list[slice] = [slice(None)]
    target: list[slice] = [slice(None)]
    for length, size in zip(image.shape[1:], patch, strict=True):
        start, margin = int(place * max(0, length - size)), max(0, size - length) // 2
        source.append(slice(start, start + size))
        target.append(slice(margin, margin + min(length, size)))
    window[tuple(target)] = image[tuple(source)]
    return window


def _tensor(windows: Array, card: Card) -> Tensor:
    """Leave out the flat axis of a 2D plan."""
    seen = windows if card.plan.plane is None else windows.squeeze(card.plan.plane + 2)
    return torch.from_numpy(np.ascontiguousarray(seen, np.float32))
