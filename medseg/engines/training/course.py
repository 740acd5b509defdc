"""A training from its start, or its checkpoint, to its end: what happens between the steps."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

import numpy as np

from medseg.engines.sampling.cut import Batch
from medseg.engines.training.checkpoint import Checkpoint, Facts, latest_checkpoint, save_checkpoint
from medseg.engines.training.fit import Step, demand_finite
from medseg.engines.training.interrupt import Interrupts
from medseg.engines.training.journal import Journal, long_enough
from medseg.engines.training.schedule import budget_of, rate_factor, validations_due
from medseg.engines.training.settings import TrainingSettings
from medseg.engines.training.state import State
from medseg.engines.training.validation import TIME_SHARE, affordable, score_cases
from medseg.files.prepared import PreparedCase
from medseg.values.progress import Progress, publish

NEWS_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Rules:
    """How a training is watched. `stamp` tells checkpoints of this training from those of another."""

    training: TrainingSettings
    out: Path
    checkpoint_seconds: float
    stamp: str


@dataclass(slots=True, eq=False)
class Course:
    """State, journal and clock of one training; `score` gives the Dice of a case with the averaged weights."""

    rules: Rules
    state: State
    journal: Journal
    interrupts: Interrupts
    cases: Sequence[PreparedCase]
    score: Callable[[PreparedCase], float | None]
    _clock: float = field(default_factory=monotonic)
    _saved: float = field(default_factory=monotonic)
    _told: float = 0.0

    def share(self, more: float = 0.0) -> float:
        """Return the share of the budget used by now and by `more` steps."""
        tally, now = self.state.tally, monotonic()
        tally.elapsed, self._clock = tally.elapsed + now - self._clock, now
        return budget_of(self.rules.training).share(tally.step + more, tally.elapsed)

    def pace(self, number: int) -> float:
        """Return the factor of the learning rate of a step, taken at the middle of the step where steps are counted."""
        return rate_factor(self.share(number - 0.5 - self.state.tally.step), self.rules.training)

    def within_budget(self, source: Iterator[Batch]) -> Iterator[Batch]:
        """Hand on batches until the budget is used up."""
        while self.share() < 1:
            yield next(source)

    def after(self, step: Step) -> None:
        """Note a step; then validate, save and tell where that is due."""
        self.journal.step(step, self.state.tally.elapsed)
        self.validate_if_due()
        self.obey(step)
        if monotonic() - self._saved >= self.rules.checkpoint_seconds:
            demand_finite(step)
            self.save()
        self.tell()

    def obey(self, step: Step | None = None) -> None:
        """Save and stop if a signal asks for it."""
        if self.interrupts.pending is not None:
            if step is not None:
                demand_finite(step)
            self.save()
            self.interrupts.obey()

    def validate_if_due(self) -> None:
        """Score the validation cases if the budget has come to one of its points; too dear ones are left out."""
        tally, training = self.state.tally, self.rules.training
        due = validations_due(self.share(), training.validations) if self.cases else 0
        if due <= tally.validations:
            return
        last = due == training.validations
        if last or affordable(tally.validation_seconds, tally.scored, training.seconds_budget):
            self._validate()
        tally.validations = due

    def _validate(self) -> None:
        tally, training = self.state.tally, self.rules.training
        began, results = monotonic(), {}
        budget = training.seconds_budget
        limit = None if budget is None or tally.cases is not None else TIME_SHARE * budget / training.validations
        for name, dice in score_cases(self.cases[: tally.cases or training.validation_cases], self.score, limit):
            results[name] = dice
            self.obey()
        known = [dice for dice in results.values() if dice is not None]
        dice = float(np.mean(known)) if known else None
        tally.cases, tally.scored = len(results), tally.scored + 1
        tally.validation_seconds += monotonic() - began
        self.state.note_validation(dice)
        self.share()
        self.journal.validation(tally.step, dice, results, tally.elapsed)

    def save(self) -> None:
        """Write a checkpoint of this moment, which lies between two steps."""
        self.share()
        lengths = self.journal.lengths()
        facts = {"tally": self.state.facts(), "lengths": list(lengths), "stamp": self.rules.stamp}
        step = self.state.tally.step
        save_checkpoint(self.rules.out / "checkpoint", step, Checkpoint(self.state.tensors(), facts))
        self._saved = monotonic()

    def tell(self, final: bool = False) -> None:
        """Tell listeners where training is, at most four times a second."""
        if not final and monotonic() - self._told < NEWS_SECONDS:
            return
        self._told = monotonic()
        self.journal.flush()
        training, tally = self.rules.training, self.state.tally
        known = {"loss": self.journal.loss, "dice": tally.dice}
        facts: dict[str, float | int | str] = {name: value for name, value in known.items() if value is not None}
        fraction = None if training.step_budget is not None else self.share()
        publish(Progress("train", tally.step, training.step_budget, "steps", facts, fraction))

    def finish(self) -> None:
        """Do the validation that the clock may have left for the end, and end the journal."""
        self.validate_if_due()
        self.obey()
        self.tell(final=True)
        self.journal.finish()


def resume(rules: Rules, state: State) -> Journal:
    """Take `state` back to the newest sound checkpoint, or leave it at the start, and open the journal to match."""

    def fits(facts: Facts) -> bool:
        return facts["stamp"] == rules.stamp and long_enough(rules.out, _lengths(facts))

    folder = rules.out / "checkpoint"
    checkpoint = latest_checkpoint(folder, fits)
    if checkpoint is None:
        shutil.rmtree(folder, ignore_errors=True)
        return Journal(rules.out)
    state.restore(checkpoint.tensors, checkpoint.facts["tally"])
    return Journal(rules.out, _lengths(checkpoint.facts))


def _lengths(facts: Facts) -> tuple[int, int]:
    curve, log = facts["lengths"]
    return int(curve), int(log)
