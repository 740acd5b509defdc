"""A contestant of the evaluation benchmark: scores the same cases over and over, see `evaluation`.

    python benchmarks/evaluation_contestant.py NAME FOLDER PROCESSES

FOLDER holds truth_N.npy and predicted_N.npy, label maps uint8. NAME is one of `WORK`. With one process it is this one,
which may use all threads of torch; with more, each case is scored in one of them, by one thread.
"""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from rounds import serve

REGIONS = {"enhancing": (3,), "core": (1, 3), "whole": (1, 2, 3)}
TOLERANCE_MM = 1.0
Cases = list[tuple[np.ndarray, np.ndarray]]


def main(name: str, folder: Path, processes: int) -> None:
    """Answer how long it takes to score every case once."""
    cases = len(list(folder.glob("truth_*.npy")))
    if processes == 1:
        work = WORK[name](read_cases(folder))
        serve(lambda: len([work(case) for case in range(cases)]), ahead=0)
        return
    with multiprocessing.get_context("spawn").Pool(processes, prepare, (name, folder)) as pool:
        serve(lambda: len(pool.map(score, range(cases), chunksize=1)), ahead=0)


def read_cases(folder: Path) -> Cases:
    """Read truth and prediction of every case."""
    return [
        tuple(np.load(folder / f"{side}_{number}.npy") for side in ("truth", "predicted"))
        for number in range(len(list(folder.glob("truth_*.npy"))))
    ]


@cache
def bench() -> dict[str, Callable[[int], Any]]:
    """Return where a worker keeps what it does."""
    return {}


def prepare(name: str, folder: Path) -> None:
    """Begin a worker: import everything, and take the cases into memory."""
    if name.startswith("MONAI"):
        import torch

        torch.set_num_threads(1)
    bench()["work"] = WORK[name](read_cases(folder))


def score(case: int) -> int:
    """Score one case in a worker."""
    bench()["work"](case)
    return 1


def medseg(cases: Cases) -> Callable[[int], dict[str, list[float]]]:
    """Return what fills every column of scores.csv of a case, lesion-wise scores in the rule of BraTS among them."""
    from medseg.ops.scoring.scan import Scan, ScoreSettings, score_scan
    from medseg.values.labels import LabelScheme
    from medseg.values.volume import Volume

    scheme = LabelScheme({"necrosis": 1, "oedema": 2, "enhancing": 3}, REGIONS, "whole")
    settings = ScoreSettings(lesions="glioma", nsd_tolerance_mm=TOLERANCE_MM)
    scans = [
        Scan(Volume(truth[None], np.eye(4)), Volume(guess[None], np.eye(4)), np.ones(truth.shape, np.bool_))
        for truth, guess in cases
    ]

    def work(case: int) -> dict[str, list[float]]:
        rows = {row["region"]: row for row in score_scan(scans[case], scheme, settings).rows}
        return {name: [rows[region][name] for region in REGIONS] for name in ("dice", "hd95_mm", "assd_mm", "nsd")}

    return work


def one_hot(mask: np.ndarray) -> np.ndarray:
    """Return the regions `(1, R, X, Y, Z)` of a label map."""
    return np.stack([np.isin(mask, members) for members in REGIONS.values()])[None]


def monai(cases: Cases, everything: bool = False) -> Callable[[int], dict[str, list[float]]]:
    """Return MONAI's Dice, HD95 and NSD, or all it has of our columns; each gets the type that it is fastest with."""
    import torch
    from monai.metrics.confusion_matrix import compute_confusion_matrix_metric, get_confusion_matrix
    from monai.metrics.hausdorff_distance import compute_hausdorff_distance
    from monai.metrics.meandice import compute_dice
    from monai.metrics.meaniou import compute_iou
    from monai.metrics.surface_dice import compute_surface_dice
    from monai.metrics.surface_distance import compute_average_surface_distance

    masks = [tuple(torch.from_numpy(one_hot(mask)) for mask in pair) for pair in cases]
    numbers = [tuple(mask.float() for mask in pair) for pair in masks]
    edges = [1.0, 1.0, 1.0]

    def work(case: int) -> dict[str, list[float]]:
        (truth, guess), (y, y_pred) = masks[case], numbers[case]
        whole = {"include_background": True}
        found = {
            "dice": compute_dice(y_pred, y, **whole),
            "hd95_mm": compute_hausdorff_distance(y_pred, y, percentile=95, spacing=edges, **whole),
            "nsd": compute_surface_dice(guess, truth, [TOLERANCE_MM] * len(REGIONS), spacing=edges, **whole),
        }
        if everything:
            found["iou"] = compute_iou(y_pred, y, **whole)
            found["assd_mm"] = compute_average_surface_distance(y_pred, y, symmetric=True, spacing=edges, **whole)
            table = get_confusion_matrix(y_pred, y, **whole)
            for name in ("sensitivity", "precision", "specificity"):
                found[name] = compute_confusion_matrix_metric(name, table)
        return {name: values[0].tolist() for name, values in found.items()}

    return work


def surface_distance(cases: Cases) -> Callable[[int], dict[str, list[float]]]:
    """Return the measures of the surface-distance package, as its page shows them."""
    import surface_distance as package

    masks = [tuple(one_hot(mask)[0] for mask in pair) for pair in cases]

    def work(case: int) -> dict[str, list[float]]:
        found: dict[str, list[float]] = {"hd95_mm": [], "nsd": []}
        for truth, guess in zip(*masks[case], strict=True):
            distances = package.compute_surface_distances(truth, guess, spacing_mm=(1.0, 1.0, 1.0))
            found["hd95_mm"].append(float(package.compute_robust_hausdorff(distances, 95)))
            found["nsd"].append(float(package.compute_surface_dice_at_tolerance(distances, TOLERANCE_MM)))
            package.compute_average_surface_distance(distances)
        return found

    return work


WORK: dict[str, Callable[[Cases], Callable[[int], dict[str, list[float]]]]] = {
    "medseg": medseg,
    "MONAI": monai,
    "MONAI all": lambda cases: monai(cases, everything=True),
    "surface-distance": surface_distance,
}

if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
