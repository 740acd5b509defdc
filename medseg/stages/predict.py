"""Segment one case with a trained model and put the labels back on the scan's own grid."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from medseg.engines.device import computing, place
from medseg.engines.inference.decoding import class_regions, decode, paint_order
from medseg.engines.inference.settings import InferenceSettings
from medseg.engines.inference.windows import predict_scores
from medseg.engines.training.packages.package import load_model
from medseg.files.nifti.writing import write_mask
from medseg.files.prepared import read_prepared
from medseg.files.records import read_scheme
from medseg.ops.placement import read_placement, restore_mask, restore_scores
from medseg.values.machine import Machine
from medseg.values.settings import Settings


class PredictStage(Settings):
    """Settings of the stage."""

    inference: InferenceSettings


def run(settings: PredictStage, inputs: Mapping[str, Path], out: Path, machine: Machine) -> None:
    """Read `model`, `scheme` and `prepared`; write prediction.nii.gz on the stored grid of the first channel."""
    network, card = load_model(inputs["model"])
    scheme = read_scheme(inputs["scheme"]).scheme
    prepared = read_prepared(inputs["prepared"])
    placement = read_placement(prepared.placement)
    with computing(machine) as device:
        scores = predict_scores(
            place(network, device, machine),
            prepared.image,
            card.plan.patch,
            card.plan.plane,
            settings.inference,
            card.activation,
            device,
            machine.memory_gb,
            card.mirror_axes,
        )
    order = paint_order(class_regions(scheme)) if card.activation == "sigmoid" else ()
    classes = decode(restore_scores(scores, placement), card.activation, order)
    write_mask(out / "prediction.nii.gz", restore_mask(scheme.to_labels(classes), placement))
