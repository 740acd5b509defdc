"""Probability maps over all scans: lesions found against false alarms, and how honest the probabilities are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from medseg.ops.cohort_cells import Record, plain
from medseg.ops.scoring.certainty import Certainty, pooled_certainty
from medseg.ops.scoring.froc import RATES, pooled_froc
from medseg.ops.scoring.record import froc_of, reliability_of


def pool_froc(scores: Sequence[Mapping[str, Any]]) -> Record | None:
    """Return the `FrocCurve` over the scans whose map was kept, None without any; "rates" are those of "at_rates"."""
    curve = pooled_froc(one for one in map(froc_of, scores) if one is not None)
    return None if curve is None else plain(asdict(curve)) | {"rates": list(RATES)}


def pool_reliability(scores: Sequence[Mapping[str, Any]]) -> dict[str, Record]:
    """Return by region how often voxels truly belong to it, by the probability that they do; empty without maps.

    "answers" counts the voxels of 15 equal bins, "confidence" is their mean probability, "right" the share that is
    inside, 0 in an empty bin; "ece" and "brier" are over all voxels of all scans, "scans" counts them.
    """
    kept = [reliability_of(case) for case in scores]
    names = sorted({name for case in kept for name in case})
    return {name: _describe([case[name] for case in kept if name in case]) for name in names}


def _describe(parts: Sequence[Certainty]) -> Record:
    bins = pooled_certainty(parts)
    if bins is None:
        return {}
    return {
        "answers": list(bins.voxels),
        "confidence": _means(bins.probability, bins.voxels),
        "right": _means(bins.inside, bins.voxels),
        "ece": bins.ece,
        "brier": bins.brier,
        "scans": len(parts),
    }


def _means(sums: Sequence[float], counts: Sequence[int]) -> list[float]:
    return [total / count if count else 0.0 for total, count in zip(sums, counts, strict=True)]
