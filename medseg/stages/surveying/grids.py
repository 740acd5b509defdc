"""Voxel sizes and field of view over the set, and the cases that are unlike most."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from medseg.ops.set_outliers import far_from_most
from medseg.report.wording import count
from medseg.stages.surveying.facts import CaseFacts
from medseg.values.finding import Finding
from medseg.values.volume import Array

# Smallest believed spread of logarithms; five of them are an outlier: 1.5 times the usual spacing, 2.1 the extent.
_SPACING_FLOOR = 0.08
_EXTENT_FLOOR = 0.15
_MOST_OUTLIERS = 0.1  # share of the set; above it the set is mixed, and nobody is an outlier
_ALIKE = 1.02
_SHOWN = 5


def grids(facts: Sequence[CaseFacts]) -> list[Finding]:
    """Return what is said of spacing and extent (voxels times spacing), along the patient's axes."""
    known = [one for one in facts if one.shape]
    if not known:
        return []
    spacing = np.asarray([one.spacing_mm for one in known], np.float64)
    extent = spacing * np.asarray([one.shape for one in known], np.float64)
    found = [_spacing_summary(spacing)]
    found += _unusual(known, spacing, _SPACING_FLOOR, "spacing", "scans of a set have similar voxels")
    found += _unusual(known, extent, _EXTENT_FLOOR, "extent", "scans of a set show a similar part of the body")
    return found


def _spacing_summary(spacing: Array) -> Finding:
    low, high = spacing.min(axis=0), spacing.max(axis=0)
    everything = count(len(spacing), "scan")
    if (high <= low * _ALIKE).all():
        value = f"{_size(np.median(spacing, axis=0))} mm in all of {everything}"
    else:
        shares = Counter(_size(row) for row in spacing).most_common(3)
        common = ", ".join(f"{size} mm in {number}" for size, number in shares if number > 1)
        value = f"{_size(low)} to {_size(high)} mm in {everything}" + (f"; most often {common}" if common else "")
    return Finding(severity="note", rule="spacing of the voxels (x, y, z)", value=value, remedy="nothing to do")


def _unusual(known: Sequence[CaseFacts], lengths: Array, floor: float, what: str, rule: str) -> Iterator[Finding]:
    """Yield one finding on the cases whose lengths in mm (N, 3) are far from the median, as ratios."""
    far = np.flatnonzero(far_from_most(np.log(lengths), floor))
    if not far.size:
        return
    middle = np.median(lengths, axis=0)
    order = far[np.argsort(-np.abs(np.log(lengths[far] / middle)).max(axis=1), kind="stable")]
    examples = "; ".join(f"{known[i].case} {_size(lengths[i])} mm" for i in order[:_SHOWN])
    more = f"; and {far.size - _SHOWN} more" if far.size > _SHOWN else ""
    mixed = far.size > max(1, _MOST_OUTLIERS * len(known))
    value = f"{what} far from the usual {_size(middle)} mm in {count(int(far.size), 'scan')}: {examples}{more}"
    remedy = "look at them: a wrong unit, another protocol or another part of the body"
    yield Finding(
        severity="note" if mixed else "warn",
        rule=rule,
        value=value,
        remedy="nothing, if the set is meant to be mixed" if mixed else remedy,
        cases=tuple(known[index].case for index in order),
    )


def _size(lengths: Array) -> str:
    return " x ".join(f"{length:.3g}" if length < 1000 else f"{length:.0f}" for length in lengths)
