"""A training from its start, or its checkpoint, to its end: what happens between the steps."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from time import monotonic

import numpy as np

from medseg.engines.ranks import Ranks
from medseg.engines.sampling.cutting.cut import Batch
from medseg.engines.training.agenda import Moment, points_passed
from medseg.engines.training.clock import Clock
from medseg.engines.training.foreseeing.watch import MemoryWatch, told
from medseg.engines.training.keeping.checkpoint import Checkpoint, save_checkpoint
from medseg.engines.training.keeping.failure import weights_diverged
from medseg.engines.training.keeping.journal import Journal
from medseg.engines.training.keeping.state import State
from medseg.engines.training.patience import Cooling, gives_up
from medseg.engines.training.rules import Rules
from medseg.engines.training.schedule import budget_of, rate_factor
from medseg.engines.training.stepping.step import Step
from medseg.engines.training.validation import Examination, cases_due, score_cases
from medseg.values.progress import Progress, publish

logger = logging.getLogger(__name__)
NEWS_SECONDS = 0.25
FIRST_STEPS = 3  # of a process, after which it has held what it is going to hold
ENDING = "train: the Dice has not risen since step %s (validations: %d): the learning rate falls, training ends early"


@dataclass(slots=True, eq=False)
class Course:
    """State, journal and clock of one training. Every process of it has one, and all decide alike.

    The clock is that of the leading process, which alone writes files and speaks.
    """

    rules: Rules
    state: State
    journal: Journal
    clock: Clock
    examination: Examination
    memory: MemoryWatch | None = None
    _taken: int = 0
    _saved: float = field(default_factory=monotonic)
    _told: float = 0.0

    def share(self, more: float = 0.0) -> float:
        """Return the share of the budget used by now and by `more` steps."""
        tally = self.state.tally
        return budget_of(self.rules.training).share(tally.step + more, tally.elapsed)

    def pace(self, number: int) -> float:
        """Return the factor of the learning rate of a step, taken at the middle of the step where steps are counted."""
        share, cooling = self.share(number - 0.5 - self.state.tally.step), self._cooling()
        return rate_factor(share, self.rules.training) if cooling is None else cooling.rate_factor(share)

    @property
    def over(self) -> bool:
        """Whether no further step is to be taken: the budget is used up, or an early end is reached."""
        cooling = self._cooling()
        return self.share() >= 1.0 or (cooling is not None and self.share() >= cooling.end - 1e-9)

    def leave_out(self, count: int) -> None:
        """Do not count so many bytes as memory of a step: those of cases on the device."""
        self.memory = None if self.memory is None else self.memory.beside(count)

    def within_budget(self, source: Iterator[Batch]) -> Iterator[Batch]:
        """Hand on batches until training is over."""
        while not self.over:
            yield next(source)

    def after(self, step: Step) -> None:
        """Note a step; then validate, stop, save and tell where that is due."""
        self._tick()
        self.journal.step(step, self.state.tally.elapsed)
        self._taken += 1
        if self._taken == FIRST_STEPS:
            self._note_memory("a step holds", MemoryWatch.of_steps)
        self.validate_if_due()
        self._stop_if_asked()
        if monotonic() - self._saved >= self.rules.checkpoint_seconds:
            self.save()
        self.tell()

    def validate_if_due(self) -> None:
        """Score validation cases if one of the points is reached, or the end; too dear ones are left out."""
        tally, share = self.state.tally, self.share()
        last = self.over and tally.validated != tally.step
        count = cases_due(tally, share, self.rules, self.examination, last)
        if count:
            self._validate(count)
        tally.points = points_passed(Moment(tally.step, tally.elapsed, self.share()), self.rules.training)

    def save(self) -> None:
        """Write a checkpoint of this moment, which lies between two steps; refuses numbers that are not finite."""
        self._demand_finite()
        self._saved = monotonic()
        if self.ranks.leads:
            facts = {"tally": self.state.facts(), "lengths": list(self.journal.lengths()), "stamp": self.rules.stamp}
            step = self.state.tally.step
            save_checkpoint(self.rules.out / "checkpoint", step, Checkpoint(self.state.tensors(), facts))

    def tell(self, final: bool = False) -> None:
        """Tell listeners where training is, at most four times a second, and once that it is over."""
        if not final and (self.over or monotonic() - self._told < NEWS_SECONDS):
            return
        self._told = monotonic()
        self.journal.flush(wait=final)
        budget, tally = self.rules.training.step_budget, self.state.tally
        known = {"loss": self.journal.loss, "dice": tally.dice}
        facts: dict[str, float | int | str] = {name: value for name, value in known.items() if value is not None}
        fraction = 1.0 if final else None if budget is not None else self.share()
        if self.ranks.leads:
            publish(Progress("train", tally.step, budget, "steps", facts, fraction))

    def finish(self) -> None:
        """Do the validation that may be left for the end, and end the journal."""
        self._tick()
        self.validate_if_due()
        self._stop_if_asked()
        self._demand_finite()
        self._note_memory("training has held at most", MemoryWatch.of_all)
        self.tell(final=True)
        self.journal.finish()

    def _validate(self, count: int) -> None:
        tally = self.state.tally
        self._demand_finite()
        self._tick()
        began = tally.elapsed
        results = score_cases(self.examination, count, self.ranks, self._between_cases)
        known = [dice for dice in results.values() if dice is not None]
        dice = float(np.mean(known)) if known else None
        self._tick()
        tally.cases, tally.scored, tally.validated = count, tally.scored + 1, tally.step
        tally.validation_seconds += tally.elapsed - began
        self.state.note_validation(dice)
        self.journal.validation(tally.step, dice, results, tally.elapsed)
        self._cool_down_if_stale()

    def _cool_down_if_stale(self) -> None:
        tally, training, share = self.state.tally, self.rules.training, self.share()
        if tally.cooling is not None or not gives_up(tally.stale, training.patience, share):
            return
        tally.cooling, tally.cooling_factor = share, rate_factor(share, training)
        self.journal.note({"step": tally.step, "cooling_down": True, "best_step": tally.best_step})
        if self.ranks.leads:
            logger.info(ENDING, tally.best_step, tally.stale)

    def _note_memory(self, what: str, facts: Callable[[MemoryWatch], Mapping[str, float]]) -> None:
        """Note what has been held and was foreseen, and say it."""
        if self.memory is None or not self.ranks.leads:
            return
        found = facts(self.memory)
        self.journal.note({"step": self.state.tally.step, **found})
        logger.info("train: %s", told(what, found))

    @property
    def ranks(self) -> Ranks:
        """The processes of this training."""
        return self.clock.ranks

    def _cooling(self) -> Cooling | None:
        tally = self.state.tally
        return None if tally.cooling is None else Cooling(tally.cooling, tally.cooling_factor)

    def _demand_finite(self) -> None:
        """Refuse losses, and weights, that are not finite: nothing is kept of them. Waits for the device."""
        self.journal.demand_finite()
        if not self.state.is_finite():
            raise weights_diverged(self.state.tally.step)

    def _between_cases(self) -> None:
        if self.ranks.world == 1:  # several processes meet only after a validation
            self._tick()
            self._stop_if_asked()

    def _stop_if_asked(self) -> None:
        if self.clock.asked is not None:
            self.save()
            self.clock.obey()

    def _tick(self) -> None:
        self.state.tally.elapsed += self.clock.tick()
