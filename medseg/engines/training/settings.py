"""How long, how fast and how carefully a network is trained."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator, model_validator

from medseg.values.error import wrong_setting
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
    warmup: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="share of the budget over which the learning rate rises; null: 0.05, with one_cycle 0.3",
    )
    schedule: Literal["poly", "cosine", "one_cycle", "constant"] = "poly"
    clip: float = Field(12.0, gt=0, description="largest norm of all gradients together")
    ema: float = Field(0.99, ge=0, lt=1, description="decay of the averaged weights; 0 uses the last weights")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto", description="auto takes bf16 on CUDA, else fp32; bf16 and fp16 are for CUDA alone, fp16 scales the loss"
    )
    validation_cases: int = Field(16, ge=1, description="at most this many scans per validation, always the same ones")
    validate_every: int | str | None = Field(
        None,
        description="steps (200) or minutes (5min) between validations; null: eight over the budget. The last step "
        "always has one, and all of them together take a tenth of the time at most",
    )
    patience: int | None = Field(
        None,
        ge=1,
        description="validations without a better Dice after which the learning rate falls to 0 over a tenth of the "
        "budget, where training ends; null: never",
    )
    weights: Literal["best", "last"] = Field("best", description="which averaged weights the model package gets")
    start_from: str | None = Field(
        None, description="model package, or folder of a run, whose weights to start from instead of random ones"
    )
    freeze: tuple[str, ...] = Field(
        (), description="parts of the network that stay as the package has them, e.g. [encoder] or [encoder.0]"
    )
    show_batch: int | None = Field(
        None, ge=1, description="draw the batch of this step as a picture, and train nothing"
    )

    @field_validator("validate_every", mode="before")
    @classmethod
    def _is_an_interval(cls, value: object) -> object:
        steps = type(value) is int and value >= 1
        if value is None or steps or (isinstance(value, str) and _minutes(value) > 0):
            return value
        rule = "a whole number of steps, or minutes as in 5min or 0.5min, is needed"
        raise wrong_setting("training.validate_every", rule, repr(value), "set 200, 5min or null")

    @model_validator(mode="after")
    def _what_stays_comes_from_a_package(self) -> TrainingSettings:
        if self.freeze and self.start_from is None:
            rule, remedy = "only parts of a package can stay as they are", "set training.start_from, or take it out"
            raise wrong_setting("training.freeze", rule, list(self.freeze), remedy)
        return self

    @property
    def interval_steps(self) -> int | None:
        """Steps between validations, or None where they are not counted in steps."""
        return self.validate_every if isinstance(self.validate_every, int) else None

    @property
    def interval_seconds(self) -> float | None:
        """Seconds between validations, or None where they do not go by the clock."""
        return 60.0 * _minutes(self.validate_every) if isinstance(self.validate_every, str) else None

    @property
    def rise(self) -> float:
        """Share of the budget over which the learning rate rises."""
        return self.warmup if self.warmup is not None else 0.3 if self.schedule == "one_cycle" else 0.05

    @property
    def step_budget(self) -> int | None:
        """Steps to take, or None where the clock decides."""
        return None if self.minutes is not None else self.steps or DEFAULT_STEPS

    @property
    def seconds_budget(self) -> float | None:
        """Seconds to spend, or None where steps are counted."""
        return None if self.minutes is None else 60.0 * self.minutes


def _minutes(text: str) -> float:
    """Return the minutes of a text like `5min`; 0 where it is none."""
    found = re.fullmatch(r"([0-9]{1,6}(?:\.[0-9]{1,6})?) ?min", text)
    return float(found[1]) if found else 0.0
