"""One interface for all trackers, and the group of them that a training feeds without depending on any."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, time
from typing import Any, Protocol

logger = logging.getLogger(__name__)
SECONDS_BETWEEN = 5.0
Row = Mapping[str, float]
Facts = Mapping[str, str | int | float | bool]


@dataclass(frozen=True, slots=True)
class Start:
    """What a tracker is opened with.

    `folder` is its own (it exists).  `identity` names the training, the same after a restart.  `step` is the last one
    that the training keeps: 0 at the start.  `facts` are the settings by dotted name.
    """

    folder: Path
    identity: str
    step: int
    facts: Facts


class Tracker(Protocol):
    """A place that shows curves. It passes over what it holds already, and may raise anything: it is dropped then."""

    def steps(self, rows: Sequence[Row]) -> None:
        """Take steps, oldest first: `step`, `loss`, `learning_rate`, `gradient_norm` and `seconds` of each."""

    def validation(self, step: int, dice: float | None) -> None:
        """Take the mean Dice of a validation after `step`; None where no scan had one."""

    def save(self) -> None:
        """Bring everything so far to the disk."""

    def close(self, finished: bool) -> None:
        """Nothing more will come: training is `finished`, or else was stopped and may go on later."""


class Trackers:
    """Feeds trackers from the journal, at most every five seconds; one that fails is dropped with one warning.

    Names of cases stay out of trackers: they may be those of patients, and trackers may send them elsewhere.
    """

    def __init__(self) -> None:
        self._trackers: dict[str, Tracker] = {}
        self._waiting: list[Row] = []
        self._handed_on = monotonic()

    def add(self, trackers: Mapping[str, Tracker]) -> None:
        """Feed these, named by their kind, as well."""
        self._trackers.update(trackers)

    def steps(self, rows: Sequence[Row]) -> None:
        """Take steps of the journal."""
        self._waiting.extend(rows)
        if monotonic() - self._handed_on >= SECONDS_BETWEEN:
            self._hand_on()

    def validation(self, record: Mapping[str, Any]) -> None:
        """Take a validation of the journal: its `step` and `validation_dice`."""
        self._hand_on()
        self._each(lambda tracker: tracker.validation(record["step"], record["validation_dice"]))

    def save(self) -> None:
        """Bring everything so far to the disk."""
        self._hand_on()
        self._each(lambda tracker: tracker.save())

    def close(self, finished: bool = True) -> None:
        """End all trackers; a second time does nothing."""
        self._hand_on()
        self._each(lambda tracker: tracker.close(finished))
        self._trackers.clear()

    def _hand_on(self) -> None:
        self._handed_on = monotonic()
        rows, self._waiting = self._waiting, []
        if rows:
            self._each(lambda tracker: tracker.steps(rows))

    def _each(self, act: Callable[[Tracker], None]) -> None:
        for kind, tracker in list(self._trackers.items()):
            error = _failure(act, tracker)
            if error is not None:
                del self._trackers[kind]
                reason = plain(error)
                logger.warning(
                    "the tracker %s failed and is left out from here on (%s); training goes on", kind, reason
                )


def _failure(act: Callable[[Tracker], None], tracker: Tracker) -> Exception | None:
    try:
        act(tracker)
    except Exception as error:  # a full disk or a lost network must not cost a training
        return error
    return None


def plain(error: Exception) -> str:
    """Say in one line what went wrong."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def moments(rows: Sequence[Row]) -> list[float]:
    """Return when the steps were taken, in seconds since 1970, supposing that the last one was taken just now."""
    now = time()
    return [now - (rows[-1]["seconds"] - row["seconds"]) for row in rows]


def later(rows: Sequence[Row], step: int) -> list[tuple[Row, float]]:
    """Return the rows after `step`, each with its moment."""
    return [(row, moment) for row, moment in zip(rows, moments(rows), strict=True) if row["step"] > step]
