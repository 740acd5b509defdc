"""Several processes against one: the same samples, the same losses, and going on after one of them was lost.

    python benchmarks/ranks.py FOLDER benchmarks/results/ranks.json [override ...]

The phantom experiment is prepared once; every row trains from a copy of that store. `in parts` is one process that
computes its batch as two halves (machine.microbatch): what rounding alone makes of the losses. `two processes` runs
twice. In `lost`, rank 1 is killed (SIGKILL) at a random step; the rows below it continue on one and on three processes.
Needs no network; both processes of a pair share the CPU with two threads in all.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import platform
import random
import shutil
import signal
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

import torch
import yaml

from medseg.engines.ranks import Ranks
from medseg.engines.sampling.supplying.batches import Sampler, batches
from medseg.experiment.settings import read_settings
from medseg.files.prepared import read_prepared
from medseg.values.plan import Plan

STEPS = 40
OVERRIDES = (
    f"training.steps={STEPS}", "training.optimiser=sgd", "training.learning_rate=0.001", "patches.batch=4",
    "patches.size=[24,24,24]", "data.subjects=8", "network.width=8", "network.levels=3", "machine.device=cpu",
    "name=run",
)  # fmt: skip
SAVING = "machine.checkpoint_seconds=0.5"
CHECKED_STEPS = 20
ROWS = {
    "one process, in parts": "parts",
    "two processes": "two",
    "two, one lost, then one": "lost",
    "two, one lost, then three": "three",
}


def command(processes: int, *words: str) -> list[str]:
    """Return the command line of medseg on so many processes."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    threads = f"machine.threads={max(1, 2 // processes)}"
    return [sys.executable, *(launcher if processes > 1 else []), "-m", "medseg", *words, threads]


def train(folder: Path, processes: int, overrides: list[str], *more: str) -> float:
    """Train in `folder` to the end; return the seconds."""
    began = time.monotonic()
    done = subprocess.run(
        command(processes, "train", *overrides, *more), cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{folder.name} ended with {done.returncode}\n{done.stderr}")
    return time.monotonic() - began


def losses(folder: Path) -> list[float]:
    """Return the loss of every step."""
    with (folder / "runs/run/curve.csv").open() as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


def digest(folder: Path) -> str:
    """Return the SHA-256 of weights and curve."""
    files = ("runs/run/model/weights.safetensors", "runs/run/curve.csv")
    return hashlib.sha256(b"".join((folder / name).read_bytes() for name in files)).hexdigest()


def same_samples(folder: Path) -> bool:
    """Compare the batches that two and three processes are dealt with those of one, byte for byte."""
    settings, _ = read_settings(yaml.safe_load((folder / "runs/run/settings.yaml").read_text()))
    (plan_file,) = folder.glob(".medseg/fingerprint/*/plan.json")
    plan = Plan.model_validate_json(plan_file.read_text())
    cases = sorted((read_prepared(place) for place in folder.glob(".medseg/prepare/*")), key=lambda case: case.case)
    sampler, cpu = Sampler(settings.seed, cases, plan, settings.patches, settings.augment), torch.device("cpu")
    for world in (2, 3):
        whole, shares = batches(sampler, cpu), [batches(sampler, cpu, 1, Ranks(rank, world)) for rank in range(world)]
        for _ in range(CHECKED_STEPS):
            one, dealt = next(whole), [next(share) for share in shares]
            if not torch.equal(one.images, torch.cat([share.images for share in dealt])):
                return False
            if not torch.equal(one.classes, torch.cat([share.classes for share in dealt])):
                return False
    return True


def lose_one(folder: Path, overrides: list[str]) -> dict[str, Any]:
    """Start two processes, kill rank 1 at a random step, and return what then happened."""
    step = random.SystemRandom().randint(STEPS // 4, STEPS // 2)
    process = subprocess.Popen(
        command(2, "train", *overrides, SAVING), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while not any(log.read_bytes().count(b"\n") >= step for log in folder.glob(".medseg/drafts/train-*/log.jsonl")):
        if process.poll() is not None:
            raise SystemExit(f"it ended before it was killed\n{process.communicate()[1]}")
        time.sleep(0.02)
    began = time.monotonic()
    os.kill(rank_one(process.pid), signal.SIGKILL)
    _, errors = process.communicate()
    said = [line for line in errors.splitlines() if line.startswith("error: ")]
    kept = sorted(place.name for place in folder.glob(".medseg/drafts/train-*/checkpoint/step-*"))
    return {
        "seconds_until_all_ended": round(time.monotonic() - began, 2),
        "exit_code": process.returncode,
        "said": said,
        "checkpoints": kept,
    }


def rank_one(parent: int) -> int:
    """Return the process number of rank 1 below torchrun."""
    for number in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        if b"\0RANK=1\0" in Path(f"/proc/{number}/environ").read_bytes():
            return int(number)
    raise SystemExit("rank 1 has not started")


def runs(folder: Path, overrides: list[str]) -> dict[str, Any]:
    """Do all runs and return what was found."""
    base, names = folder / "base", ("one", "parts", "two", "again", "lost")
    base.mkdir(parents=True)
    subprocess.run(command(1, "prepare", *overrides), cwd=base, check=True, capture_output=True)
    for name in names:
        shutil.copytree(base, folder / name)
    seconds = {"one": train(folder / "one", 1, overrides), "two": train(folder / "two", 2, overrides)}
    train(folder / "parts", 1, overrides, "machine.microbatch=2")
    train(folder / "again", 2, overrides)
    lost = lose_one(folder / "lost", overrides)
    shutil.copytree(folder / "lost", folder / "three")
    train(folder / "lost", 1, overrides)
    train(folder / "three", 3, overrides)
    whole = losses(folder / "one")
    rows = {
        title: max(abs(a - b) for a, b in zip(whole, losses(folder / name), strict=True))
        for title, name in ROWS.items()
    }
    return {
        "largest_difference": rows,
        "same_samples": same_samples(folder / "one"),
        "same_bytes_twice": digest(folder / "two") == digest(folder / "again"),
        "lost": lost,
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
    }


def main(folder: Path, out: Path, overrides: list[str]) -> None:
    """Do all runs, print the table and write the JSON."""
    found = runs(folder, overrides)
    rows, lost = found["largest_difference"], found["lost"]
    print(f"| against one process, {STEPS} steps | largest difference of a loss |\n|---|---|")
    for title, difference in rows.items():
        print(f"| {title} | {difference:.1e} |")
    print(f"\nsame samples: {found['same_samples']}; two processes twice, same bytes: {found['same_bytes_twice']}")
    print(f"after the loss all had ended in {lost['seconds_until_all_ended']} s, saying: {' '.join(lost['said'])}")
    place = f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"
    record = {"date": date.today().isoformat(), "machine": place, "torch": torch.__version__}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({**record, "steps": STEPS, "overrides": overrides, **found}, indent=1) + "\n")
    sound = max(rows.values()) <= 1e-5 and len(lost["said"]) == lost["exit_code"] == 1
    if not (sound and found["same_samples"] and found["same_bytes_twice"]):
        raise SystemExit("not as it should be")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]), [*OVERRIDES, *sys.argv[3:]])
