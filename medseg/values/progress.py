"""News of work in progress, for whoever listens: a log record with numbers, no terminal knowledge."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

logger = logging.getLogger("medseg.progress")


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` of `total` units of `task`; `facts` are shown beside it (e.g. loss, cases).

    `fraction` overrides done/total where a time budget and not a count decides.
    """

    task: str
    done: float
    total: float | None
    unit: str
    facts: dict[str, float | int | str] = field(default_factory=dict)
    fraction: float | None = None


def tell(task: str, done: float, total: float | None, unit: str, **facts: float | int | str) -> None:
    """Tell the listeners that `done` of `total` units of `task` are done; costs nothing without listeners."""
    publish(Progress(task, done, total, unit, dict(facts)))


def publish(progress: Progress) -> None:
    """Hand one piece of news to the listeners of the logger `medseg.progress`."""
    logger.info("%s", progress.task, extra={"progress": progress})
