"""What a trained model does for Python programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from medseg.values.finding import Finding
from medseg.values.volume import Volume


class Segmenter(Protocol):
    """A trained model. Volumes are (C, X, Y, Z), the channels in the order of `channels`."""

    @property
    def labels(self) -> Mapping[str, int]:
        """The numbers in label maps by name; 0 is background and has none."""

    @property
    def channels(self) -> tuple[str, ...]:
        """The channels that a volume must have, in order."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """What the maps of `probabilities` are: background and labels, or regions, which may overlap."""

    def segment(self, volume: Volume) -> Volume:
        """Return label numbers uint8 (1, X, Y, Z) on the grid of the volume.

        A channel of zeros alone is taken for missing where the model has learned to do without some. Refuses another
        number of channels, and voxels that are not finite.
        """

    def probabilities(self, volume: Volume) -> Volume:
        """Return probabilities float32 (K, X, Y, Z) on the grid of the volume, in the order of `outputs`."""

    def guard(self, volume: Volume) -> tuple[Finding, ...]:
        """Return what is unlike the training scans: each the measure, what training had, and how far out it is."""
