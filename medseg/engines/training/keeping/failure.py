"""The refusal of a training that has left the finite numbers."""

from __future__ import annotations

from medseg.values.error import Refusal

REMEDY = "lower training.learning_rate, or set training.precision=fp32"


class Diverged(Refusal):
    """Something of a step is no finite number. `step` is its number, so that its batch can be drawn again.

    `rate` is the step's learning rate and `norm` that of its gradients before clipping, None where it was not read.
    """

    def __init__(
        self, rule: str, step: int, found: float, rate: float | None = None, norm: float | None = None
    ) -> None:
        super().__init__("training", rule, found, REMEDY)
        self.step, self.found, self.rate, self.norm = step, found, rate, norm

    def with_picture(self, path: object) -> Refusal:
        """Return the refusal that also names the picture of the step's batch."""
        return Refusal(self.subject, self.rule, self.value, f"{REMEDY}; {path} shows the batch of that step")


def loss_diverged(step: int, loss: float, rate: float, norm: float) -> Diverged:
    """Return the refusal of a step whose loss is no finite number."""
    return Diverged(f"the loss of step {step} is finite", step, loss, rate, norm)


def weights_diverged(step: int) -> Diverged:
    """Return the refusal of weights that a step with a finite loss has left without being finite."""
    return Diverged(f"the weights after step {step} are finite", step, float("nan"))
