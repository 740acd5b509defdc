"""What training could not begin with, tried on the plan before any scan is prepared."""

from __future__ import annotations

from pathlib import Path

from medseg.engines.ranks import current
from medseg.engines.training.stepping.setup import Means, check_division
from medseg.files.records import read_scheme
from medseg.stages.training.settings import TrainStageSettings
from medseg.stages.training.starting import first_network
from medseg.values.machine import Machine
from medseg.values.plan import Plan


def demand_beginning(
    settings: TrainStageSettings, plan: Path, scheme: Path, start: Path | None, machine: Machine
) -> None:
    """Build the network of the file `plan` as training will, with the weights of the package `start`, and drop it.

    Refuses (exit 2) a plan that MONAI builds no network for, a package of which nothing fits, parts to freeze that the
    network does not have, and to divide the batches of a network that would notice.
    """
    wanted = Plan.model_validate_json(plan.read_text(encoding="utf-8"))
    network, _ = first_network(settings, wanted, read_scheme(scheme), start)
    check_division(network, Means(machine, current()))
