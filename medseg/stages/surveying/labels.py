"""Labels over the set: classes that are absent, rare or tiny, lesions and their sizes, healthy scans."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from medseg.report.wording import count, part, piece
from medseg.stages.surveying.facts import CaseFacts, listed
from medseg.values.finding import Finding
from medseg.values.labels import LabelScheme

_ENOUGH_SCANS = 20  # fewer cannot say that a class is rare
_RARE = 0.03
_TINY_VOXELS, _TINY_ML = 10, 0.01
_SPECK_VOXELS = 2.5


def labels(facts: Sequence[CaseFacts], scheme: LabelScheme) -> list[Finding]:
    """Return what is said of the masks; cases without a mask, or where a label was not looked for, do not count."""
    masked = [one for one in facts if one.mask is not None]
    if not masked:
        return []
    found = [finding for name, number in scheme.labels.items() for finding in _label(masked, name, number)]
    return [*found, *_healthy(masked, scheme), *_lesions(masked, scheme), *_unmasked(facts, masked)]


def _label(masked: Sequence[CaseFacts], name: str, number: int) -> Iterator[Finding]:
    looked = [one for one in masked if one.annotated is None or name in one.annotated]
    holders = [one for one in looked if one.labels.get(str(number), 0)]
    rule = f"label {name} ({number}) can be learned"
    if not holders:
        remedy = "check data.labels against the masks, or take the label out"
        yield Finding(severity="warn", rule=rule, value=f"in none of {count(len(looked), 'mask')}", remedy=remedy)
        return
    cases = tuple(one.case for one in holders)
    if len(looked) >= _ENOUGH_SCANS and len(holders) <= max(2, _RARE * len(looked)):
        value = f"in {part(len(holders), len(looked))} masks: {listed(cases)}"
        remedy = "add scans with it, or join it with another label by data.regions"
        yield Finding(severity="warn", rule=rule, value=value, remedy=remedy, cases=cases)
    voxels = [one.labels[str(number)] for one in holders]
    sizes = [one.labels[str(number)] * one.voxel_ml for one in holders]
    if np.median(voxels) < _TINY_VOXELS or np.median(sizes) < _TINY_ML:
        value = f"a median of {np.median(voxels):.0f} voxels, {np.median(sizes):.2g} ml"
        remedy = "check the masks; such small parts vanish when scans are resampled"
        yield Finding(severity="warn", rule=rule, value=value, remedy=remedy, cases=cases)


def _healthy(masked: Sequence[CaseFacts], scheme: LabelScheme) -> Iterator[Finding]:
    healthy = [one.case for one in masked if not one.tumour_voxels]
    if len(healthy) == len(masked):
        yield Finding(
            severity="warn",
            rule=f"some scan holds the region {scheme.tumour}",
            value=f"none of {count(len(masked), 'mask')} does",
            remedy="check data.labels, data.regions and data.tumour against the masks",
        )
        return
    shown = f": {listed(healthy)}" if healthy else ""
    lacking = not healthy and piece(scheme.tumour) == "lesion"
    yield Finding(
        severity="note",
        rule=f"scans without {scheme.tumour}",
        value=f"{part(len(healthy), len(masked))}{shown}",
        remedy="nothing, but false alarms on healthy scans cannot be measured" if lacking else "nothing to do",
        cases=tuple(healthy),
    )


def _lesions(masked: Sequence[CaseFacts], scheme: LabelScheme) -> Iterator[Finding]:
    holders = [one for one in masked if one.lesion_count]
    if not holders:
        return
    noun = piece(scheme.tumour)
    counts = [one.lesion_count for one in holders]
    sizes = np.concatenate([one.lesions_ml for one in holders])
    low, middle, high = np.quantile(sizes, (0.1, 0.5, 0.9))
    few, many = min(counts), max(counts)
    amount = f"{few} in each" if few == many else f"{few} to {many} (median {np.median(counts):g})"
    yield Finding(
        severity="note",
        rule=f"{noun}s of {scheme.tumour} per scan, and their sizes",
        value=f"{amount}; median {middle:.3g} ml, 80 % between {low:.3g} and {high:.3g}, largest {sizes.max():.4g} ml",
        remedy="nothing to do",
    )
    specks = [one for one in holders if (one.lesions_ml < _SPECK_VOXELS * one.voxel_ml).any()]
    if specks:
        cases = tuple(one.case for one in specks)
        yield Finding(
            severity="note",
            rule=f"every {noun} has more than two voxels",
            value=f"specks of one or two voxels in {part(len(specks), len(holders))} scans: {listed(cases)}",
            remedy="look whether they were drawn on purpose; each counts when single ones are scored",
            cases=cases,
        )


def _unmasked(facts: Sequence[CaseFacts], masked: Sequence[CaseFacts]) -> Iterator[Finding]:
    without = tuple(one.case for one in facts if one.mask is None)
    if without:
        yield Finding(
            severity="note",
            rule="every scan has a mask",
            value=f"{count(len(masked), 'mask')} for {count(len(facts), 'scan')}; none for {listed(without)}",
            remedy="nothing, if they are only to be segmented",
            cases=without,
        )
