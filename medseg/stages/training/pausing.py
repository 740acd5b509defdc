"""What a training holds between its steps, foreseen: while scans are scored and while weights are kept.

A checkpoint is written in small parts, which are not worth counting.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

import torch
from torch import nn

from medseg.engines.inference.batching import batch_size
from medseg.engines.inference.foreseeing import Needs, layout_of, longest_part, needs_of
from medseg.engines.inference.frame import Activation, Frame, Room
from medseg.engines.inference.layout import Layout
from medseg.engines.inference.settings import InferenceSettings
from medseg.engines.training.foreseeing.preflight import Pause, Wish
from medseg.engines.training.foreseeing.walk import passing
from medseg.networks.build import build_network
from medseg.networks.settings import NetworkSettings
from medseg.networks.shapes import shapes_alone
from medseg.values.machine import Machine
from medseg.values.plan import Plan

SMALLER_GB = (2.0, 1.0, 0.5, 0.25, 0.1)  # of machine.memory_gb, tried where validation does not fit
_COUNTED = 12  # bytes of a voxel beside a copy of its scores: the number of the largest one, and masks
_LOOKED_AT = 8  # the largest scans: what one holds depends on its form a little more than on its size
_UNLIMITED = 1e18


@dataclass(frozen=True, slots=True)
class Scans:
    """What is validated: prepared scans of these `shapes` (X, Y, Z), in windows as `inference` says."""

    shapes: Sequence[Sequence[int]]
    inference: InferenceSettings
    activation: Activation


def with_pauses(
    wish: Wish | None, network: NetworkSettings, scans: Scans, machine: Machine, device: torch.device
) -> Wish | None:
    """Return a wish that knows what is held between steps, also with less of `machine.memory_gb`."""
    if wish is None:
        return None
    with shapes_alone():
        built = build_network(network, wish.plan.architecture, 0, wish.plan.patch)
    maps = _maps(built, wish.plan, scans, device)
    largest = sorted(set(map(tuple, scans.shapes)), key=prod)[-_LOOKED_AT:]

    def pause(gigabytes: float) -> Pause:
        room = Room(device, int(gigabytes * 1e9))
        scored = [_scoring(wish.plan, scans, shape, maps, room) for shape in largest]
        return _largest([Pause(wish.load.weights), *scored])  # better weights are copied beside the former ones

    less = [size for size in SMALLER_GB if size < machine.memory_gb]
    spared = {f"machine.memory_gb={size:g}": pause(size) for size in less}
    return replace(wish, pause=pause(machine.memory_gb), spared=spared)


def _largest(pauses: Sequence[Pause]) -> Pause:
    return Pause(max(one.here for one in pauses), max(one.host for one in pauses))


def _scoring(plan: Plan, scans: Scans, shape: Sequence[int], maps: int, room: Room) -> Pause:
    """Estimate what scoring one scan holds; `maps` are the bytes of what the network holds of one window."""
    frame, outputs = Frame(plan.patch, plan.plane, scans.activation), plan.architecture.outputs
    layout = layout_of(frame, shape, scans.inference)
    needs = needs_of(layout, plan.architecture.channels, outputs, doubting=False)
    blended = needs.rows + (needs.slab if needs.total <= room.bytes else 0)  # else the slab lies in a file
    counting, cuda = _counting(needs, layout, outputs), room.device.type == "cuda"
    count = batch_size(frame.patch, needs.window, _UNLIMITED if cuda else room.bytes - blended, room.device)
    count = min(count, prod(len(axis.starts) for axis in layout.axes))
    if cuda:  # fewer windows at once are taken where these do not fit on the device
        return Pause(needs.window + maps, blended + 2 * count * needs.window + counting)
    return Pause(blended + count * needs.window + max(count * maps, counting))


def _maps(network: nn.Module, plan: Plan, scans: Scans, device: torch.device) -> int:
    """Return the bytes of what the network holds of one window, with a copy of one map in another order."""
    space = [size for axis, size in enumerate(plan.patch) if axis != plan.plane]
    half = device.type == "cuda" and scans.inference.precision == "bf16"
    kept = passing(network, (plan.architecture.channels, *space), torch.bfloat16 if half else torch.float32)
    return 0 if kept is None else kept.together + kept.largest


def _counting(needs: Needs, layout: Layout, outputs: int) -> int:
    """Return the bytes of counting voxels in the planes that are handed over at once."""
    _, row, column = layout.order
    plane = 4 * outputs * layout.axes[row].length * layout.axes[column].length
    part = min(needs.slab, longest_part(plane) * plane)
    return part + _COUNTED * part // (4 * outputs)
