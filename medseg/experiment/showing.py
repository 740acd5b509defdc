"""The batch of one step as a picture, from prepared scans, by a stage that trains nothing."""

from __future__ import annotations

from pathlib import Path

from medseg.experiment.order import Chain
from medseg.experiment.outcome import STAGES
from medseg.experiment.publish import link
from medseg.experiment.settings import ExperimentSettings
from medseg.pipeline.store import Finished

MADE = ("batch.png", "batch.json", "batch.safetensors")


def asked_batch(settings: ExperimentSettings, until: str) -> int | None:
    """Return the step whose batch is to be shown instead of training, None where training is not asked for at all."""
    trains = STAGES.index(until) >= STAGES.index("train")
    return settings.training.show_batch if trains else None


def without_batch(settings: ExperimentSettings) -> ExperimentSettings:
    """Return the settings of the experiment itself."""
    training = settings.training.model_copy(update={"show_batch": None})
    return settings.model_copy(update={"training": training})


def show_batch(chain: Chain, step: int) -> Finished:
    """Do the stage batch; the chain has prepared the scans."""
    from medseg.stages.batch import BatchSettings

    own = chain.settings
    settings = BatchSettings(step=step, seed=own.seed, patches=own.patches, augment=chain.augment)
    return chain.do("batch", settings, chain.training_inputs())


def publish_batch(finished: Finished, folder: Path, step: int) -> Path:
    """Link what was made into batches/step-N of the run's folder, in place of an earlier one; return the picture."""
    target = folder / "batches" / f"step-{step}"
    for name in MADE:
        (target / name).unlink(missing_ok=True)
        link(finished.folder / name, target / name)
    return target / MADE[0]
