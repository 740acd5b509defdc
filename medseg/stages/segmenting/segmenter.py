"""What a model does to one scan: get it ready without the network, and segment it."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from medseg.engines.device import computing, device_of
from medseg.engines.inference.frame import Forward, Room
from medseg.engines.inference.maps import Wanted
from medseg.engines.inference.segmenting import Segmented, segment_prepared
from medseg.engines.inference.settings import InferenceSettings
from medseg.engines.packages.opening import open_members
from medseg.files.layouts.find import FoundCase
from medseg.ops.placement import Placement
from medseg.ops.preparing import Prepared, prepare_case
from medseg.stages.segmenting.guarding import strange
from medseg.stages.segmenting.models import Model, about_the_model
from medseg.stages.segmenting.reading import Expected, Taken, take_scan
from medseg.values.finding import Finding
from medseg.values.machine import Machine
from medseg.values.volume import Array, FloatArray

NOTHING = Wanted()
# Of a scan's intensities these percentiles become black and white, found on this many voxels along an edge.
_RANGE, _FEW = (0.1, 99.9), 128


@dataclass(frozen=True, slots=True, eq=False)
class Ready:
    """A scan that waits for the network: image float32 (C, *prepared), and the way back to its own grid.

    shown: its first channel within the crop, uint8 (*cropped) on canonical axes, all but its extremes in levels of
    grey, for the picture.  findings: what is unlike the training scans.  notes: what was odd about its files.
    """

    image: FloatArray
    placement: Placement
    shown: Array
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()


class Segmenter:
    """A model with the settings of its use. `ready` may work in another thread than `segment`.

    The weights are read when the first scan is segmented, or by `open`.
    """

    def __init__(
        self,
        model: Model,
        machine: Machine,
        inference: InferenceSettings | None = None,
        expected: Expected | None = None,
        wanted: Wanted = NOTHING,
        guarded: bool = True,
    ) -> None:
        self.model, self.machine, self.wanted, self.guarded = model, machine, wanted, guarded
        self.inference = inference or model.card.inference
        self.expected = expected or Expected(model.names, model.card.missing_channels)
        self._device = device_of(machine)
        self._pool = ThreadPoolExecutor(machine.readers, thread_name_prefix="channels")  # starts none before its use

    def ready(self, case: FoundCase, folder: Path) -> Ready:
        """Read a case whose paths lie below `folder`, hold it against the training scans, and prepare it."""
        return self.prepare(take_scan(case, folder, self.expected, self._pool))

    def prepare(self, taken: Taken) -> Ready:
        """Prepare a scan that has been read; nothing of the network is needed."""
        card = self.model.card
        prepared = prepare_case(taken.image, None, taken.stored, card.preparation, card.prepare, taken.missing)
        findings = strange(taken, prepared, self.model) if self.guarded else ()
        return Ready(prepared.image, prepared.placement, _shown(taken, prepared), findings, taken.notes)

    def open(self) -> None:
        """Read the weights now, to be told (exit 2) of what is wrong with them before a scan is blamed for it."""
        with about_the_model(), computing(self.machine):
            _ = self._members

    def segment(self, ready: Ready, wanted: Wanted | None = None) -> Segmented:
        """Segment a scan on the device; `wanted` goes before what the segmenter was made for."""
        room = Room(self._device, int(self.machine.memory_gb * 1e9))
        asked = self.wanted if wanted is None else wanted
        with computing(self.machine):
            return segment_prepared(
                self._members, self.model.card, ready.image, ready.placement, self.inference, room, asked
            )

    @cached_property
    def _members(self) -> Sequence[Forward]:
        return open_members(self.model.folders, self.machine, self._device)[0]


def _shown(taken: Taken, prepared: Prepared) -> Array:
    """Copy the first channel that is there out of the crop, in a byte per voxel, so that the scan need not stay."""
    first = next(index for index in range(len(taken.image.voxels)) if index not in taken.missing)
    channel = taken.image.voxels[first][prepared.placement.box]
    low, high = np.percentile(channel[tuple(slice(None, None, max(1, n // _FEW)) for n in channel.shape)], _RANGE)
    scale = 255 / (high - low) if high > low else 0.0
    greys = np.empty(channel.shape, np.uint8)
    for plane, grey in zip(channel, greys, strict=True):
        grey[...] = np.clip((plane - low) * scale, 0, 255)
    return greys
