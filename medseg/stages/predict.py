"""Segment one case with a trained model and put the labels back on the scan's own grid."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from medseg.engines.device import computing
from medseg.engines.inference.frame import Room
from medseg.engines.inference.segmenting import segment_prepared
from medseg.engines.inference.settings import InferenceSettings
from medseg.engines.packages.opening import open_members
from medseg.files.nifti.writing import write_mask
from medseg.files.prepared import read_prepared
from medseg.files.records import read_scheme, write_record
from medseg.ops.placement import read_placement, restore_mask
from medseg.values.machine import Machine
from medseg.values.settings import Settings


class PredictStage(Settings):
    """Settings of the stage."""

    inference: InferenceSettings


def run(settings: PredictStage, inputs: Mapping[str, Path], out: Path, machine: Machine) -> None:
    """Read `model`, `scheme` and `prepared`; write prediction.nii.gz on the stored grid of the first channel.

    Beside it confidence.json says how sure the network was: see `medseg.ops.confidence.Confidence`.
    """
    scheme = read_scheme(inputs["scheme"]).scheme
    prepared = read_prepared(inputs["prepared"])
    placement = read_placement(prepared.placement)
    with computing(machine) as device:
        members, card = open_members([inputs["model"]], machine, device)
        room = Room(device, int(machine.memory_gb * 1e9))
        found = segment_prepared(members, card, prepared.image, placement, settings.inference, room)
    write_record(out / "confidence.json", found.confidence)
    write_mask(out / "prediction.nii.gz", restore_mask(scheme.to_labels(found.classes), placement))
