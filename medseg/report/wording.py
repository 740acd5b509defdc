"""Numbers and sentences as people read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from medseg.ops.scoring.rows import HEALTHY

UNDEFINED = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
# What a number counts decides its decimals: shares three, lengths and volumes two, counts none.
DECIMALS = {"share": 3, "mm": 2, "ml": 2, "count": 0}
# The marks of severities, and of what nothing was noticed about.
BADGES = {"refuse": "\N{MULTIPLICATION SIGN}", "warn": "!", "note": "i", "clean": "\N{CHECK MARK}"}
# How people name what is ill; any other region is taken for an organ and its text avoids "healthy" and "lesion".
_ILL_PARTS = ("tumo", "lesion", "cancer", "metasta", "malign", "nodule", "enhanc", "gtv", "oma")
_ILL_NAMES = ("whole", "wt", "tc", "et", "mass")

Json = Mapping[str, Any]
Row = Mapping[str, Any]
Cells = dict[str, Any]
Kind = Literal["run", "evaluation"]


@dataclass(frozen=True, slots=True)
class _Voice:
    """How the scans, their set and what made the predictions are called."""

    prefix: str
    whole: str
    whose: str
    it: str


_VOICES: dict[Kind, _Voice] = {
    "run": _Voice("held-out ", "held-out set", "the network's", "it"),
    "evaluation": _Voice("", "set", "the predictions'", "they"),
}


def number(value: float | None, unit: str = "share") -> str:
    """Write a value with the decimals of its `unit` ("share", "mm", "ml", "count"); None is a dash."""
    if value is None:
        return UNDEFINED
    decimals = DECIMALS[unit] if abs(value) < 1000 else 0
    text, smallest = f"{value:.{decimals}f}", f"{10**-decimals:.{decimals}f}"
    if value != 0 and float(text) == 0:
        return f"<{smallest}" if value > 0 else f">{MINUS}{smallest}"
    return text.replace("-", MINUS)


def interval(ends: Sequence[float | None], unit: str = "share") -> str:
    """Write a confidence interval as "[low, high]", "" where it is undefined."""
    low, high = ends
    return "" if low is None or high is None else f"[{number(low, unit)}, {number(high, unit)}]"


def percents(ends: Sequence[float | None]) -> str:
    """Write the interval of a share as "[30 %, 95 %]", "" where it is undefined."""
    low, high = ends
    return "" if low is None or high is None else f"[{100 * low:.0f} %, {100 * high:.0f} %]"


def part(some: int, whole: int) -> str:
    """Write a share with its counts: "3 of 4 (75 %)"; of nothing, a dash."""
    return f"{some} of {whole} ({100 * some / whole:.0f} %)" if whole else UNDEFINED


def count(amount: int, noun: str) -> str:
    """Write an amount of things: "1 scan", "4 scans"."""
    return f"{amount} {noun}" if amount == 1 else f"{amount} {noun}s"


def tissue(region: str) -> str:
    """Name what is not the region: "healthy tissue" beside a tumour, "tissue outside X" beside an organ."""
    return "healthy tissue" if _ill(region) else f"tissue outside {region}"


def piece(region: str) -> str:
    """Name one connected part of the region: "lesion" of a tumour, "piece" of an organ."""
    return "lesion" if _ill(region) else "piece"


def region_title(name: str, region: str) -> str:
    """Name a region of the summary in a heading; `region` is the tumour region's name."""
    return tissue(region) if name == HEALTHY else name


def answer(summary: Json, region: str, kind: Kind = "run") -> str:
    """Say the result of a summary in a few plain sentences; `region` is the tumour region's name.

    kind: "run" where a network is judged on its held-out patients, "evaluation" where label maps came from anywhere.
    """
    if not summary["held_out"]:
        return "No scan was held out, so nothing can be said about new patients."
    tumour, healthy, voice = summary["cohorts"]["tumour"], summary["cohorts"]["healthy"], _VOICES[kind]
    first = _found(tumour, region, voice) if tumour["n"] else f"The {voice.whole} has no scan with {region}"
    if not healthy["n"]:
        return f"{first}. There are no healthy scans in the {voice.whole}.{_unknown(summary, region)}"
    return f"{first}; on {_clean(healthy, voice.it)}.{_unknown(summary, region)}"


def _ill(region: str) -> bool:
    name = region.lower()
    return name in _ILL_NAMES or any(part in name for part in _ILL_PARTS)


def _found(tumour: Json, region: str, voice: _Voice) -> str:
    dice, subjects = tumour["dice"], tumour["detection"]["tumour_subjects"]
    # Label maps from anywhere may come without the names of patients: then each scan stands for itself.
    who = count(subjects, f"{voice.prefix}patient" if voice.prefix else "scan")
    if subjects != tumour["n"]:
        who = f"{count(tumour['n'], f'{voice.prefix}scan')} of {count(subjects, 'patient')}"
    value = " ".join(filter(None, (number(dice["mean"]), interval(dice["ci95"]))))
    return f"On {who} with {region} {voice.whose} {region} Dice is {value}"


def _clean(healthy: Json, it: str = "it") -> str:
    clean, n, most = healthy["clean"], healthy["n"], healthy["false_positive_ml"]["max"]
    scans = count(n, "healthy scan")
    if clean == n:
        return f"{scans} {it} marked nothing" + (" at all" if n == 1 else " in any")
    if n == 1:
        return f"{scans} {it} marked {number(most, 'ml')} ml" if most else f"{scans} the prediction failed"
    if clean == 0 and most:
        return f"{scans} {it} marked something in every one, {number(most, 'ml')} ml at most"
    worst = f", and at most {number(most, 'ml')} ml in the others" if most else ""
    return f"{scans} {it} marked nothing in {clean or 'none'}{worst}"


def _unknown(summary: Json, region: str) -> str:
    unknown = unknown_scans(summary)
    return f" In {count(unknown, 'further scan')} nobody annotated {region}." if unknown else ""


def unknown_scans(summary: Json) -> int:
    """Return in how many scans nobody looked for the tumour region, so that they are neither ill nor healthy."""
    found: int = summary["cohorts"].get("unknown", {"n": 0})["n"]
    return found
