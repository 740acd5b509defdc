"""How long, how fast and how carefully a network is trained."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from medseg.values.settings import Settings

DEFAULT_STEPS = 1000


class TrainingSettings(Settings):
    """Budget, optimiser and validation. The budget is `minutes` where given, else `steps`, else 1000 steps."""

    steps: int | None = Field(None, ge=1, description="budget in optimiser steps; `minutes` wins where both are given")
    minutes: float | None = Field(None, gt=0, description="budget in minutes, validation included")
    optimiser: Literal["adamw", "sgd"] = "adamw"
    learning_rate: float = Field(2e-3, gt=0, description="highest learning rate, after the warm-up")
    weight_decay: float = Field(1e-2, ge=0, description="on convolution and matrix weights, not on norms and biases")
    momentum: float = Field(0.99, ge=0, lt=1, description="of sgd, Nesterov's kind")
    warmup: float = Field(0.05, ge=0, lt=1, description="share of the budget over which the learning rate rises")
    schedule: Literal["poly", "cosine", "constant"] = "poly"
    clip: float = Field(12.0, gt=0, description="largest norm of all gradients together")
    ema: float = Field(0.99, ge=0, lt=1, description="decay of the averaged weights; 0 uses the last weights")
    precision: Literal["auto", "fp32", "bf16"] = Field("auto", description="auto takes bf16 on CUDA, else fp32")
    validations: int = Field(8, ge=0, description="how often whole validation scans are scored, evenly over the budget")
    validation_cases: int = Field(16, ge=1, description="at most this many scans per validation, always the same ones")

    @property
    def step_budget(self) -> int | None:
        """Steps to take, or None where the clock decides."""
        return None if self.minutes is not None else self.steps or DEFAULT_STEPS

    @property
    def seconds_budget(self) -> float | None:
        """Seconds to spend, or None where steps are counted."""
        return None if self.minutes is None else 60.0 * self.minutes
