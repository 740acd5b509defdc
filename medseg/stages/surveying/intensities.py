"""Intensities over the set: CT that is not in Hounsfield units, other units in some cases, exchanged channels."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np

from medseg.ops.set_channels import channel_features, find_exchanged
from medseg.ops.set_outliers import FEWEST, robust_spread
from medseg.report.wording import count
from medseg.stages.surveying.facts import CaseFacts, listed
from medseg.values.finding import Finding
from medseg.values.volume import Array

_LOWEST, _P1, _P99, _HIGHEST = 0, 1, 7, 8  # places among the percentiles
_NO_AIR, _PADDING, _TOO_BRIGHT = -200.0, -1100.0, 10_000.0  # HU
_MEASURED = {"ct", "hu", "suv", "pet", "pt", "adc"}  # words in the names of channels whose numbers have a unit
_DECADES = 1.0  # a unit that differs is wrong by ten times or more
_FACTOR = 4.0
_SHOWN = 5


def intensities(facts: Sequence[CaseFacts]) -> list[Finding]:
    """Return what is said of the channels' intensities, one channel after the other, then of exchanged channels."""
    seen = [one for one in facts if one.intensities]
    names = list(dict.fromkeys(name for one in seen for name in one.intensities))
    found: list[Finding] = []
    for name in names:
        own = [one for one in seen if name in one.intensities]
        table = np.stack([one.intensities[name] for one in own])
        if "ct" in _words(name):
            found += _hounsfield(name, [one.case for one in own], table)
        found += _units(name, [one.case for one in own], table)
    return [*found, *_exchanged(seen, names)]


def _words(channel: str) -> set[str]:
    return set(re.split(r"[^a-z]+", channel.lower()))


def _hounsfield(channel: str, cases: Sequence[str], table: Array) -> Iterator[Finding]:
    rule = f"{channel} is in Hounsfield units (air near -1000, below 10000)"
    lowest, highest = table[:, _LOWEST], table[:, _HIGHEST]
    faults = (
        ("warn", lowest >= 0, lowest, "lowest value", "rescale: stored numbers are often HU + 1024"),
        ("warn", highest > _TOO_BRIGHT, highest, "highest value", "look for a wrong rescale slope, or clip metal"),
        ("note", (lowest < 0) & (lowest > _NO_AIR), lowest, "lowest value", "nothing, if the scans show no air"),
        ("note", lowest < _PADDING, lowest, "lowest value", "nothing: padding outside the scanner's circle"),
    )
    for severity, wrong, values, what, remedy in faults:
        if wrong.any():
            yield _about(severity, rule, what, values, wrong, cases, remedy)


def _units(channel: str, cases: Sequence[str], table: Array) -> Iterator[Finding]:
    """Compare the range of intensities (1st to 99th percentile) over the set, as a logarithm."""
    span = table[:, _P99] - table[:, _P1]
    usable = span > 0
    if usable.sum() < FEWEST:
        return
    decades = np.log10(np.where(usable, span, 1.0))
    middle, spread = robust_spread(decades[usable], _DECADES / _FACTOR)
    far = usable & (np.abs(decades - middle) > _FACTOR * spread)
    if _words(channel) & _MEASURED:
        if far.any():
            rule = f"{channel} has the same unit in all scans (a range near {10**middle:.3g})"
            yield _about("warn", rule, "range", span, far, cases, "look for another unit or a wrong scale factor")
        return
    low, high = float(span[usable].min()), float(span[usable].max())
    if high >= 10**_DECADES * low:
        yield Finding(
            severity="note",
            rule=f"intensities of {channel} are comparable between scans",
            value=f"ranges from {low:.3g} to {high:.3g}, half of them below {10**middle:.3g}",
            remedy="nothing: arbitrary units, and every scan is normalised by itself",
        )


def _about(
    severity: str, rule: str, what: str, values: Array, wrong: Array, cases: Sequence[str], remedy: str
) -> Finding:
    places = np.flatnonzero(wrong)
    examples = ", ".join(f"{cases[place]} {values[place]:.4g}" for place in places[:_SHOWN])
    more = f" and {places.size - _SHOWN} more" if places.size > _SHOWN else ""
    return Finding(
        severity="warn" if severity == "warn" else "note",
        rule=rule,
        value=f"{what} in {places.size} of {len(cases)} scans: {examples}{more}",
        remedy=remedy,
        cases=tuple(cases[place] for place in places),
    )


def _exchanged(seen: Sequence[CaseFacts], names: Sequence[str]) -> Iterator[Finding]:
    complete = [one for one in seen if len(one.intensities) == len(names)]
    if len(names) < 2 or not complete:
        return
    tables = [np.stack([one.intensities[name] for one in complete]) for name in names]
    features = [channel_features(table[:, :9], table[:, 9], table[:, 10], table[:, 11]) for table in tables]
    found: dict[tuple[int, int], list[str]] = {}
    for scan, one, other in find_exchanged(np.stack(features, axis=1)):
        found.setdefault((one, other), []).append(complete[scan].case)
    for (one, other), cases in sorted(found.items()):
        yield Finding(
            severity="warn",
            rule=f"{names[one]} and {names[other]} are not exchanged",
            value=f"the intensities of each look like the other's in {count(len(cases), 'scan')}: {listed(cases)}",
            remedy="compare the pictures, and swap the files if they are wrong",
            cases=tuple(cases),
        )
