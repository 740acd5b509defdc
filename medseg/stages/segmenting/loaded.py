"""A trained model for Python programs: volumes in, label maps and probabilities out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from medseg.engines.inference.maps import Wanted
from medseg.engines.inference.segmenting import Segmented
from medseg.ops.orientation import to_canonical
from medseg.ops.placement import restore_mask, stored_grid
from medseg.stages.segmenting.finishing import ProbabilityMaps
from medseg.stages.segmenting.models import read_model
from medseg.stages.segmenting.reading import Taken
from medseg.stages.segmenting.segmenter import Ready, Segmenter
from medseg.values.error import Refusal, wrong_setting
from medseg.values.finding import Finding
from medseg.values.machine import Machine
from medseg.values.volume import FloatArray, Volume

Folder = str | PathLike[str]


class Loaded:
    """A model with its weights in memory. Volumes are (C, X, Y, Z), the channels in the order of `channels`."""

    def __init__(self, folders: Sequence[Path], device: str) -> None:
        self._model = read_model(folders)
        self._machine = _machine(device)
        self._segmenter = Segmenter(self._model, self._machine, guarded=False)
        self._segmenter.open()

    @property
    def labels(self) -> Mapping[str, int]:
        """The numbers in label maps by name; 0 is background and has none."""
        return dict(self._model.card.scheme.labels)

    @property
    def channels(self) -> tuple[str, ...]:
        """The channels that a volume must have, in order."""
        return self._model.names

    @property
    def outputs(self) -> tuple[str, ...]:
        """What the maps of `probabilities` are: background and labels, or regions, which may overlap."""
        scheme = self._model.card.scheme
        if self._model.card.activation == "sigmoid":
            return tuple(scheme.regions)
        return ("background", *sorted(scheme.labels, key=lambda name: scheme.labels[name]))

    def segment(self, volume: Volume) -> Volume:
        """Return label numbers uint8 (1, X, Y, Z) on the grid of the volume.

        A channel of zeros alone is taken for missing where the model has learned to do without some. Refuses another
        number of channels, and voxels that are not finite.
        """
        ready = self._segmenter.prepare(self._taken(volume))
        found = self._segmenter.segment(ready)
        labels = restore_mask(self._model.card.scheme.scheme.to_labels(found.classes), ready.placement)
        return Volume(labels.voxels, volume.affine)

    def probabilities(self, volume: Volume) -> Volume:
        """Return probabilities float32 (K, X, Y, Z) on the grid of the volume, in the order of `outputs`.

        They are at the temperature of the package, in steps of half precision, and background outside the body where
        scans are cropped to it. Post-processing of label maps does not touch them. Refuses what `segment` refuses.
        """
        ready = self._segmenter.prepare(self._taken(volume))
        found = self._segmenter.segment(ready, Wanted(probabilities=True))
        return Volume(_maps(found, ready, self._model.card.activation), volume.affine)

    def guard(self, volume: Volume) -> tuple[Finding, ...]:
        """Return what is unlike the training scans: each the measure, what training had, and how far out it is."""
        return Segmenter(self._model, self._machine).prepare(self._taken(volume)).findings

    def _taken(self, volume: Volume) -> Taken:
        _check(volume, self.channels)
        with np.errstate(over="ignore"):  # what float32 cannot hold is refused as infinite
            voxels = np.asarray(volume.voxels, np.float32)
        if not np.isfinite(voxels).all():
            raise Refusal(
                "volume", "voxels are finite numbers", "NaN or infinity", "replace them, or leave the scan out"
            )
        plain = Volume(voxels, np.asarray(volume.affine, np.float64))
        empty = tuple(index for index, channel in enumerate(voxels) if not channel.any())
        missing = empty if self._model.card.missing_channels and len(empty) < len(voxels) else ()
        return Taken(to_canonical(plain), stored_grid(plain), missing)


def load(folder: Folder | Sequence[Folder], device: str = "auto") -> Loaded:
    """Open a model package, the folder of a run, or several of them whose answers are averaged."""
    given = [folder] if isinstance(folder, str | PathLike) else list(folder)
    return Loaded([Path(one) for one in given], device)


def _check(volume: object, channels: Sequence[str]) -> None:
    """Refuse what is no volume of real numbers with these channels."""
    if not isinstance(volume, Volume):
        rule = "is a medseg.values.volume.Volume: voxels (C, X, Y, Z) and the affine (4, 4) to RAS+ mm"
        remedy = "make one with Volume(voxels, affine): without an affine left cannot be told from right"
        raise Refusal("volume", rule, type(volume).__name__, remedy)
    if volume.voxels.dtype.kind not in "biuf":
        raise Refusal("volume", "voxels are real numbers", volume.voxels.dtype, "give their real part or magnitude")
    if len(volume.voxels) != len(channels):
        rule = f"has the {len(channels)} channels of the model: {', '.join(channels)}"
        raise Refusal("volume", rule, f"{len(volume.voxels)} channels", "stack them on the first axis in this order")


def _machine(device: str) -> Machine:
    try:
        return Machine(device=device)
    except ValidationError:
        raise wrong_setting("device", "is auto, cpu, cuda or cuda:N", device, 'leave it out for "auto"') from None


def _maps(found: Segmented, ready: Ready, activation: str) -> FloatArray:
    if found.probabilities is None:
        raise RuntimeError("probabilities were asked for")
    maps = ProbabilityMaps(found.probabilities, ready.placement, activation == "softmax")
    result = np.empty((len(maps), *ready.placement.stored.shape), np.float32)
    for own, place in zip(maps, result, strict=True):
        place[...] = own
    return result
