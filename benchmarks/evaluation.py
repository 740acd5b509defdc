"""Seconds per case of all our measures beside MONAI and surface-distance, and of a folder of small scans.

    python benchmarks/evaluation.py benchmarks/results/evaluation.json [--rounds 5] [--dry-run]

Four scans of 240x240x155 voxels with tumours like those of BraTS (three regions, small lesions beside the large one,
false ones in the prediction) lie in memory. We fill every column of scores.csv: overlap, surfaces, lesions in the rule
of BraTS, panoptic and autoPET measures, for the regions, healthy tissue and all classes. MONAI gives Dice, HD95 and NSD
of the regions (and in a row of its own all it has of our columns), surface-distance its three measures. Each has two
cores, MONAI as two processes or as two threads, whichever is faster. Each contestant runs in a process of its own and
stands still while another one is measured; the order of the rounds alternates; imports are not timed. Before, all are
asked for the same numbers.

Then `medseg evaluate` scores 110 scans of the size of a hippocampus, as a command, start included.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from evaluation_contestant import WORK, read_cases
from rounds import Contestant, environment
from scipy.ndimage import gaussian_filter, zoom

from medseg.files.nifti.writing import write_mask
from medseg.values.volume import Volume

HERE = Path(__file__).resolve().parent
GOAL_SHARE, GOAL_SECONDS = 0.5, 10.0
CORES = 2
SETUPS = (
    ("medseg", "medseg", CORES),
    ("MONAI: Dice, HD95, NSD, 2 processes", "MONAI", CORES),
    ("MONAI: Dice, HD95, NSD, 2 threads", "MONAI", 1),
    ("MONAI: all it has, 2 processes", "MONAI all", CORES),
    ("surface-distance, 2 processes", "surface-distance", CORES),
)


@dataclass(frozen=True)
class Size:
    """How large everything is: scans in memory, and small scans in files."""

    shape: tuple[int, int, int] = (240, 240, 155)
    cases: int = 4
    small: tuple[int, int, int] = (36, 50, 35)
    small_cases: int = 110


SMALL = Size((60, 60, 40), 2, (18, 25, 17), 6)


def tumour(shape: Sequence[int], generator: np.random.Generator, shift: np.ndarray, rough: np.ndarray) -> np.ndarray:
    """Return nested labels 2, 1, 3 around a centre, with small satellites; `rough` bends the borders."""
    grid = np.meshgrid(*(np.linspace(-1, 1, size, dtype=np.float32) for size in shape), indexing="ij")
    distance = np.sqrt(sum((axis - place) ** 2 for axis, place in zip(grid, shift, strict=True))) + rough
    labels = np.select([distance < 0.12, distance < 0.22, distance < 0.36], [1, 3, 2], 0).astype(np.uint8)
    for _ in range(6):
        centre = generator.uniform(-0.6, 0.6, 3)
        near = (
            sum((axis - place) ** 2 for axis, place in zip(grid, centre, strict=True))
            < generator.uniform(0.02, 0.06) ** 2
        )
        labels[near & (labels == 0)] = generator.choice([2, 3])
    return labels


def texture(shape: Sequence[int], generator: np.random.Generator) -> np.ndarray:
    """Return smooth noise of spread 0.05."""
    coarse = gaussian_filter(generator.standard_normal([-(-size // 4) + 1 for size in shape]), 1.5)
    fine = zoom(coarse, 4, order=1)[tuple(slice(size) for size in shape)]
    return (0.05 * fine / fine.std()).astype(np.float32)


def write_cases(size: Size, folder: Path) -> None:
    """Write the large cases: in the prediction the same tumour, a little moved and bent, and other satellites."""
    for number in range(size.cases):
        generator = np.random.default_rng(number)
        centre, rough = generator.uniform(-0.3, 0.3, 3), texture(size.shape, generator)
        own, same = np.random.default_rng([number, 1]), np.random.default_rng([number, 1 + number % 2])
        moved = centre + generator.normal(0, 0.01, 3)
        np.save(folder / f"truth_{number}.npy", tumour(size.shape, own, centre, rough))
        bent = rough + 0.5 * texture(size.shape, generator)
        np.save(folder / f"predicted_{number}.npy", tumour(size.shape, same, moved, bent))


def agreement(folder: Path) -> dict[str, float]:
    """Return the largest gap between what others and we find in the first case; refuses to go on where it is large.

    MONAI weighs voxels of the border and not their areas, so of MONAI the Dice alone is compared.
    """
    cases = read_cases(folder)[:1]
    found = {name: WORK[name](cases)(0) for name in ("medseg", "MONAI", "surface-distance")}
    pairs = {"Dice of MONAI": ("MONAI", "dice"), "HD95 of surface-distance": ("surface-distance", "hd95_mm")}
    pairs["NSD of surface-distance"] = ("surface-distance", "nsd")
    gaps = {
        told: max(abs(a - b) for a, b in zip(found["medseg"][name], found[who][name], strict=True))
        for told, (who, name) in pairs.items()
    }
    if max(gaps.values()) > 1e-6:
        raise SystemExit(f"not the same numbers: {gaps}")
    return gaps


def measure(folder: Path, rounds: int) -> dict[str, list[float]]:
    """Return seconds per case of every contestant, round by round; odd rounds go backwards."""
    running: list[Contestant] = []
    try:
        for name, who, processes in SETUPS:
            command = [sys.executable, str(HERE / "evaluation_contestant.py"), who, str(folder), str(processes)]
            running.append(Contestant(name, command, folder, 1 if processes > 1 else CORES))
        seconds: dict[str, list[float]] = {one.name: [] for one in running}
        for number in range(rounds):
            for one in running if number % 2 == 0 else running[::-1]:
                seconds[one.name].append(1 / one.turn(1)[0])
    finally:
        for one in running:
            one.end()
    return seconds


def small_scans(size: Size, folder: Path) -> None:
    """Write truth and prediction of many scans with two neighbouring labels."""
    grid = np.meshgrid(*(np.linspace(-1, 1, edge) for edge in size.small), indexing="ij")
    for number in range(size.small_cases):
        for side in ("truth", "predictions"):
            generator = np.random.default_rng([number, len(side)])
            distance = sum((axis / edge) ** 2 for axis, edge in zip(grid, (0.4, 0.7, 0.35), strict=True))
            inside = distance + 4 * texture(size.small, generator) < 1
            labels = np.where(inside, np.where(grid[1] > generator.normal(0, 0.05), 1, 2), 0).astype(np.uint8)
            write_mask(folder / side / f"case_{number:03d}.nii.gz", Volume(labels[None], np.eye(4)))


def command_seconds(size: Size, folder: Path, rounds: int) -> list[float]:
    """Return how long the command takes, from its start to its end."""
    small_scans(size, folder)
    seconds = []
    for number in range(rounds):
        words = [f"predictions={folder / 'predictions'}", f"truth={folder / 'truth'}", f"out={folder / str(number)}"]
        began = time.perf_counter()
        command = [sys.executable, "-m", "medseg", "evaluate", *words]
        done = subprocess.run(command, capture_output=True, text=True, env=environment(CORES))
        seconds.append(time.perf_counter() - began)
        if done.returncode != 0:
            raise SystemExit(f"medseg evaluate ended with {done.returncode}: {done.stderr[-3000:]}")
        rows = (folder / str(number) / "scores.csv").read_text(encoding="utf-8").splitlines()
        if len(rows) < size.small_cases:
            raise SystemExit(f"{len(rows)} rows of {size.small_cases} cases")
    return seconds


def judged(seconds: dict[str, list[float]], command: list[float]) -> dict[str, Any]:
    """Return medians and whether the goals were reached."""
    medians = {name: round(statistics.median(values), 4) for name, values in seconds.items()}
    best = min(value for name, value in medians.items() if name.startswith("MONAI: Dice"))
    share, whole = medians["medseg"] / best, statistics.median(command)
    return {
        "seconds_per_case": medians,
        "share_of_monai": round(share, 3),
        "command_seconds": round(whole, 2),
        "goals": {"share_of_monai": GOAL_SHARE, "command_seconds": GOAL_SECONDS},
        "reached": {"share_of_monai": share <= GOAL_SHARE, "command_seconds": whole <= GOAL_SECONDS},
        "rounds": {"seconds_per_case": seconds, "command_seconds": command},
    }


def table(found: dict[str, Any]) -> str:
    """Return the table in Markdown."""
    rows = [("two cores", "seconds per case"), ("---", "---")]
    rows += [(name, f"{value:.2f}") for name, value in found["seconds_per_case"].items()]
    rows += [("**share of MONAI's Dice + HD95 + NSD**", f"**{found['share_of_monai']:.2f}**")]
    rows += [("`medseg evaluate`, all small scans, whole command", f"{found['command_seconds']:.1f}")]
    return "\n".join(f"| {first} | {second} |" for first, second in rows)


def main(words: Sequence[str]) -> None:
    """Measure, print the table and write the JSON; ends with 1 where a goal was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dry-run", action="store_true", help="small scans, one round: shows that it runs")
    given = parser.parse_args(words)
    size, rounds = (SMALL, 1) if given.dry_run else (Size(), given.rounds)
    with tempfile.TemporaryDirectory() as place:
        large, small = Path(place) / "large", Path(place) / "small"
        large.mkdir()
        write_cases(size, large)
        gaps = agreement(large)
        found = judged(measure(large, rounds), command_seconds(size, small, min(rounds, 3)))
    packages = ("medseg", "numpy", "scipy", "torch", "monai", "surface-distance")
    versions = {name: metadata.version(name) for name in packages}
    found |= {"agreement": gaps, "shape": size.shape, "small_cases": size.small_cases, "versions": versions}
    found |= {"cores": CORES, "python": platform.python_version(), "dry_run": given.dry_run}
    print(table(found))
    given.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if not given.dry_run and not all(found["reached"].values()):
        raise SystemExit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
