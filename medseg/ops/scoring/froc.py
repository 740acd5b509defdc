"""FROC: how many lesions a probability map finds at what price of false alarms, over a fixed ladder of thresholds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from medseg.ops.scoring.components import components
from medseg.ops.scoring.overlap import union_box
from medseg.values.volume import Array, BoolArray, FloatArray

THRESHOLDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
RATES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


@dataclass(frozen=True, slots=True)
class Froc:
    """One scan at each of `THRESHOLDS`: lesions hit, and components of the map that touch no lesion.

    lesions: how many there are.  scans: 1, or 0 where there is no map (the prediction failed): then its lesions are
    missed at every threshold, and nothing is said about false alarms.
    """

    lesions: int
    hits: tuple[int, ...]
    false: tuple[int, ...]
    scans: int = 1


@dataclass(frozen=True, slots=True)
class FrocCurve:
    """All scans together, by threshold: share of lesions hit (None without lesions), false components per scan.

    at_rates: the best sensitivity that some threshold reaches with at most `RATES` false components per scan, 0 where
    none does.  mean: the mean of these.
    """

    thresholds: tuple[float, ...]
    sensitivity: tuple[float | None, ...]
    false_per_scan: tuple[float, ...]
    at_rates: tuple[float | None, ...]
    mean: float | None
    lesions: int
    scans: int


def measure_froc(probability: FloatArray, truth: BoolArray) -> Froc:
    """Count hits and false alarms of a map `(X, Y, Z)` or `(X, Y)` at every threshold (inclusive).

    Components are 26-connected (in one slice 8), as lesions are. What lies above a threshold lies above the ones
    before too, so each step looks only into the box of the last one.
    """
    box = union_box(truth, probability >= THRESHOLDS[0])
    if box is None:
        return Froc(0, _nothing(), _nothing())
    lesions = components(truth[box])
    hits = _hits(probability[box], lesions.names, len(lesions))
    return Froc(len(lesions), hits, _false_alarms(probability[box], truth[box]))


def failed_froc(lesions: int) -> Froc:
    """Return what a scan counts whose prediction failed: all of its lesions are missed."""
    return Froc(lesions, _nothing(), _nothing(), scans=0)


def pooled_froc(parts: Iterable[Froc]) -> FrocCurve | None:
    """Return the curve of several scans, healthy ones among them; None where no scan has a map.

    Lesions are pooled over scans, false alarms averaged over scans. Where a map joins lesions and false alarms at low
    thresholds the curve may turn back, so it is read at what a threshold reaches and not between two of them.
    Source: Bunch et al. 1978; the rates 1/8 to 8 are those of LUNA16 (Setio et al. 2017), who interpolate.
    """
    found = list(parts)
    lesions, scans = sum(one.lesions for one in found), sum(one.scans for one in found)
    if scans == 0:
        return None
    hits, false = (np.sum([getattr(one, name) for one in found], axis=0) for name in ("hits", "false"))
    per_scan = tuple((false / scans).tolist())
    if lesions == 0:
        unknown = (None,) * len(RATES)
        return FrocCurve(THRESHOLDS, (None,) * len(THRESHOLDS), per_scan, unknown, None, 0, scans)
    shares: tuple[float, ...] = tuple((hits / lesions).tolist())
    best = tuple(_best(shares, per_scan, rate) for rate in RATES)
    return FrocCurve(THRESHOLDS, shares, per_scan, best, sum(best) / len(best), lesions, scans)


def _best(shares: tuple[float, ...], per_scan: tuple[float, ...], rate: float) -> float:
    return max((share for share, false in zip(shares, per_scan, strict=True) if false <= rate), default=0.0)


def _hits(probability: FloatArray, names: Array, number: int) -> tuple[int, ...]:
    """Return how many lesions have a voxel at each threshold: each lesion's highest one tells."""
    highest = np.zeros(number + 1)
    inside = names > 0
    np.maximum.at(highest, names[inside], probability[inside])
    return tuple(int(np.count_nonzero(highest[1:] >= threshold)) for threshold in THRESHOLDS)


def _false_alarms(probability: FloatArray, truth: BoolArray) -> tuple[int, ...]:
    """Return how many components touch no truth at each threshold; the same voxels are labelled once."""
    counts: list[int] = []
    before, false = -1, 0
    for threshold in THRESHOLDS:
        above = probability >= threshold
        voxels = int(np.count_nonzero(above))
        if voxels != before:
            box = union_box(above, above)
            if box is None:
                break
            probability, truth, above, before = probability[box], truth[box], above[box], voxels
            false = _strangers(above, truth)
        counts.append(false)
    return (*counts, *(0,) * (len(THRESHOLDS) - len(counts)))


def _strangers(mask: BoolArray, truth: BoolArray) -> int:
    parts = components(mask)
    return len(parts) - len(np.unique(parts.names[mask & truth]))


def _nothing() -> tuple[int, ...]:
    return (0,) * len(THRESHOLDS)
