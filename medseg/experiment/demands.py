"""What training would refuse, refused as soon as it is known: before the stages that lead to it take their time.

A training that is done already, perhaps on another computer, is held against nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from medseg.engines.ranks import current
from medseg.engines.training.limits import check_limits
from medseg.experiment.settings import ExperimentSettings
from medseg.networks.abilities import check_abilities
from medseg.stages.training.settings import TrainStageSettings
from medseg.values.error import Refusal
from medseg.values.machine import Machine

ACCELERATORS = ("nvidia[0-9]*", "nvhost*", "kfd", "dxg")  # below /dev: NVIDIA's, also of small boards, AMD's, Windows'


@dataclass(frozen=True, slots=True)
class Demands:
    """What is asked of the training of an experiment on a machine; `trained` finds out whether it is done already."""

    settings: ExperimentSettings
    machine: Machine
    trained: Callable[[], bool]

    def before_all(self) -> None:
        """Refuse (exit 2) settings that do not go together, or for a GPU where none is in sight; imports little."""
        processes, kind = current().world, "cpu" if self.machine.device == "cpu" else "cuda"  # auto may become either
        try:
            check_abilities(self.settings.network, self.machine)
            check_limits(self.settings.training, self.machine, kind, processes)
        except Refusal:
            if not self.trained():
                raise
        # The index looks at scans in copies of this process, which it cannot make beside PyTorch: not in vain, then.
        if self._wants_cuda() and not accelerator_in_sight():
            self._ask_device()

    def of_device(self) -> None:
        """Refuse (exit 2) what this computer cannot do, or has no compiler for."""
        if self._wants_cuda() or self.machine.compile:
            self._ask_device()

    def of_cases(self, known: Collection[str]) -> None:
        """Refuse (exit 2) weights of cases that are not among those of training and validation."""
        if self.settings.patches.case_weights:
            from medseg.engines.sampling.drawing.shapes import check_case_weights

            check_case_weights(self.settings.patches, known)

    def of_beginning(self, settings: TrainStageSettings, plan: Path, scheme: Path, start: Path | None) -> None:
        """Refuse (exit 2) a plan that MONAI builds no network for; a start, frozen parts or a division unfit for it.

        plan, scheme: files.  start: the folder of the package.
        """
        if start is None and settings.network.kind != "monai":
            return  # our own networks can be built for every plan, and divided
        if not self.trained():
            from medseg.stages.training.beginning import demand_beginning

            demand_beginning(settings, plan, scheme, start, self.machine)

    def _wants_cuda(self) -> bool:
        machine, half = self.machine, self.settings.training.precision in ("bf16", "fp16")
        return half or machine.cuda_graphs or machine.device.startswith("cuda")

    def _ask_device(self) -> None:
        if self.trained():
            return
        from medseg.engines.device import computing
        from medseg.engines.training.stepping.compiling import demand_compiler

        with computing(self.machine) as device:
            check_limits(self.settings.training, self.machine, device.type, current().world)
            if self.machine.compile:
                demand_compiler(device)


def accelerator_in_sight(devices: Path = Path("/dev")) -> bool:
    """Return whether this computer seems to have a GPU; whether PyTorch can use it is another question."""
    return any(True for name in ACCELERATORS for _ in devices.glob(name))
