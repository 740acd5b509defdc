"""The contact sheet of segmented scans: a review queue, worst first, as one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from medseg.files.segmented import SegmentedScan
from medseg.report.review import (
    GOOD_DICE,
    Standing,
    concerns,
    expected_dice,
    is_empty,
    remarks,
    review_queue,
    standing,
    warnings,
)
from medseg.report.scan_picture import SIDE, WIDTH
from medseg.report.segment_wording import (
    PLUS_MINUS,
    cost_text,
    dice_kind,
    dice_text,
    headline,
    measures_text,
    volume_text,
)
from medseg.report.templates import environment
from medseg.report.wording import BADGES
from medseg.values.finding import SEVERITIES, printable
from medseg.values.palette import css_of

_STANDINGS: Mapping[Standing, tuple[str, str]] = {
    "failed": ("refuse", "Failed"),
    "look": ("warn", "Look first"),
    "fine": ("clean", "Without a warning"),
}
_FILTERS = (
    ("all", "all"),
    ("look", "look first"),
    ("failed", "failed"),
    ("guard", "unlike training"),
    ("empty", "empty"),
)
_REASONS = {"failed": "It could not be segmented.", "refused": "It was refused."}
_MOST_LABELS = 8  # volumes that a card shows at once: what is seen at a glance


def segment_page(title: str, scans: Sequence[SegmentedScan], facts: Mapping[str, str]) -> str:
    """Render the contact sheet; the same scans in any order give the same text, and everything in it is escaped.

    `facts` say what should be known of the model and the run, by name. `confidence` of a scan may have, beside the
    measures of `medseg.ops.confidence.Confidence`, `forecast_error`: the mean absolute error of the forecast.
    """
    queue = review_queue(scans)
    found = [standing(scan) for scan in queue]
    parts = [_parts(scan, own) for scan, own in zip(queue, found, strict=True)]
    return (
        environment()
        .get_template("segment.html")
        .render(
            title=printable(title),
            headline=headline(len(queue), found.count("failed"), found.count("look")),
            tally=[(badge, words, BADGES[badge], found.count(own)) for own, (badge, words) in _STANDINGS.items()],
            parts=[(name, words, sum(name in own for own in parts)) for name, words in _FILTERS],
            tiles=(_tile(scan, own, names) for scan, own, names in zip(queue, found, parts, strict=True)),
            facts=[(printable(name), printable(value)) for name, value in facts.items()],
            badges=BADGES,
            total=len(queue),
            good=f"{GOOD_DICE:.2f}",
            plus_minus=PLUS_MINUS,
            width=WIDTH,
            height=SIDE,
        )
    )


def _parts(scan: SegmentedScan, own: Standing) -> tuple[str, ...]:
    """Name the filters that let a scan through."""
    through = {"all", own, *(["guard"] if warnings(scan) else []), *(["empty"] if is_empty(scan) else [])}
    return tuple(name for name, _ in _FILTERS if name in through)


def _tile(scan: SegmentedScan, own: Standing, parts: Sequence[str]) -> dict[str, Any]:
    badge, words = _STANDINGS[own]
    findings = (*concerns(scan), *remarks(scan))
    cost = cost_text(scan.seconds, scan.peak_memory_mb)
    return {
        "case": printable(scan.case),
        "standing": own,
        "parts": " ".join(parts),
        "picture": scan.picture,
        "badge": (badge, words.lower(), BADGES[badge]),
        "result": None if own == "failed" else _result(scan),
        "reason": (_REASONS.get(scan.status, ""), _sentence(scan.reason or "no reason is known")),
        "findings": sorted(findings, key=lambda one: SEVERITIES.index(one.severity)),
        "notes": [_sentence(note) for note in scan.notes],
        "file": ", ".join(filter(None, (printable(scan.mask or ""), cost))),
    }


def _result(scan: SegmentedScan) -> dict[str, Any]:
    """Return what a card says of a mask."""
    dice, volumes = expected_dice(scan), list(scan.volume_ml.items())
    if len(volumes) > _MOST_LABELS:
        volumes.sort(key=lambda one: -one[1])
    return {
        "empty": is_empty(scan),
        "dice": "" if dice is None else f"{dice:.4f}",
        "dice_text": dice_text(scan.confidence),
        "dice_kind": dice_kind(scan.confidence, bool(warnings(scan))),
        "bar": None if dice is None else _bar(dice, scan.confidence.get("forecast_error") or 0.0),
        "total_ml": f"{sum(scan.volume_ml.values()):.4f}",
        "volumes": [_volume(scan, name, ml) for name, ml in volumes[:_MOST_LABELS]],
        "others": _others(volumes[_MOST_LABELS:]),
        "measures": measures_text(scan.confidence),
    }


def _volume(scan: SegmentedScan, name: str, volume_ml: float) -> dict[str, Any]:
    colour = css_of(scan.labels[name]) if name in scan.labels else ""
    return {"name": printable(name), "volume": volume_text(volume_ml), "colour": colour, "found": volume_ml > 0}


def _others(volumes: Sequence[tuple[str, float]]) -> tuple[str, str] | None:
    """Return a heading for the volumes that are not shown at once, and those above 0 as a line."""
    if not volumes:
        return None
    found = [f"{printable(name)} {volume_text(ml)}" for name, ml in volumes if ml > 0]
    absent = len(volumes) - len(found)
    return f"{len(volumes)} more labels", "; ".join(found + ([f"{absent} not found"] if absent else []))


def _bar(dice: float, error: float) -> tuple[str, str, str]:
    """Return left end and width of the band of error and the place of the expected Dice, in percent."""
    low, high = max(0.0, dice - error), min(1.0, dice + error)
    return f"{100 * low:.1f}", f"{100 * (high - low):.1f}", f"{100 * dice:.1f}"


def _sentence(text: str) -> str:
    """End a line with a full stop; its first letter stays, which may be that of a file."""
    line = printable(text)
    return line if line.endswith((".", "!", "?")) else f"{line}."
