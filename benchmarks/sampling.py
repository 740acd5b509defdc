"""Patches per second on two CPU cores with `full` augmentation, beside nnU-Net v2 and MONAI, in the same run.

    python benchmarks/sampling.py benchmarks/results/sampling.json --peer PEER/bin/python [--rounds 3]

PEER is an environment with nnunetv2 and batchgeneratorsv2. Four volumes like a brain in four channels and eight small
ones like a hippocampus are generated, and written as our prepared cases, as arrays, and as nnU-Net's files. Each
contestant runs in a process of its own and stands still while another one is measured; rounds alternate; what a
contestant has made ahead is used up before its clock starts. Everyone may work in one way or another (processes,
threads); the best one counts. Beside the speed stands the processor time of a patch, which hardly depends on what else
the computer does.
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rounds import Contestant, environment, machine
from scipy.ndimage import gaussian_filter, zoom

from medseg.files.prepared import PreparedCase, write_prepared
from medseg.ops.seeds import draw_seeds

HERE = Path(__file__).resolve().parent
GOAL = 2.0
PEERS = ("nnU-Net", "MONAI")
SIDES = ("medseg", *PEERS)


@dataclass(frozen=True)
class Data:
    """A data set to generate, and the patches to cut from it: `batches` of `batch` patches are one round."""

    name: str
    shape: tuple[int, int, int, int]
    cases: int
    patch: tuple[int, int, int]
    batch: int
    batches: int


SETS = (
    Data("4 x 128x128x128", (4, 160, 200, 150), 4, (128, 128, 128), 2, 5),
    Data("1 x 40x56x40", (1, 48, 64, 46), 8, (40, 56, 40), 9, 20),
)


def make_case(shape: tuple[int, int, int, int], number: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a normalised image (C, X, Y, Z) of textured tissue on zeros, and its classes: nested blobs 1, 2, 3."""
    generator = np.random.default_rng(number)
    space = shape[1:]
    grid = np.meshgrid(*(np.linspace(-1, 1, size, dtype=np.float32) for size in space), indexing="ij")
    head = sum(axis**2 for axis in grid) < 0.9
    centre = generator.uniform(-0.3, 0.3, 3)
    distance = np.sqrt(sum((axis - place) ** 2 for axis, place in zip(grid, centre, strict=True)))
    distance += 0.15 * _texture(generator, space)
    classes = ((distance < 0.4).astype(np.uint8) + (distance < 0.28) + (distance < 0.15)) * head
    image = np.empty(shape, np.float32)
    for channel in range(shape[0]):
        tissue = _texture(generator, space) + 0.2 * generator.standard_normal(space, np.float32)
        tissue += classes * generator.uniform(0.3, 1.0)
        image[channel] = np.where(head, (tissue - tissue[head].mean()) / tissue[head].std(), 0)
    return image, classes


def _texture(generator: np.random.Generator, space: Sequence[int]) -> np.ndarray:
    """Return smooth noise of spread 1."""
    coarse = gaussian_filter(generator.standard_normal([-(-size // 4) for size in space]), 1.5)
    fine = zoom(coarse, 4, order=1)[tuple(slice(size) for size in space)]
    return (fine / fine.std()).astype(np.float32)


def generate(data: Data, folder: Path, peer: str) -> None:
    """Write the cases in all three forms."""
    (folder / "arrays").mkdir(parents=True)
    for number in range(data.cases):
        image, classes = make_case(data.shape, number)
        name = f"case_{number}"
        np.save(folder / "arrays" / f"{name}_image.npy", image)
        np.save(folder / "arrays" / f"{name}_classes.npy", classes)
        seeds = draw_seeds(name, classes, 0)
        write_prepared(folder / "prepared" / name, PreparedCase(name, image, classes, seeds, (1.0, 1.0, 1.0), {}))
    command = [peer, str(HERE / "sampling_nnunet.py"), str(folder), _words(data.patch), "0", "0", "prepare"]
    subprocess.run(command, check=True, env=environment(2))


def contestants(data: Data, folder: Path, peer: str) -> Iterator[Contestant]:
    """Start one after the other; each has made its first batch."""
    size, batch = _words(data.patch), str(data.batch)

    def one(name: str, python: str, script: str, *words: str, threads: int = 1) -> Contestant:
        command = [python, str(HERE / script), str(folder), size, batch, *words]
        return Contestant(name, command, folder, threads)

    own = sys.executable
    yield one("medseg, 1 process of 1 thread", own, "sampling_own.py", "1", "0")
    yield one("medseg, 1 process of 2 threads", own, "sampling_own.py", "2", "0", threads=2)
    yield one("nnU-Net, 2 processes", peer, "sampling_nnunet.py", "2")
    yield one("nnU-Net, 1 process of 2 threads", peer, "sampling_nnunet.py", "0", threads=2)
    yield one("MONAI, 2 processes", own, "sampling_monai.py", "2")
    yield one("MONAI, 1 process of 2 threads", own, "sampling_monai.py", "0", threads=2)


def measure(data: Data, folder: Path, peer: str, rounds: int) -> dict[str, Any]:
    """Return patches per second of every contestant, round by round, and the medians."""
    generate(data, folder, peer)
    running: list[Contestant] = []
    try:
        running.extend(contestants(data, folder, peer))
        found: dict[str, list[tuple[float, float]]] = {one.name: [] for one in running}
        for _ in range(rounds):
            for one in running:
                found[one.name].append(one.turn(data.batches))
    finally:
        for one in running:
            one.end()
    speeds = {name: round(statistics.median(row[0] for row in rows), 3) for name, rows in found.items()}
    costs = {name: round(statistics.median(row[1] for row in rows), 5) for name, rows in found.items()}
    best = {who: max(speed for name, speed in speeds.items() if name.startswith(who)) for who in SIDES}
    least = {who: min(cost for name, cost in costs.items() if name.startswith(who)) for who in SIDES}
    times = {f"times {who}": round(best["medseg"] / best[who], 2) for who in PEERS}
    shares = {f"processor times {who}": round(least[who] / least["medseg"], 2) for who in PEERS}
    return {"patches_per_second": speeds, "processor_seconds": costs, "rounds": found, **times, **shares}


def table(found: dict[str, Any]) -> str:
    """Return the table in Markdown."""
    sets = [one for name, one in found.items() if name != "machine"]
    names = [name for name in found if name != "machine"]
    rows = [("patches per second (processor ms per patch)", names), ("---", ["---"] * len(names))]
    for who in sets[0]["patches_per_second"]:
        cells = [f"{one['patches_per_second'][who]:.2f} ({1000 * one['processor_seconds'][who]:.1f})" for one in sets]
        rows += [(who, cells)]
    for who in PEERS:
        cells = [f"**{one[f'times {who}']:.1f}** ({one[f'processor times {who}']:.1f})" for one in sets]
        rows += [(f"**times as fast as {who}** (of its processor time)", cells)]
    return "\n".join(f"| {first} | {' | '.join(rest)} |" for first, rest in rows)


def _words(sizes: Sequence[int]) -> str:
    return ",".join(map(str, sizes))


def main(words: Sequence[str]) -> None:
    """Measure both patch sizes, print the table and write the JSON; ends with 1 where the goal was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--peer", required=True, help="Python of an environment with nnunetv2")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", type=int, default=None, help="0 or 1: one of the two patch sizes")
    asked = parser.parse_args(words)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))  # so that no contestant is left standing still
    found: dict[str, Any] = {
        "machine": machine(asked.peer, ("torch", "monai"), ("nnunetv2", "batchgeneratorsv2", "torch"))
    }
    for number, data in enumerate(SETS):
        if asked.only in (None, number):
            with tempfile.TemporaryDirectory() as scratch:
                found[data.name] = measure(data, Path(scratch), asked.peer, asked.rounds)
    print(table(found))
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text(json.dumps(found, indent=1) + "\n")
    if any(one["times nnU-Net"] < GOAL for name, one in found.items() if name != "machine"):
        raise SystemExit(f"the goal of {GOAL} times nnU-Net was missed")


if __name__ == "__main__":
    main(sys.argv[1:])
