"""A whole volume predicted by one network, joined from slabs: for validation while training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from torch import nn

from medseg.engines.inference.frame import Frame, Room
from medseg.engines.inference.settings import InferenceSettings
from medseg.engines.inference.stream import stream_slabs
from medseg.values.volume import Array, FloatArray


def predict_scores(
    network: nn.Module, image: Array, frame: Frame, settings: InferenceSettings, room: Room
) -> FloatArray:
    """Return probabilities `(outputs, X, Y, Z)` float32 of an image `(C, X, Y, Z)`: all slabs, joined.

    The network lies on the room's device; it is asked in eval mode and left in the mode it came in.
    """
    joined: FloatArray | None = None
    with _evaluating(network):
        for slab in stream_slabs([network], image, frame, settings, room):
            if joined is None:
                joined = np.empty((len(slab.scores), *image.shape[1:]), np.float32)
            planes = np.moveaxis(joined, slab.axis + 1, 0)[slab.start : slab.stop]
            planes[...] = np.moveaxis(slab.scores.numpy(), slab.axis + 1, 0)
    return joined if joined is not None else np.empty((0, *image.shape[1:]), np.float32)


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    """Put every part of the network into eval mode, and back into its own mode afterwards."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
