"""What is kept of a case while its voxels pass by: statistics, miniatures, lesions and a picture."""

from __future__ import annotations

import base64

from medseg.files.records import ChannelSight, Sight
from medseg.ops.orientation import to_canonical
from medseg.ops.sighting import (
    intensity_percentiles,
    lesion_volumes_ml,
    mean_and_sd,
    miniature,
    share_of_zeros,
    thinned,
)
from medseg.report.thumbnail import thumbnail
from medseg.values.labels import LabelScheme
from medseg.values.volume import Array, Volume

_MOST_LESIONS = 100


class Sketch:
    """Grows by one channel after the other; nothing of the voxels is kept."""

    def __init__(self, case: str, scheme: LabelScheme) -> None:
        self.case, self.scheme = case, scheme
        self.channels: dict[str, ChannelSight] = {}
        self.miniatures: dict[str, str] = {}
        self.lesions_ml: tuple[float, ...] = ()
        self.label_ml: dict[str, float] = {}
        self.picture = ""

    def add_channel(self, name: str, volume: Volume, lowest: float, highest: float) -> None:
        """Take in a channel (1, X, Y, Z) on its stored axes, with the extremes of its voxels."""
        sample = thinned(volume.voxels)
        mean, sd = mean_and_sd(sample)
        self.channels[name] = ChannelSight(
            percentiles=intensity_percentiles(sample, lowest, highest), mean=mean, sd=sd, zeros=share_of_zeros(sample)
        )
        small = miniature(to_canonical(volume).voxels[0])
        self.miniatures[name] = base64.b64encode(small.astype("<f2").tobytes()).decode()

    def add_labels(self, labels: Array, counts: dict[str, int], voxel_ml: float) -> None:
        """Take in the mask: label numbers (X, Y, Z), the voxels of each, and the size of one voxel."""
        tumour = self.scheme.regions[self.scheme.tumour]
        if any(counts.get(str(number)) for number in tumour):
            self.lesions_ml = lesion_volumes_ml(labels, tumour, voxel_ml)
        self.label_ml = {
            name: counts[str(number)] * voxel_ml
            for name, number in self.scheme.labels.items()
            if counts.get(str(number))
        }

    def draw(self, volume: Volume, labels: Array | None) -> None:
        """Draw the picture of a channel on its stored axes, with label numbers (X, Y, Z) on canonical ones."""
        turned = to_canonical(volume)
        picture = thumbnail(turned.voxels[0], labels, turned.spacing_mm)
        self.picture = base64.b64encode(picture).decode()

    def sight(self) -> Sight | None:
        """Return what was seen; None where no channel could be read."""
        if not self.channels:
            return None
        return Sight(
            case=self.case,
            channels=self.channels,
            lesions_ml=self.lesions_ml[:_MOST_LESIONS],
            lesion_count=len(self.lesions_ml),
            label_ml=self.label_ml,
            miniatures=self.miniatures,
            picture=self.picture,
        )
