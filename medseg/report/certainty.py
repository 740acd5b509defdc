"""The part of a report about probabilities: reliability before and after a temperature, and lesions against alarms."""

from __future__ import annotations

from medseg.report.charts.honesty import Bins, froc_chart, reliability_chart
from medseg.report.wording import Cells, Json, count, number, piece

HELD_OUT, BEFORE, AFTER = "these scans", "as the network gives them", "with the temperature"


def draw_certainty(summary: Json, calibration: Json | None, region: str) -> list[Cells]:
    """Draw what is known of probabilities, each with its heading, chart and a sentence; nothing where none were kept.

    summary: its `reliability` (by region) and `froc` may be missing or None. calibration: content of calibration.json.
    """
    drawn = [_held_out(summary.get("reliability") or {}, region), _validated(calibration or {})]
    drawn.append(_lesions(summary.get("froc"), region))
    return [one for one in drawn if one]


def _held_out(found: Json, region: str) -> Cells | None:
    own = found.get(region)
    if not own or not any(own["answers"]):
        return None
    words = (
        f"Probabilities of {region} on these scans, as they were kept: expected calibration error "
        f"{number(own['ece'])}, {sum(own['answers']):,} voxels of {count(own['scans'], 'scan')}."
    )
    chart = reliability_chart([_bins(HELD_OUT, own)], f"share that is {region}")
    return {"heading": "On these scans", "chart": chart, "words": words}


def _validated(found: Json) -> Cells | None:
    fitted, before, after = (found.get(name) for name in ("calibration", "before", "after"))
    if not fitted or not before or not after:
        return None
    words = (
        f"On voxels drawn from {count(fitted['cases'], 'validation scan')}, before this test: a temperature of "
        f"{fitted['temperature']:.3g} takes the expected calibration error from {number(fitted['ece_before'])} to "
        f"{number(fitted['ece_after'])}. {_meaning(fitted['temperature'])}"
    )
    series = [_bins(BEFORE, before, faint=True), _bins(AFTER, after)]
    chart = reliability_chart(series, "share of right answers")
    return {"heading": "On validation scans, before and after the temperature", "chart": chart, "words": words}


def _lesions(found: Json | None, region: str) -> Cells | None:
    if not found or not found["lesions"]:
        return None
    noun = piece(region)
    chart = froc_chart(found["thresholds"], found["false_per_scan"], found["sensitivity"], region)
    words = (
        f"Each point is a threshold of the probability: lower ones find more {noun}s and invent more. Found with at "
        f"most 1/8 to 8 false {noun}s per scan, on average: {number(found['mean'])} of "
        f"{count(found['lesions'], noun)} in {count(found['scans'], 'scan')}."
    )
    return {"heading": f"{noun.capitalize()}s found against false ones", "chart": chart, "words": words}


def _bins(name: str, found: Json, faint: bool = False) -> Bins:
    return Bins(name, found["answers"], found["confidence"], found["right"], faint)


def _meaning(temperature: float) -> str:
    if abs(temperature - 1) < 0.02:
        return "The network is about as sure as it may be."
    return "The network was too sure of itself." if temperature > 1 else "The network was not sure enough of itself."
