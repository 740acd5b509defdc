"""Processes that cut patches: the same bytes in the same order, and no process left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path

import psutil
import pytest

from medseg.engines.sampling.supplying.batches import batches
from medseg.engines.sampling.supplying.cutters import Cutters
from medseg.engines.sampling.supplying.supply import Supply, supplied
from medseg.values.error import Refusal
from medseg.values.machine import Machine
from tests.engines.batch_cases import CPU, one_thread, plan_of, same, sampler_of, written

__all__ = ["one_thread"]

PROGRAM = """
import sys, time
from itertools import islice
from pathlib import Path
from medseg.engines.sampling.supplying.batches import batches
from medseg.engines.sampling.supplying.cutters import Cutters
from tests.engines.batch_cases import CPU, sampler_of, written
if __name__ == "__main__":
    sampler = sampler_of(written(Path(sys.argv[1])))
    with Cutters(sampler, int(sys.argv[2])) as cutters:
        source = batches(sampler, CPU, cutter=cutters)
        next(source)
        print(*cutters.process_ids, flush=True)
        for _ in source:
            pass
"""


def children() -> set[int]:
    """Ids of the processes that this one has now; another test may have left a reader of scans, which lives on."""
    return {one.pid for one in psutil.Process().children()}


def test_two_processes_cut_the_same_bytes_from_memory(tmp_path: Path) -> None:
    before = children()
    sampler = sampler_of(written(tmp_path))
    plain = list(islice(batches(sampler, CPU), 12))
    machine = Machine.model_validate({"device": "cpu", "data": "host", "workers": 2})
    with supplied(sampler, Supply(machine, CPU)) as source:
        cut = list(islice(source, 12))
    assert same(plain, cut)
    assert children() == before


def test_one_process_cuts_the_same_bytes_from_files_and_its_end_is_a_refusal(tmp_path: Path) -> None:
    before = children()
    sampler = sampler_of(written(tmp_path))
    with Cutters(sampler, 1) as cutters:
        source = batches(sampler, CPU, cutter=cutters)
        assert same(list(islice(batches(sampler, CPU), 6)), list(islice(source, 6)))
        os.kill(cutters.process_ids[0], signal.SIGKILL)
        with pytest.raises(Refusal, match=r"machine.workers: .*, got SIGKILL.*; free some memory, or set machine.wo"):
            list(islice(source, 5))
    assert children() == before


def test_slices_are_cut_as_well_and_an_error_is_told(tmp_path: Path) -> None:
    sampler = sampler_of(written(tmp_path), plan=plan_of(batch=3, patch=(8, 1, 7), plane=1))
    with Cutters(sampler, 1) as cutters:
        assert same(list(islice(batches(sampler, CPU), 6)), list(islice(batches(sampler, CPU, cutter=cutters), 6)))
        unknown = replace(sampler.draws(1)[0], case=99)
        with pytest.raises(RuntimeError, match="a process that cuts patches failed: IndexError"):
            list(cutters.cut([[unknown]], CPU))


def program(folder: Path, processes: int) -> tuple[subprocess.Popen[str], list[psutil.Process]]:
    """Start a program that cuts patches without end, in a group of its own, and return it with its processes."""
    (folder / "program.py").write_text(PROGRAM)
    parent = subprocess.Popen(
        [sys.executable, str(folder / "program.py"), str(folder / "cases"), str(processes)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a suite in the background ignores Ctrl-C
    )
    assert parent.stdout is not None
    children = [psutil.Process(int(word)) for word in parent.stdout.readline().split()]
    assert len(children) == processes
    return parent, children


def test_processes_end_with_a_killed_parent(tmp_path: Path) -> None:
    parent, children = program(tmp_path, 2)
    parent.kill()
    parent.communicate(timeout=20)
    assert psutil.wait_procs(children, timeout=20)[1] == []


def test_ctrl_c_to_the_whole_group_is_the_parents_to_answer(tmp_path: Path) -> None:
    parent, children = program(tmp_path, 1)
    os.killpg(parent.pid, signal.SIGINT)
    try:
        _, errors = parent.communicate(timeout=20)
    finally:
        parent.kill()
    assert errors.count("Traceback") == errors.count("KeyboardInterrupt") == 1
    assert parent.returncode == -signal.SIGINT
    assert psutil.wait_procs(children, timeout=20)[1] == []
