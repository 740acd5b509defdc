"""One validation case, segmented as inference will segment others: what it teaches about the network's honesty."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from medseg.engines.inference.certainty import Certainty
from medseg.engines.inference.decoding import class_regions, decode, paint_order
from medseg.engines.inference.frame import Forward, Frame, Room
from medseg.engines.inference.settings import InferenceSettings
from medseg.engines.inference.stream import stream_slabs
from medseg.engines.packages.package import Card
from medseg.files.prepared import PreparedCase
from medseg.ops.calibration_sample import VoxelSample, asked
from medseg.ops.confidence import Confidence
from medseg.ops.losses import membership_of
from medseg.ops.postprocessing_choice import Judged
from medseg.values.volume import Array, FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Examiner:
    """Segments validation cases: with what, how, and how many voxels of each are kept with their probabilities."""

    members: Sequence[Forward]
    card: Card
    inference: InferenceSettings
    room: Room
    seed: int
    voxels: int

    def examine(self, case: PreparedCase) -> Examined:
        """Segment a prepared case on its prepared grid, slab by slab.

        Labels are kept packed, probabilities of the voxels drawn from the case alone.
        """
        card, scheme = self.card, self.card.scheme.scheme
        sigmoid = card.activation == "sigmoid"
        order = paint_order(class_regions(scheme)) if sigmoid else ()
        certainty = Certainty(card.activation, prod(case.spacing_mm) / 1000)
        sample = VoxelSample(case.classes, case.spacing_mm, (self.seed, case.case), self.voxels)
        labels = np.zeros(case.classes.shape, np.uint8)
        frame = Frame(card.plan.patch, card.plan.plane, card.activation, card.mirror_axes)
        for slab in stream_slabs(self.members, case.image, frame, self.inference, self.room):
            certainty.add(slab)
            scores = slab.scores.numpy()
            sample.add(slab.axis, slab.start, scores, card.activation)
            planes = np.moveaxis(labels, slab.axis, 0)[slab.start : slab.stop]
            planes[:] = np.moveaxis(decode(scores, card.activation, order), slab.axis, 0)
            del slab, scores  # else they would stay until the next one is complete
        membership = np.array(membership_of(scheme)) if sigmoid else None
        found, truth = asked(*sample.finish(), case.annotated, membership)
        return Examined(case, certainty.confidence(), zlib.compress(labels.tobytes(), 1), found, truth)


@dataclass(frozen=True, slots=True, eq=False)
class Examined:
    """What is kept of a segmented case: its confidence, its label map (packed), and the voxels drawn from it.

    found: probabilities (K, N) of N voxels.  truth: as `fit_temperature` takes it.
    """

    case: PreparedCase
    confidence: Confidence
    labels: bytes
    found: FloatArray
    truth: Array

    def judged(self) -> Judged:
        """Return the label map beside the truth."""
        predicted = np.frombuffer(zlib.decompress(self.labels), np.uint8).reshape(self.case.classes.shape)
        return Judged(predicted, self.case.classes, self.case.spacing_mm, self.case.annotated)
