"""Validation in a bounded share of the time: when, how many scans, whose share, and what the schedule makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from medseg.engines.device import computing
from medseg.engines.ranks import ALONE, Ranks
from medseg.engines.training.agenda import (
    TIME_SHARE,
    Agenda,
    Moment,
    affordable,
    counted_agenda,
    counts_steps,
    fitted,
    points_passed,
    seconds_in_all,
    timed_agenda,
)
from medseg.engines.training.keeping.state import Tally
from medseg.engines.training.patience import COOLING, Cooling, gives_up
from medseg.engines.training.rules import Rules
from medseg.engines.training.settings import TrainingSettings
from medseg.engines.training.validation import Examination, case_dice, cases_due, score_cases, validation_order
from medseg.files.prepared import PreparedCase
from medseg.values.error import Refusal
from medseg.values.labels import IGNORED
from medseg.values.machine import Machine


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with computing(Machine(device="cpu", threads=1)):
        yield


@pytest.mark.parametrize(
    ("value", "steps", "seconds"),
    [(None, None, None), (200, 200, None), ("5min", None, 300.0), ("0.5min", None, 30.0), ("2 min", None, 120.0)],
)
def test_intervals_are_steps_or_minutes(value: Any, steps: int | None, seconds: float | None) -> None:
    found = TrainingSettings(validate_every=value)
    assert (found.interval_steps, found.interval_seconds) == (steps, seconds)


@pytest.mark.parametrize(
    "value", ["", "5", "min", "-5min", "0min", "5 minutes", "1e3min", "5min ", "nanmin", 0, -3, True, 2.5, [200]]
)
def test_other_intervals_are_refused_with_an_example(value: Any) -> None:
    with pytest.raises(
        Refusal, match=r"training\.validate_every: a whole number of steps, or minutes .*; set 200, 5min"
    ):
        TrainingSettings(validate_every=value)


def points(training: TrainingSettings, steps: int) -> list[int]:
    return [points_passed(Moment(step, 2.0 * step, step / steps), training) for step in range(steps + 1)]


@pytest.mark.parametrize("steps", [8, 100, 1000, 3])
def test_without_an_interval_there_are_eight_points_evenly_spread(steps: int) -> None:
    due = points(TrainingSettings(steps=steps), steps)
    assert (due[0], due[-1]) == (0, min(8, steps))
    assert due == sorted(due)
    gaps = np.diff(np.flatnonzero(np.diff(due)))
    assert gaps.max(initial=0) - gaps.min(initial=steps) <= 1


def test_points_are_counted_in_steps_and_in_minutes() -> None:
    assert points(TrainingSettings(steps=10, validate_every=4), 10) == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2]
    assert points(TrainingSettings(steps=60, validate_every="1min"), 60)[29:31] == [0, 1]


def test_as_many_cases_as_are_affordable_and_one_at_least() -> None:
    assert fitted([1.0, 1.0, 1.0], 2.5) == Agenda(2)
    assert fitted([1.0, 1.0, 1.0], 3.0) == Agenda(3)
    assert fitted([5.0, 1.0], 2.0, 6) == Agenda(1, 3)
    assert [point for point in range(1, 8) if fitted([5.0, 1.0], 2.0, 6).takes(point)] == [3, 6]
    assert fitted([4.0, 1.0], 2.0, 8) == Agenda(1, 2)
    assert fitted([99.0, 1.0], 2.0, 8) == Agenda(1, 8)


@pytest.mark.parametrize("seed", range(30))
def test_by_the_model_of_the_costs_validations_take_their_share_and_no_more(seed: int) -> None:
    chance = np.random.default_rng(seed)
    windows = chance.integers(1, 60, 20).tolist()
    steps, batch, every = int(chance.integers(50, 5000)), int(chance.integers(1, 9)), int(chance.integers(1, 500))
    training = TrainingSettings(steps=steps, validate_every=every)
    agenda = counted_agenda(windows, batch, training)
    last = -(-steps // every)
    taken = sum(agenda.takes(point) or point == last for point in range(1, last + 1))
    cost = taken * sum(windows[: agenda.cases]) / 3
    assert 1 <= agenda.cases <= 16
    assert agenda.stride == 1 or agenda.cases == 1
    assert taken == 1 or cost <= TIME_SHARE * steps * batch + 1e-6


def tally(step: int, **others: Any) -> Tally:
    return replace(Tally(step=step, elapsed=float(step)), **others)


def exam(*windows: int) -> Examination:
    return Examination([case(str(number), True) for number in range(len(windows))], windows, lambda _: 1.0)


def rules(**training: Any) -> Rules:
    return Rules(TrainingSettings(**training), Path("out"), 60.0, "stamp", batch=2)


def test_counted_validations_do_not_look_at_the_clock() -> None:
    given, scans = rules(steps=1000, validate_every=100), exam(20, 20, 20)
    assert counts_steps(given.training)
    assert not counts_steps(TrainingSettings(validate_every="1min"))
    assert not counts_steps(TrainingSettings(minutes=2, validate_every=7))
    slow = tally(100, validation_seconds=1e9, scored=1, cases=3, points=0)
    assert cases_due(tally(100), 0.1, given, scans, False) == cases_due(slow, 0.1, given, scans, False) == 2
    assert cases_due(tally(100, points=1), 0.1, given, scans, False) == 0
    assert cases_due(tally(99), 0.099, given, scans, False) == 0
    assert cases_due(tally(999, points=9), 0.999, given, scans, True) == 2
    assert cases_due(tally(100), 0.1, given, exam(), False) == 0


def test_where_one_case_is_too_dear_points_are_left_out_and_the_end_is_not() -> None:
    given, scans = rules(steps=100, validate_every=10), exam(12, 12)
    found = [cases_due(tally(step, points=step // 10 - 1), step / 100, given, scans, step == 100)
             for step in range(10, 101, 10)]  # fmt: skip
    assert found == [0, 0, 1, 0, 0, 1, 0, 0, 1, 1]


def test_by_the_clock_the_first_validation_decides_how_many_cases() -> None:
    given, scans = rules(minutes=1000 / 60), exam(6, 6, 6, 6)
    # 125 steps in 125 s, two patches each: a window takes 1/6 s, a case 1 s, and 10 s may go into each of 8 points.
    assert cases_due(tally(125), 0.125, given, scans, False) == 4
    assert cases_due(tally(125), 0.125, given, exam(18, 18, 18, 18), False) == 3
    measured = {"cases": 2, "scored": 1, "points": 1}
    assert cases_due(tally(250, validation_seconds=10.0, **measured), 0.25, given, scans, False) == 2
    assert cases_due(tally(250, validation_seconds=30.0, **measured), 0.25, given, scans, False) == 0
    assert cases_due(tally(999, validation_seconds=30.0, **measured), 1.0, given, scans, True) == 2


def test_time_is_shared_out_also_where_steps_are_counted_and_validations_go_by_the_clock() -> None:
    training = TrainingSettings(steps=1000, validate_every="1min")
    now = Moment(100, 60.0, 0.1)
    assert seconds_in_all(now, training) == pytest.approx(600.0)
    assert timed_agenda([1] * 20, 1.0, now, training).cases == 4  # 8 % of a minute
    assert timed_agenda([1] * 20, 1.0, now, TrainingSettings(minutes=10, validate_every=50)).cases == 2
    assert affordable(20.0, 10.0, 600.0)
    assert not affordable(30.0, 10.0, 600.0)


class Joined(Ranks):
    """One of two processes, here threads, whose sums are real."""

    values: list[Tensor | None] = [None, None]
    barrier = Barrier(2)

    def add(self, values: Tensor) -> Tensor:
        self.values[self.rank] = values
        self.barrier.wait()
        both = [one for one in self.values if one is not None]
        return both[0] + both[1]


def test_scans_are_dealt_out_and_every_process_gets_all_scores() -> None:
    dice = {"a": 0.1, "b": None, "c": 1 / 3, "d": 0.0, "e": 1.0}
    scored: list[str] = []

    def score(scan: PreparedCase) -> float | None:
        scored.append(scan.case)
        return dice[scan.case]

    scans = Examination([case(name, True) for name in "abcde"], [1] * 5, score)
    alone = score_cases(scans, 4, ALONE, lambda: None)
    assert list(alone.items()) == list(dice.items())[:4]
    assert scored == ["a", "b", "c", "d"]
    found: dict[int, Any] = {}
    processes = [
        Thread(target=lambda rank=rank: found.update({rank: score_cases(scans, 4, Joined(rank, 2), lambda: None)}))
        for rank in range(2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert found == {0: alone, 1: alone}
    assert sorted(scored[4:]) == ["a", "b", "c", "d"]


def test_patience_cools_down_along_a_straight_line() -> None:
    assert not gives_up(5, None, 0.2)
    assert not gives_up(2, 3, 0.2)
    assert gives_up(3, 3, 0.2)
    assert not gives_up(9, 3, 0.95)
    cooling = Cooling(0.3, 0.8)
    assert cooling.end == pytest.approx(0.3 + COOLING)
    assert cooling.rate_factor(0.3) == pytest.approx(0.8)
    assert cooling.rate_factor(0.35) == pytest.approx(0.4)
    assert cooling.rate_factor(0.4) == pytest.approx(0.0, abs=1e-12)
    assert cooling.rate_factor(0.5) == 0.0


def case(name: str, labelled: bool) -> PreparedCase:
    image = np.zeros((1, 2, 2, 2), np.float32)
    seeds = {1: np.zeros((1, 3), np.int32)} if labelled else {}
    return PreparedCase(name, image, np.zeros((2, 2, 2), np.uint8), seeds, (1.0, 1.0, 1.0), {})


def test_validation_takes_labelled_cases_in_an_order_of_the_seed() -> None:
    cases = [case(name, name != "healthy") for name in ("a", "b", "healthy", "c", "d", "e")]
    names = [found.case for found in validation_order(0, cases)]
    assert sorted(names) == ["a", "b", "c", "d", "e"]
    assert names == [found.case for found in validation_order(0, cases[::-1])]
    assert any(names != [found.case for found in validation_order(seed, cases)] for seed in range(1, 9))


def test_dice_of_a_case_is_the_mean_over_classes_in_the_truth() -> None:
    classes = np.array([0, 0, 1, 1, 1, 1, 2, 2]).reshape(2, 2, 2)
    found = np.array([0, 1, 1, 1, 1, 0, 0, 2]).reshape(2, 2, 2)
    scores = np.stack([(found == index).astype(np.float32) for index in range(4)])
    assert case_dice([(scores, classes)], None) == pytest.approx((2 * 3 / 8 + 2 * 1 / 3) / 2)
    assert case_dice([(scores, np.zeros_like(classes))], None) is None
    regions = ((False, True, True, False), (False, False, True, False))
    whole = np.stack([np.isin(found, (1, 2)), found == 2]).astype(np.float32)
    assert case_dice([(whole, classes)], regions) == pytest.approx((2 * 4 / 11 + 2 * 1 / 3) / 2)
    assert case_dice([(np.zeros_like(whole), classes)], regions) == 0.0


@pytest.mark.parametrize("annotated", [None, (1,), (2,), (1, 2), ()])
@pytest.mark.parametrize("regions", [None, ((False, True, True), (False, False, True), (False, True, False))])
def test_dice_of_a_case_leaves_out_what_nobody_annotated(annotated: Any, regions: Any) -> None:
    chance = np.random.default_rng(1)
    classes = chance.choice([0, 1, 2, IGNORED], (4, 5, 6)).astype(np.uint8)
    scores = chance.random((3, 4, 5, 6)).astype(np.float32)
    known = {1, 2} if annotated is None else set(annotated)
    members = [{1}, {2}] if regions is None else [{i for i, inside in enumerate(row) if inside} for row in regions]
    found = [scores.argmax(0) == i for i in (1, 2)] if regions is None else list(scores > 0.5)
    values = []
    for region, marked in zip(members, found, strict=True):
        if region <= known:
            pairs = [(m, t in region) for m, t in zip(marked.ravel(), classes.ravel(), strict=True) if t != IGNORED]
            both = sum(m and t for m, t in pairs)
            values.append(2 * both / (sum(m for m, _ in pairs) + sum(t for _, t in pairs)))
    expected = sum(values) / len(values) if values else None
    assert case_dice([(scores, classes)], regions, annotated) == pytest.approx(expected)
    parts = [(scores[:, :, first:stop], classes[:, first:stop]) for first, stop in ((0, 1), (1, 4), (4, 5))]
    assert case_dice(iter(parts), regions, annotated) == case_dice([(scores, classes)], regions, annotated)
