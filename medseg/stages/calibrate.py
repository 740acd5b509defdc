"""Learn from the validation cases how far a trained model can be believed, and complete its package with it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from medseg.engines.device import computing
from medseg.engines.inference.frame import Room
from medseg.engines.inference.settings import InferenceSettings
from medseg.engines.packages.opening import open_members
from medseg.engines.packages.package import Card, copy_model, read_card
from medseg.files.prepared import PreparedCase, read_prepared
from medseg.files.records import write_record
from medseg.stages.calibrating.examining import Examined, Examiner
from medseg.stages.calibrating.learning import Learned, learn
from medseg.values.labels import IGNORED
from medseg.values.machine import Machine
from medseg.values.progress import tell
from medseg.values.settings import Settings

logger = logging.getLogger(__name__)
CALIBRATION = "calibration.json"
MOST_VOXELS = 20_000  # of one case
_FEWEST_VOXELS = 500
_MOST_NUMBERS = 8_000_000  # probabilities of all cases together: 32 MB


class CalibrateStage(Settings):
    """Settings of the stage: cases are segmented as `inference` says, as others will be."""

    seed: int
    inference: InferenceSettings


def run(settings: CalibrateStage, inputs: Mapping[str, Path], out: Path, machine: Machine) -> None:
    """Read `model` and `validation/ID`; write calibration.json and model/: the same weights, and the whole card.

    Nothing but validation cases is looked at, so what is learned has not been trained on. They are segmented on their
    prepared grid. Without any that somebody annotated the card stays without calibration, post-processing and forecast,
    which is said. The card is written last.
    """
    card = read_card(inputs["model"])
    cases = [read_prepared(path) for name, path in sorted(inputs.items()) if name.startswith("validation/")]
    cases = [case for case in cases if (case.classes != IGNORED).any()]
    learned = Learned()
    if cases:
        examined = _examine(settings, cases, inputs["model"], machine)
        learned = learn(examined, card.scheme.scheme, card.activation, settings.inference.postprocess)
    else:
        logger.info("no validation scan: the model gets no temperature, no post-processing and no forecast of its Dice")
    write_record(out / CALIBRATION, learned)
    copy_model(out / "model", inputs["model"], _completed(card, settings.inference, learned))


def _examine(settings: CalibrateStage, cases: Sequence[PreparedCase], model: Path, machine: Machine) -> list[Examined]:
    found = []
    with computing(machine) as device:
        members, card = open_members([model], machine.model_copy(update={"runtime": "torch"}), device)
        room = Room(device, int(machine.memory_gb * 1e9))
        voxels = _voxels(card, len(cases))
        examiner = Examiner(members, card, settings.inference, room, settings.seed, voxels)
        for number, case in enumerate(cases, start=1):
            found.append(examiner.examine(case))
            tell("calibrate", number, len(cases), "cases")
    return found


def _voxels(card: Card, cases: int) -> int:
    """Return how many voxels are drawn from each case."""
    share = _MOST_NUMBERS // (card.plan.architecture.outputs * cases)
    return min(MOST_VOXELS, max(_FEWEST_VOXELS, share))


def _completed(card: Card, inference: InferenceSettings, learned: Learned) -> Card:
    return card.model_copy(
        update={
            "inference": inference,
            "calibration": learned.calibration,
            "postprocessing": learned.postprocessing.taken,
            "forecast": learned.forecast,
        }
    )
