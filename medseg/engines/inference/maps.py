"""Maps that a segmentation can leave beside its labels: probabilities, and how uncertain they are."""

from __future__ import annotations

import os
from dataclasses import dataclass
from math import log, prod
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np
import torch
from torch import Tensor

from medseg.engines.inference.frame import Activation
from medseg.ops.calibration import temper
from medseg.values.error import Refusal
from medseg.values.volume import Array


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for beside labels; on the scan's own voxels, so each costs 2 bytes per voxel (and class).

    joined: outputs that make one map together, the sum of their probabilities; empty for no such map.
    105 classes of a scan of 512 x 512 x 600 voxels take 33 GB: with a `folder` they lie there in a file without a name,
    which goes with the array, else in memory.
    """

    probabilities: bool = False
    uncertainty: bool = False
    folder: Path | None = None
    joined: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return self.probabilities or self.uncertainty or bool(self.joined)


class Maps:
    """The maps that were asked for, float16 on the cropped grid, filled box by box.

    probabilities: (K, *cropped) at the temperature, which does not change which class is the best.  uncertainty:
    (*cropped), the entropy of them over its largest possible value, 0..1; with sigmoid outputs the mean over the
    regions.  joined: (*cropped), the sum over the outputs that were named. None where not asked for.
    """

    def __init__(self, wanted: Wanted, activation: Activation, temperature: float, shape: tuple[int, ...]) -> None:
        self._activation: Activation = activation
        self._temperature = temperature
        self.probabilities = _room(shape, wanted.folder) if wanted.probabilities else None
        self.uncertainty = _room(shape[1:], wanted.folder) if wanted.uncertainty else None
        self.joined = _room(shape[1:], wanted.folder) if wanted.joined else None
        self._outputs = list(wanted.joined)

    def write(self, scores: Tensor, place: tuple[slice, slice, slice]) -> None:
        """Fill the box `place` from probabilities (K, *box) float32, as the network has given them."""
        found = torch.from_numpy(temper(scores.numpy(), self._temperature, self._activation))
        if self.probabilities is not None:
            self.probabilities[(slice(None), *place)] = found.half().numpy()
        if self.uncertainty is not None:
            self.uncertainty[place] = entropy(found, self._activation).half().numpy()
        if self.joined is not None:
            self.joined[place] = found[self._outputs].sum(0).clamp(0, 1).half().numpy()


def entropy(scores: Tensor, activation: Activation) -> Tensor:
    """Return the entropy (...) of probabilities (K, ...) over its largest possible value, 0..1.

    softmax: over log K.  sigmoid: the mean over regions of the binary entropy over log 2.
    """
    own: Tensor = torch.special.entr(scores)
    if activation == "softmax":
        return (own.sum(0) / log(len(scores))).clamp(0, 1)
    other: Tensor = torch.special.entr((1 - scores).clamp(min=0))  # interpolated, 1 may come out above 1 by rounding
    return ((own + other).mean(0) / log(2)).clamp(0, 1)


def _room(shape: tuple[int, ...], folder: Path | None) -> Array:
    """Return a float16 array of zeros; in a file its place on the disk is taken at once, or refused."""
    if folder is None:
        return np.zeros(shape, np.float16)
    size = 2 * prod(shape)
    with TemporaryFile(dir=folder) as file:
        try:
            os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            rule, value = f"a map of probabilities takes {size / 1e9:.3g} GB here for a while", error.strerror or error
            raise Refusal(str(folder), rule, value, "make room, or ask for no probabilities") from error
        return np.memmap(file, np.float16, "r+", shape=shape)
