"""Thirty kills (SIGKILL) at random moments of one run, and the bytes that come out beside those of an undisturbed run.

    python benchmarks/kills.py FOLDER benchmarks/results/kills.json [override ...]

The undisturbed run and the killed one have stores of their own. The first kills come while data are made and prepared,
the others at a random moment after training went on, each time from the same command. In every second attempt a
checkpoint is written after every step, and the kill comes within milliseconds of the beginning of one. At the end
weights (best and last, averaged and raw), curve, scores and predictions are compared byte for byte.
"""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

OVERRIDES = (
    "data.subjects=8", "training.steps=240", "training.validate_every=40", "network.width=6", "network.levels=3",
    "patches.size=[24,24,24]", "machine.device=cpu", "machine.threads=1",
)  # fmt: skip
COMPARED = (
    "report/scores.csv", "report/summary.json", "model/weights.safetensors", "model/card.json", "curve.csv",
    "weights/best.safetensors", "weights/best_raw.safetensors", "weights/last.safetensors",
    "weights/last_raw.safetensors",
)  # fmt: skip
KILLS, EARLY = 30, 4
SECONDS_EARLY, SECONDS_IN_TRAINING, SECONDS_IN_A_CHECKPOINT = (0.5, 6.0), (0.0, 0.8), (0.0, 0.015)
CHECKPOINTS = ("1e-9", "0.3")  # seconds between them: after every step, and now and then


def command(overrides: list[str], seconds: str) -> list[str]:
    own = ["name=run", "machine.store=store", f"machine.checkpoint_seconds={seconds}"]
    return [sys.executable, "-m", "medseg", "run", *OVERRIDES, *own, *overrides]


def start(folder: Path, overrides: list[str], seconds: str) -> subprocess.Popen[bytes]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "output.txt").open("ab") as output:
        return subprocess.Popen(command(overrides, seconds), cwd=folder, stdout=output, stderr=output)


def finish(folder: Path, overrides: list[str]) -> float:
    """Run to the end; return the seconds."""
    began = time.monotonic()
    if start(folder, overrides, "60").wait() != 0:
        raise SystemExit((folder / "output.txt").read_text(errors="replace")[-2000:])
    return time.monotonic() - began


def kill_once(folder: Path, overrides: list[str], early: bool, seconds: str, moments: random.Random) -> dict[str, Any]:
    """Start the run and kill it; return what it was doing."""
    before, began = progress(folder), time.monotonic()
    process = start(folder, overrides, seconds)
    while not early and process.poll() is None and progress(folder) == before:
        time.sleep(0.02)
    time.sleep(moments.uniform(*(SECONDS_EARLY if early else SECONDS_IN_TRAINING)))
    if not early and seconds == CHECKPOINTS[0]:
        await_draft(folder, process)
        time.sleep(moments.uniform(*SECONDS_IN_A_CHECKPOINT))
    process.kill()
    code = process.wait()
    drafts = list((folder / "store/drafts").glob("*"))
    training = [draft for draft in drafts if draft.name.startswith("train-")]
    return {
        "seconds": round(time.monotonic() - began, 2), "checkpoint_seconds": seconds, "killed": code == -9,
        "step": last_step(folder), "in_training": bool(training),
        "in_a_checkpoint": any((draft / "checkpoint/draft").exists() for draft in training),
    }  # fmt: skip


def await_draft(folder: Path, process: subprocess.Popen[bytes]) -> None:
    """Wait until a checkpoint is being written; gives up after a few seconds, or when the process has ended."""
    end = time.monotonic() + 5
    while time.monotonic() < end and process.poll() is None:
        if any(folder.glob("store/drafts/train-*/checkpoint/draft")):
            return
        time.sleep(0.0005)


def progress(folder: Path) -> tuple[int, int]:
    """Return what changes as soon as a training goes on: size and time of its log."""
    logs = list((folder / "store/drafts").glob("train-*/log.jsonl"))
    states = [log.stat() for log in logs]
    return sum(state.st_size for state in states), sum(state.st_mtime_ns for state in states)


def last_step(folder: Path) -> int:
    curves = list((folder / "store/drafts").glob("train-*/curve.csv"))
    return max((curve.read_bytes().count(b"\n") for curve in curves), default=0)


def digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every compared file."""
    run = folder / "runs" / "run"
    names = [*COMPARED, *sorted(str(path.relative_to(run)) for path in run.glob("predictions/*"))]
    return {name: hashlib.sha256((run / name).read_bytes()).hexdigest() for name in names}


def main(folder: Path, out: Path, overrides: list[str]) -> None:
    """Do both runs, print the table and write the JSON."""
    moments, began = random.SystemRandom(), time.monotonic()
    whole = finish(folder / "whole", overrides)
    kills = [
        kill_once(folder / "killed", overrides, number < EARLY, CHECKPOINTS[number % 2], moments)
        for number in range(KILLS)
    ]
    last = finish(folder / "killed", overrides)
    expected, found = digests(folder / "whole"), digests(folder / "killed")
    wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    counts = {name: sum(kill[name] for kill in kills) for name in ("killed", "in_training", "in_a_checkpoint")}
    rows = {
        "kills": counts["killed"], "of them in training": counts["in_training"],
        "of them while a checkpoint was written": counts["in_a_checkpoint"],
        "files compared": len(expected), "files that differ": len(wrong),
    }  # fmt: skip
    print("| | |\n|---|---|\n" + "\n".join(f"| {name} | {value} |" for name, value in rows.items()))
    total = round(time.monotonic() - began, 1)
    print(f"undisturbed {whole:.1f} s, all together {total} s")
    out.parent.mkdir(parents=True, exist_ok=True)
    record = {"overrides": [*OVERRIDES, *overrides], "seconds": total, "undisturbed_seconds": whole,
              "last_seconds": last, **counts, "compared": expected, "differ": wrong, "kills": kills}  # fmt: skip
    out.write_text(json.dumps(record, indent=1) + "\n")
    if wrong or counts["killed"] < KILLS:
        raise SystemExit(f"differ: {wrong}" if wrong else f"only {counts['killed']} of {KILLS} came before the end")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]), sys.argv[3:])
