"""Telling what training begins with, and showing its curves in trackers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from medseg.engines.training.course import Course
from medseg.engines.training.trackers.opening import flat, open_trackers, require
from medseg.engines.training.trackers.tracker import Start, Trackers
from medseg.engines.training.transferring.transfer import Transfer
from medseg.pipeline.meter import own_memory
from medseg.stages.training.settings import TrainStageSettings
from medseg.stages.training.starting import tell
from medseg.values.machine import Machine


@contextmanager
def watched(machine: Machine) -> Iterator[Trackers]:
    """Yield trackers to be opened; whatever ends training early ends them too, as stopped. Refuses missing extras."""
    require(machine.trackers)
    trackers = Trackers()
    try:
        yield trackers
    finally:
        trackers.close(finished=False)


def announce(
    trackers: Trackers, course: Course, settings: TrainStageSettings, machine: Machine, started: Transfer | None
) -> None:
    """Tell what was taken from a package and open the trackers, where training goes on from; only the leader does."""
    if not course.clock.ranks.leads:
        return
    out = course.rules.out
    if started is not None:
        tell(started, out)
    start = Start(out / "trackers", course.rules.stamp, course.state.tally.step, flat(settings))
    before = own_memory()
    trackers.add(open_trackers(machine.trackers, start, out / "log.jsonl"))
    if machine.trackers and course.memory is not None and course.memory.device.type == "cpu":
        course.leave_out(own_memory() - before)  # the libraries of trackers are no memory of a step
