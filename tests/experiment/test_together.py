"""Tasks done by two real processes: what became of each case is known to both, and one speaks."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from medseg.experiment.sources import DataSource
from medseg.pipeline.store import Source

SCRIPT = """
import json, os, sys
from pathlib import Path
from medseg.engines.joining import joined, ranks_of
from medseg.engines.leaving import Silent
from medseg.experiment.together import runner_of
from medseg.pipeline.store import Source
from medseg.stages.phantom import PhantomSettings
from medseg.stages.score import ScoreStage
from medseg.values.error import Refusal
from medseg.values.machine import Machine
lines, found = [], {}
try:
    with joined(ranks_of(os.environ)) as ranks:
        own = runner_of(ranks, Machine(store="store"), {}, lines.append)
        text = own.agreed(lambda: f"worked out by {ranks.rank}")
        made = own("phantom", PhantomSettings(subjects=1), {})
        tasks = {name: {} for name in ("d", "b", "a", "c", "e")}
        each = own.each("score", ScoreStage(), tasks)
        told = [[line.stage, line.case, line.status] for line in lines]
        found = {"text": text, "done": list(each.done), "failed": each.failed, "made": made.folder.name, "lines": told}
        print(json.dumps(found), flush=True)
        scheme = {"scheme": Source(Path("scheme.json"), "digest")}
        own.each("score", ScoreStage(), {"a": {}, "b": scheme})
except Refusal as refusal:
    print(json.dumps(["says", refusal.exit_code, str(refusal)]), flush=True)
    os._exit(0)
except Silent as silent:
    print(json.dumps(["silent", silent.reason.exit_code, str(silent.reason)]), flush=True)
    os._exit(0)
"""
SCHEME = {"labels": {"healthy": 1}, "regions": {"healthy": [1]}, "tumour": "healthy"}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[list[Any]]:
    """What both processes printed, the leader first."""
    folder = tmp_path_factory.mktemp("together")
    (folder / "scheme.json").write_text(json.dumps(SCHEME), encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}
    both = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT], env={**shared, "RANK": str(rank)}, cwd=folder,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for rank in range(2)
    ]  # fmt: skip
    ended = [process.communicate(timeout=120) for process in both]
    assert all(len(output.splitlines()) == 2 for output, _ in ended), ended
    return [[json.loads(line) for line in output.splitlines()] for output, _ in ended]


def test_the_outcome_is_known_to_both(told: list[list[Any]]) -> None:
    leader, other = told[0][0], told[1][0]
    assert leader["text"] == other["text"] == "worked out by 0"
    assert leader["made"] == other["made"]
    assert leader["done"] == other["done"] == []
    assert leader["failed"] == other["failed"] == dict.fromkeys(["d", "b", "a", "c", "e"], "KeyError: 'scheme'")


def test_the_leader_records_every_task_once(told: list[list[Any]]) -> None:
    cases = [["score", case, "failed"] for case in ("d", "b", "a", "c", "e")]
    assert told[0][0]["lines"] == [["phantom", "", "run"], *cases]


def test_a_wrong_setting_met_by_one_is_refused_by_both_and_said_once(told: list[list[Any]]) -> None:
    (first, *what), (second, *same) = told[0][1], told[1][1]
    assert [first, second] == ["says", "silent"]
    assert what == same
    assert what[0] == 2
    assert what[1].startswith("data.regions.healthy: no region has the name of a report row, got healthy")


def test_a_source_of_data_survives_as_text() -> None:
    source = DataSource(Source(Path("a folder"), "1" * 64), Source(Path("store/é.json"), "1" * 64))
    assert DataSource.read(source.text) == source
