"""An experiment walked as far as somebody looks, its finished stages reused."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from medseg.experiment.order import Chain
from medseg.experiment.publish import facts
from medseg.experiment.runner import Runner
from medseg.experiment.settings import ExperimentSettings
from medseg.experiment.showing import show_batch
from medseg.pipeline.store import Store
from medseg.values.machine import Machine

Watch = Callable[[], AbstractContextManager[object]]


@dataclass(frozen=True)
class Walk:
    """Settings of an experiment, and `watch`, which shows what is being done while it is done.

    What was reached once is not looked at again: files that change after that are not noticed.
    """

    settings: ExperimentSettings
    machine: Machine
    watch: Watch
    reached: dict[str, Chain] = field(default_factory=dict)

    def to(self, stage: str) -> Chain:
        """Return the chain with everything up to a stage done."""
        if stage not in self.reached:
            chain = self._chain()
            with self.watch():
                chain.walk(stage)
            self.reached[stage] = chain
        return self.reached[stage]

    def batch(self, step: int) -> tuple[Chain, Path]:
        """Return the chain up to the prepared scans, and the folder with the batch that training takes at a step."""
        chain = self.to("prepare")
        with self.watch():
            return chain, show_batch(chain, step).folder

    def _chain(self) -> Chain:
        runner = Runner(Store(Path(self.machine.store)), self.machine, facts(self.machine), lambda line: None)
        return Chain(self.settings, runner, self.machine)
