"""Seconds per training step on two CPU cores, beside nnU-Net's own trainer, in the same run.

    python benchmarks/training.py benchmarks/results/training.json --peer PEER/bin/python --data TASK04 [--rounds 4]

PEER is an environment with nnunetv2, TASK04 the hippocampus data of the Medical Segmentation Decathlon. nnU-Net plans
and preprocesses the data; everybody trains on what came out, with its patch, batch, widths, optimiser and loss. Each
contestant runs in a process of its own and stands still while another one is measured; rounds alternate. nnU-Net's
loader is given no process, and two; the better one counts.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rounds import Contestant, environment, machine

from medseg.files.prepared import PreparedCase, write_prepared
from medseg.ops.seeds import draw_seeds

HERE = Path(__file__).resolve().parent
LOOP, BARE = "medseg: whole loop", "medseg: forward and backward"
PEERS = ("nnU-Net: loader in its process", "nnU-Net: loader of 2 processes")
MOST_OVER_BARE = 1.05


def prepare(folder: Path, peer: str, data: Path) -> dict[str, Any]:
    """Let nnU-Net plan and preprocess the data, write its cases as ours too, and return the plan; once per folder."""
    if (folder / "prepared").is_dir():
        return json.loads((folder / "plan.json").read_text())
    command = [peer, str(HERE / "training_nnunet.py"), str(folder), "prepare", str(data)]
    subprocess.run(command, check=True, env=environment(2), stdout=subprocess.DEVNULL)
    for path in sorted((folder / "arrays").glob("*_image.npy")):
        name = path.name.removesuffix("_image.npy")
        image, classes = np.load(path), np.load(path.with_name(f"{name}_classes.npy"))
        seeds = draw_seeds(name, classes, 0)
        write_prepared(folder / "prepared" / name, PreparedCase(name, image, classes, seeds, (1.0, 1.0, 1.0), {}))
    return json.loads((folder / "plan.json").read_text())


def commands(folder: Path, peer: str, words: Sequence[str]) -> dict[str, list[str]]:
    """Return what starts each contestant."""
    own = [sys.executable, str(HERE / "training_own.py"), str(folder)]
    other = [peer, str(HERE / "training_nnunet.py"), str(folder)]
    ours = {LOOP: [*own, "loop", *words], BARE: [*own, "bare", *words]}
    return ours | {PEERS[0]: [*other, "0"], PEERS[1]: [*other, "2"]}


def measure(folder: Path, asked: argparse.Namespace) -> dict[str, Any]:
    """Return seconds per step of every contestant, round by round, their medians, and what the goals are about."""
    plan = prepare(folder, asked.peer, asked.data)
    running: list[Contestant] = []
    try:
        for name, command in commands(folder, asked.peer, asked.machine).items():
            running.append(Contestant(name, command, folder, threads=2))  # it has taken its first step
        found: dict[str, list[float]] = {one.name: [] for one in running}
        work: dict[str, list[float]] = {one.name: [] for one in running}
        for _ in range(asked.rounds):
            for one in running:
                pace, each = one.turn(1)
                found[one.name].append(round(plan["batch"] / pace, 3))
                work[one.name].append(round(plan["batch"] * each, 3))
    finally:
        for one in running:
            one.end()
    medians = {name: statistics.median(values) for name, values in found.items()}
    best = min(medians[name] for name in PEERS)
    shares = {"over_bare": medians[LOOP] / medians[BARE], "over_peer": medians[LOOP] / best}
    processor = {name: statistics.median(values) for name, values in work.items()}
    return {"plan": plan, "seconds_per_step": medians, "processor_seconds": processor, "rounds": found, **shares}


def table(found: dict[str, Any]) -> str:
    """Return the table in Markdown."""
    rows = ["| seconds per step | median | smallest | largest | processor |", "|---|---|---|---|---|"]
    for name, values in found["rounds"].items():
        numbers = (found["seconds_per_step"][name], min(values), max(values), found["processor_seconds"][name])
        rows.append(f"| {name} | {' | '.join(f'{number:.2f}' for number in numbers)} |")
    rows.append(
        f"\nThe loop takes {found['over_bare']:.3f} of the bare passes and {found['over_peer']:.3f} of nnU-Net."
    )
    return "\n".join(rows)


def main(words: Sequence[str]) -> None:
    """Measure, print the table and write the JSON; ends with 1 where a goal was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--peer", required=True, help="Python of an environment with nnunetv2")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--folder", type=Path, help="where to keep the prepared data, or to find it again")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--machine", nargs="*", default=[], help="settings of our machine, e.g. layout=channels_first")
    asked = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as scratch:
        found = {
            "machine": machine(asked.peer, ("torch",), ("nnunetv2", "torch")),
            **measure(asked.folder or Path(scratch), asked),
        }
    print(table(found))
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text(json.dumps(found, indent=1) + "\n")
    if found["over_bare"] > MOST_OVER_BARE or found["over_peer"] > 1:
        raise SystemExit("a goal was missed")


if __name__ == "__main__":
    main(sys.argv[1:])
