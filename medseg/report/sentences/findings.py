"""Sentences for one result: means, volumes, concordance."""

from __future__ import annotations

from medseg.ops.statistics.intervals import FEWEST_SUBJECTS
from medseg.report.sentences.words import WORDS, fixed, too_few
from medseg.report.wording import Json, count


def mean_sentence(summary: Json, measure: str = "dice", noun: str = "scan") -> str:
    """Say the mean of a measure with its interval and how many scans it stands on; `summary` as in summary.json."""
    name, _, _ = WORDS[measure]
    missing = _missing(summary["undefined"], noun, "defined value")
    if not summary["n"]:
        return f"No {noun} has a defined {name}.{missing}"
    unit = next((f" {end}" for end in ("mm", "ml") if measure.endswith(f"_{end}")), "")
    places = 2 if unit else 3
    value = f"{fixed(summary['mean'], places)}{unit}"
    ends = summary["ci95"]
    if ends[0] is None:
        return f"The mean {name} is {value} on {count(summary['n'], noun)}: too few for an interval.{missing}"
    interval = f"[{fixed(ends[0], places)}, {fixed(ends[1], places)}]"
    return f"The mean {name} is {value} {interval} on {count(summary['n'], noun)}.{missing}"


def volume_sentence(found: Json, region: str) -> str:
    """Say how far predicted volumes are off on average, and for single scans; `found` is `bland_altman` of a region."""
    n, bias = found["n"], found["bias"]
    missing = _missing(found["undefined"], "scan", "predicted volume")
    if not n:
        return f"No scan with {region} has a predicted volume.{missing}"
    if n == 1:
        return f"On the only scan with {region} the predicted volume is {_aside(bias)}.{missing}"
    low, high = found["limits"]
    spread = f"95 % of scans lie between {_aside(low, 'no error')} and {_aside(high, 'no error')}"
    return f"{_bias(found)}; {spread}.{missing}"


def concordance_sentence(found: Json) -> str:
    """Say Lin's concordance of predicted with true volumes; `found` is `concordance` of a region in summary.json."""
    if found["value"] is None:
        return "Concordance of predicted with true volumes is not defined: it takes two scans with different volumes."
    low, high = found["ci95"]
    interval = "" if low is None else f" [{fixed(low, 3)}, {fixed(high, 3)}]"
    few = f", {too_few(found['subjects'])}" if found["subjects"] < FEWEST_SUBJECTS else ""
    value = fixed(found["value"], 3)
    return f"Lin's concordance of predicted with true volumes is {value}{interval} (1 is perfect agreement){few}."


def _bias(found: Json) -> str:
    bias, (low, high) = found["bias"], found["bias_ci95"]
    scans = count(found["n"], "scan")
    if low is None:
        return f"Predicted volumes are {_aside(bias)} on average on {scans}, {too_few(found['subjects'])}"
    if low <= 0 <= high:
        interval = f"{fixed(bias, 2)} ml [{fixed(low, 2)}, {fixed(high, 2)}]"
        return (
            f"Predicted volumes are on average neither too small nor too large as far as {scans} can tell ({interval})"
        )
    ends = sorted((abs(low), abs(high)))
    return f"Predicted volumes are {_aside(bias)} on average [{fixed(ends[0], 2)}, {fixed(ends[1], 2)}] on {scans}"


def _missing(amount: int, noun: str, what: str) -> str:
    return f" {count(amount, noun)} {'has' if amount == 1 else 'have'} no {what}." if amount else ""


def _aside(error_ml: float, none: str = "right") -> str:
    """Write an error of volume in words: "1.20 ml too small"; `none` where it is below 0.005 ml."""
    if abs(error_ml) < 0.005:
        return none
    return f"{fixed(abs(error_ml), 2)} ml too {'small' if error_ml < 0 else 'large'}"
