"""Three steps at once: every scan goes through, in order, and never more than one waits on either side."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from medseg.experiment.segmenting.course import segmented
from medseg.files.layouts.find import FoundCase
from medseg.files.segmented import SegmentedScan


@dataclass
class Counted:
    """Steps that count which scans are on their way."""

    stop_at: str = ""
    begun: list[int] = field(default_factory=list)
    read_ones: list[str] = field(default_factory=list)
    computed: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    most_waiting: list[int] = field(default_factory=list)
    threads: set[str] = field(default_factory=set)

    def begin(self, cases: Sequence[FoundCase]) -> None:
        self.begun.append(len(cases))

    def read(self, case: FoundCase) -> str:
        self.threads.add(threading.current_thread().name)
        self.read_ones.append(case.case)
        self.most_waiting.append(len(self.read_ones) - len(self.computed))
        return case.case

    def compute(self, held: str) -> str:
        assert threading.current_thread() is threading.main_thread(), "so that Ctrl-C is heard"
        if held == self.stop_at:
            raise KeyboardInterrupt
        self.computed.append(held)
        self.most_waiting.append(len(self.computed) - len(self.written))
        return held

    def write(self, held: str) -> SegmentedScan:
        self.threads.add(threading.current_thread().name)
        self.written.append(held)
        return SegmentedScan(case=held, status="done", made_from="")


def cases(count: int) -> list[FoundCase]:
    return [FoundCase(f"a{number}", f"a{number}", {}, None) for number in range(count)]


def test_every_scan_comes_out_in_order_and_at_most_one_waits_on_each_side() -> None:
    steps = Counted()
    assert [record.case for record in segmented(cases(50), steps)] == [f"a{number}" for number in range(50)]
    assert steps.written == steps.computed == steps.read_ones
    assert steps.begun == [50]
    assert max(steps.most_waiting) <= 2, "one that is worked on and one that waits"
    assert {name.split("_")[0] for name in steps.threads} == {"reading", "writing"}


def test_no_scans_are_no_records() -> None:
    assert list(segmented([], Counted())) == []


def test_an_interrupt_lets_the_last_scan_be_written_and_begins_no_other() -> None:
    steps = Counted(stop_at="a3")
    heard: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        heard.extend(record.case for record in segmented(cases(50), steps))
    assert steps.written == ["a0", "a1", "a2"]
    assert heard == ["a0", "a1"]
    assert len(steps.read_ones) <= 5


def test_a_caller_that_stops_leaves_no_thread_at_work(tmp_path: Path) -> None:
    steps = Counted()
    walk = segmented(cases(50), steps)
    assert next(walk).case == "a0"
    walk.close()  # type: ignore[attr-defined]
    assert len(steps.written) <= 2
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("writing")]
