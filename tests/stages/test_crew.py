"""Work in forked copies: the same answers, nothing lost with one that dies, and nobody left when the parent is gone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from medseg.stages.intake import crew
from medseg.stages.intake.crew import Crew, LostError, can_fork, shared_out
from tests.stages.test_index import made

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")

# A parent whose two workers wait for ever; they hold the standard output, which ends when the last of them has.
WAITING = """
import os, signal
from medseg.stages.intake.crew import Crew
def work(number):
    os.write(1, b"%d\\n" % os.getpid())
    signal.pause()
crew = Crew(work, 2)
asked = [crew.submit(number) for number in range(6)]
try:
    asked[0].result()
finally:
    crew.end()
"""

# The index over a data set in a process without torch: its arguments are data, out, threads, and a case to die over.
INDEX = """
import json, os, signal, sys
from pathlib import Path
from medseg.files.layouts.find import DataSettings
from medseg.stages.index import IndexSettings, run
from medseg.stages.intake import looking
from medseg.values.machine import Machine
data, out, threads, deadly = sys.argv[1:]
parent, seen = os.getpid(), looking.examine
def examine(case, *others):
    if case.case == deadly and os.getpid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
    if os.getpid() != parent:
        (Path(out).parent / "forked").touch()
    return seen(case, *others)
looking.examine = examine
Path(out).mkdir()
settings = DataSettings(labels={"core": 1, "rim": 2}, regions={"core": (1,), "tumour": (1, 2)})
run(IndexSettings(data=settings), {"data": Path(data)}, Path(out), Machine(threads=int(threads), store=out + ".store"))
"""


def started(program: str, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def indexed(data: Path, out: Path, threads: int, deadly: str = "") -> dict[str, bytes]:
    """Run the index in a process of its own and return all files that it made."""
    done = started(INDEX, str(data), str(out), str(threads), deadly)
    _, errors = done.communicate(timeout=120)
    assert (done.returncode, errors) == (0, "")
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}


def squared(number: int) -> bytes:
    return json.dumps([number * number, os.getpid()]).encode()


def test_every_answer_comes_back_and_several_processes_gave_them() -> None:
    hired = Crew(squared, 3)
    try:
        found = [json.loads(one.result()) for one in [hired.submit(number) for number in range(200)]]
    finally:
        hired.end()
    assert [square for square, _ in found] == [number * number for number in range(200)]
    processes = {process for _, process in found}
    assert len(processes) == 3
    assert os.getpid() not in processes
    for process in processes:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


def test_answers_larger_than_a_pipe_come_back_whole() -> None:
    hired = Crew(lambda number: bytes([number]) * 1_000_000, 2)
    try:
        assert [one.result() for one in [hired.submit(number) for number in range(5)]] == [
            bytes([number]) * 1_000_000 for number in range(5)
        ]
    finally:
        hired.end()


def test_what_work_raises_is_raised_where_it_is_asked_for() -> None:
    def work(number: int) -> bytes:
        return b"%d" % (12 // number)

    hired = Crew(work, 2)
    try:
        asked = [hired.submit(number) for number in range(5)]
        with pytest.raises(ZeroDivisionError):
            asked[0].result()
        assert [one.result() for one in asked[1:]] == [b"12", b"6", b"4", b"3"]
    finally:
        hired.end()


def test_a_worker_that_is_killed_costs_its_piece_of_work_and_no_other() -> None:
    def work(number: int) -> bytes:
        if number in (3, 4, 11):
            os.kill(os.getpid(), signal.SIGKILL)
        return squared(number)

    hired = Crew(work, 2)
    try:
        asked = [hired.submit(number) for number in range(20)]
        for number, one in enumerate(asked):
            if number in (3, 4, 11):
                with pytest.raises(LostError, match=r"signal 9 \(Killed\)"):
                    one.result()
            else:
                assert json.loads(one.result())[0] == number * number
    finally:
        hired.end()


def test_without_processes_the_work_is_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise BlockingIOError("no more processes")

    monkeypatch.setattr(os, "fork", refuse)
    hired = Crew(squared, 2)
    try:
        found = [json.loads(one.result()) for one in [hired.submit(number) for number in range(5)]]
    finally:
        hired.end()
    assert found == [[number * number, os.getpid()] for number in range(5)]


def test_workers_end_with_a_parent_that_is_killed() -> None:
    parent = started(WAITING)
    assert parent.stdout
    workers = {int(parent.stdout.readline()) for _ in range(2)}
    assert parent.pid not in workers
    os.kill(parent.pid, signal.SIGKILL)
    parent.communicate(timeout=60)
    assert parent.returncode == -signal.SIGKILL


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_group_ends_workers_in_the_middle_of_their_work(number: signal.Signals) -> None:
    parent = started(f"import signal; signal.signal({int(number)}, signal.default_int_handler)\n{WAITING}")
    assert parent.stdout
    workers = {int(parent.stdout.readline()) for _ in range(2)}
    os.killpg(parent.pid, number)
    _, errors = parent.communicate(timeout=60)
    assert errors.count("KeyboardInterrupt") == 1, "the workers say nothing"
    for worker in workers:
        with pytest.raises(ProcessLookupError):
            os.kill(worker, 0)


def test_a_copy_is_safe_only_where_no_thread_but_a_daemon_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    others = [thread for thread in threading.enumerate() if thread is not threading.current_thread()]
    monkeypatch.setattr(threading, "enumerate", lambda: [threading.current_thread()])
    assert can_fork()
    monkeypatch.setitem(sys.modules, "torch", Any)
    assert not can_fork()
    monkeypatch.delitem(sys.modules, "torch")
    for daemon in (True, False):
        other = threading.Thread(daemon=daemon)
        monkeypatch.setattr(threading, "enumerate", lambda other=other: [threading.current_thread(), other, *others])
        assert can_fork() is (daemon and all(one.daemon for one in others))


def test_few_pieces_are_left_to_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "can_fork", lambda: True)
    for pieces, most, forked in ((16, 2, False), (17, 2, True), (17, 1, False)):
        with shared_out(squared, pieces, most) as ask:
            found = [ask(number) for number in range(pieces)]
            processes = {json.loads(one.result())[1] for one in found}
        assert (os.getpid() not in processes) is forked


def test_processes_make_the_same_index_as_one_thread(tmp_path: Path) -> None:
    root = made(tmp_path / "data", *(f"case_{number:02}" for number in range(20)))
    (root / "case_07/case_07_t1.nii.gz").write_bytes(b"damaged")
    assert indexed(root, tmp_path / "alone", 1) == indexed(root, tmp_path / "shared", 2)
    assert (tmp_path / "forked").exists()


def test_a_look_that_is_killed_refuses_its_case_and_is_not_remembered(tmp_path: Path) -> None:
    root = made(tmp_path / "data", *(f"case_{number:02}" for number in range(20)))
    sound = indexed(root, tmp_path / "sound", 2)
    (tmp_path / "out.store").mkdir()
    found = indexed(root, tmp_path / "out", 2, "case_07")
    cases = {one["case"]: one["refused"] for one in json.loads(found["cases.json"])["cases"]}
    assert [case for case, reason in cases.items() if reason] == ["case_07"]
    assert cases["case_07"] == {
        "subject": "case_07",
        "rule": "looking at the case comes to an end",
        "value": "a process that was ended by signal 9 (Killed)",
        "remedy": "use a machine with more memory, or cut the scan",
    }
    for path in (tmp_path / "out").rglob("*"):
        path.unlink() if path.is_file() else None
    (tmp_path / "out/cases").rmdir()
    (tmp_path / "out").rmdir()
    assert indexed(root, tmp_path / "out", 2) == sound
