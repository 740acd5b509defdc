"""Segment one case with a trained model and put the labels back on the scan's own grid."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from medseg.engines.device import computing
from medseg.engines.inference.frame import Activation, Room
from medseg.engines.inference.maps import Wanted
from medseg.engines.inference.segmenting import segment_prepared
from medseg.engines.inference.settings import InferenceSettings
from medseg.engines.packages.opening import open_members
from medseg.files.nifti.probabilities import write_probabilities
from medseg.files.nifti.writing import write_mask
from medseg.files.predictions import PREDICTION, PROBABILITY
from medseg.files.prepared import read_prepared
from medseg.files.records import read_scheme, write_record
from medseg.ops.placement import read_placement, restore_mask, restore_values
from medseg.stages.predict_settings import PredictSettings
from medseg.values.labels import LabelScheme
from medseg.values.machine import Machine


class PredictStage(PredictSettings):
    """Settings of the stage."""

    inference: InferenceSettings


def run(settings: PredictStage, inputs: Mapping[str, Path], out: Path, machine: Machine) -> None:
    """Read `model`, `scheme` and `prepared`; write prediction.nii.gz on the stored grid of the first channel.

    Beside it confidence.json says how sure the network was: see `medseg.ops.confidence.Confidence`; and where it is
    asked for, probability.nii.gz holds the probability of the tumour, of which no more than one map is in memory.
    """
    scheme = read_scheme(inputs["scheme"]).scheme
    prepared = read_prepared(inputs["prepared"])
    placement = read_placement(prepared.placement)
    with computing(machine) as device:
        members, card = open_members([inputs["model"]], machine, device)
        room = Room(device, int(machine.memory_gb * 1e9))
        wanted = Wanted(joined=tumour_outputs(scheme, card.activation) if settings.probabilities else ())
        found = segment_prepared(members, card, prepared.image, placement, settings.inference, room, wanted)
    write_record(out / "confidence.json", found.confidence)
    if found.joined is not None:
        affine = np.asarray(placement.stored.affine, np.float64)
        write_probabilities(out / PROBABILITY, restore_values(found.joined, placement)[None], affine)
    write_mask(out / PREDICTION, restore_mask(scheme.to_labels(found.classes), placement))


def tumour_outputs(scheme: LabelScheme, activation: Activation) -> tuple[int, ...]:
    """Return the outputs of a network whose probabilities are together that of the tumour region.

    With softmax these are its classes; with sigmoid the region has an output of its own.
    """
    if activation == "sigmoid":
        return (list(scheme.regions).index(scheme.tumour),)
    return tuple(scheme.values.index(label) for label in scheme.regions[scheme.tumour])
