"""A whole volume predicted by one network that is in training: for validation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from medseg.engines.inference.frame import Frame, Room, Slab
from medseg.engines.inference.settings import InferenceSettings
from medseg.engines.inference.stream import stream_slabs
from medseg.values.volume import Array


def predict_slabs(
    network: nn.Module, image: Array, frame: Frame, settings: InferenceSettings, room: Room
) -> Iterator[Slab]:
    """Yield the prediction of an image `(C, X, Y, Z)` in slabs: see `stream_slabs`.

    The network lies on the room's device; it is asked in eval mode and left in the mode it came in.
    """
    with _evaluating(network):
        yield from stream_slabs([network], image, frame, settings, room)


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
