"""Predict a volume slab by slab: windows in order, blended, and planes handed over as soon as they are complete."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

import torch
from torch import Tensor

from medseg.engines.inference.batching import Batches, batch_size, cut, one_ahead
from medseg.engines.inference.blending import Canvas
from medseg.engines.inference.foreseeing import Needs, layout_of, needs_of
from medseg.engines.inference.frame import Forward, Frame, Room, Slab
from medseg.engines.inference.ground import Arrival, Ground, choose_ground, to_host
from medseg.engines.inference.layout import Window
from medseg.engines.inference.members import Members
from medseg.engines.inference.settings import InferenceSettings
from medseg.engines.room import free_on_device
from medseg.values.error import Refusal
from medseg.values.volume import Array

# Share of a device's free memory that windows computed at once may take, by a guess of what a network keeps.
_DEVICE_SHARE = 0.8
Results = Iterable[tuple[Sequence[Window], Tensor]]
Arriving = tuple[int, Arrival]


def stream_slabs(
    members: Sequence[Forward], image: Array, frame: Frame, settings: InferenceSettings, room: Room
) -> Iterator[Slab]:
    """Yield the prediction of an image `(C, X, Y, Z)` in slabs: contiguous, in order, together exactly the volume.

    A slab is the weighted mean, over the windows that cover it, of the mean over `members` and, with
    `settings.mirror`, over the flips of `frame.mirror_axes`. Where the image is smaller than a window it is padded with
    zeros on both sides: the mean after normalisation, and what training pads with. The members lie on the room's device
    and are in eval mode. Batches, budget and slabs change nothing but the network's own rounding.

    At any time one thickness of windows is in memory, as `foreseen_bytes` says, and files take its place where the room
    is smaller. Refuses an image without voxels, scores that are not finite, and a window that does not fit into memory.
    """
    if image.ndim != 4 or 0 in image.shape:
        raise Refusal("image", "it is a non-empty (C, X, Y, Z)", image.shape, "look at its preparation")
    layout, asked = layout_of(frame, image.shape[1:], settings), Members(members, frame, settings)

    def compute(windows: Sequence[Window]) -> Tensor:
        x = cut(image, windows, frame, room.device.type == "cuda").to(room.device, non_blocking=True)
        found = asked.answer(x)
        return found if frame.plane is None else found.unsqueeze(frame.plane + 2)

    batches = Batches(layout.windows(), compute, room.device)
    results = iter(batches)
    first = next(results)  # a single window, which tells how many outputs there are
    kept = first[1].shape[1]
    needs = needs_of(layout, len(image), kept - asked.doubting, asked.doubting)
    ground = choose_ground(needs, room)
    batches.size = batch_size(frame.patch, needs.window, _left(needs, ground, room), room.device)
    canvas, results = Canvas(layout, kept, ground), chain([first], results)
    del first
    for start, arrival in complete_planes(results, canvas, ground.device, room.device):
        yield _slab(arrival.take(), canvas.axis, start, asked.doubting)


def _left(needs: Needs, ground: Ground, room: Room) -> float:
    """Return the bytes that are left for windows."""
    blended = needs.rows + (0 if ground.mapped else needs.slab)
    if room.device.type == "cuda":
        return _DEVICE_SHARE * free_on_device(room.device) - (blended if ground.device == room.device else 0)
    return room.bytes - blended


def complete_planes(results: Results, canvas: Canvas, ground: torch.device, device: torch.device) -> Iterator[Arriving]:
    """Yield the planes that are complete, first plane and values, on their way to the host.

    A CUDA `device` is kept busy meanwhile. Where the canvas lies on the host, windows are copied to it while the next
    ones are computed; where it lies on the device, complete planes are copied to the host, and used there, while the
    next windows are computed.
    """
    if device.type == "cpu":
        for windows, values in results:
            yield from _painted(canvas, windows, values)
            del values  # the next windows need its room
    elif ground.type == "cpu":
        for windows, arrival in one_ahead((windows, to_host(values)) for windows, values in results):
            yield from _painted(canvas, windows, arrival.take())
    else:
        for arriving in one_ahead([*_painted(canvas, windows, values)] for windows, values in results):
            yield from arriving


def _painted(canvas: Canvas, windows: Sequence[Window], values: Tensor) -> Iterator[Arriving]:
    """Yield the first plane and the values of what is complete; nothing here holds them any longer than their taker."""
    for window, value in zip(windows, values, strict=True):
        canvas.paint(window, value)
        for block in canvas.complete(window):
            leaving = block.start[canvas.axis], to_host(block.values)
            del block
            yield leaving


def _slab(values: Tensor, axis: int, start: int, doubting: bool) -> Slab:
    """Split off the doubt, and refuse what is not finite."""
    if not bool(torch.isfinite(values.sum())):
        remedy = "train with a lower training.learning_rate, or predict with inference.precision=float32"
        raise Refusal("network", "scores are finite numbers", "nan or infinity", remedy)
    return Slab(axis, start, values[:-1], values[-1]) if doubting else Slab(axis, start, values)
