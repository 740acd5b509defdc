"""The review queue: which segmented scans a person should look at, and in which order."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from medseg.files.segmented import SegmentedScan
from medseg.report.wording import number
from medseg.values.finding import Finding

Standing = Literal["failed", "look", "fine"]
STANDINGS: tuple[Standing, ...] = ("failed", "look", "fine")
# From here on a segmentation is called good in studies of automatic quality control.
# Source: Robinson et al. 2019, "Automated quality control in image segmentation: application to the UK Biobank
# cardiovascular magnetic resonance imaging study", J Cardiovasc Magn Reson 21:18.
GOOD_DICE = 0.7
_LEAST_ML = 0.005  # what is shown as 0.01 ml: less is no doubt worth a look


def review_queue(scans: Iterable[SegmentedScan]) -> list[SegmentedScan]:
    """Return scans worst first, the same order whatever order they come in.

    Failed and refused ones, then those with a concern, then the others; in each part those that nothing vouches for
    come before those with an expected Dice (lowest first), except that unconcerning empty masks are last.
    """
    return sorted(scans, key=_place)


def standing(scan: SegmentedScan) -> Standing:
    """Tell whether a scan failed, should be looked at first, or is fine as far as anyone can tell."""
    if scan.status != "done":
        return "failed"
    return "look" if concerns(scan) else "fine"


def concerns(scan: SegmentedScan) -> tuple[Finding, ...]:
    """Return why a segmented scan should be looked at first: what the guard warned of, low expected Dice, doubt.

    Notes of the guard are no concern. A scan that was not segmented has a reason instead, and what the guard found.
    """
    found = warnings(scan)
    return found if scan.status != "done" else (*found, *_low(scan), *_doubtful(scan))


def remarks(scan: SegmentedScan) -> tuple[Finding, ...]:
    """Return what is worth knowing and no reason to look first: notes of the guard, and what was cleaned away."""
    return (*(one for one in scan.guard if one.severity == "note"), *_lost(scan))


def warnings(scan: SegmentedScan) -> tuple[Finding, ...]:
    """Return what the guard found that is more than a note."""
    return tuple(one for one in scan.guard if one.severity != "note")


def is_empty(scan: SegmentedScan) -> bool:
    """Tell whether a scan was segmented and nothing was found in it."""
    return scan.status == "done" and bool(scan.volume_ml) and not any(scan.volume_ml.values())


def expected_dice(scan: SegmentedScan) -> float | None:
    """Return the forecast of the Dice, or else what the network's own probabilities promise, None without either."""
    forecast = scan.confidence.get("forecast_dice")
    return scan.confidence.get("expected_dice") if forecast is None else forecast


def _low(scan: SegmentedScan) -> tuple[Finding, ...]:
    dice = expected_dice(scan)
    if dice is None or dice >= GOOD_DICE:
        return ()
    return (
        Finding(
            severity="warn",
            rule=f"the expected Dice is at least {GOOD_DICE:.2f}",
            value=f"{dice:.2f}",
            remedy="look at the mask over the scan, and correct it by hand or leave it out",
        ),
    )


def _doubtful(scan: SegmentedScan) -> tuple[Finding, ...]:
    doubtful_ml = scan.confidence.get("doubtful_ml") or 0.0
    if not is_empty(scan) or doubtful_ml < _LEAST_ML:
        return ()
    return (
        Finding(
            severity="warn",
            rule="where nothing was found, nothing is in doubt",
            value=f"{number(doubtful_ml, 'ml')} ml that may well be foreground",
            remedy="look through the scan for what may have been missed",
        ),
    )


def _lost(scan: SegmentedScan) -> tuple[Finding, ...]:
    """Return a finding where the network found something (else nothing has a margin) and the mask is empty."""
    if not is_empty(scan) or scan.confidence.get("margin") is None:
        return ()
    return (
        Finding(
            severity="note",
            rule="what the network finds is in the mask",
            value="an empty mask: the clean-up took all of it out, or it is smaller than the scan's voxels",
            remedy="inference.postprocess=none shows what was found",
        ),
    )


def _place(scan: SegmentedScan) -> tuple[int, float, float, str]:
    part, dice = standing(scan), expected_dice(scan)
    unknown = 2.0 if part == "fine" else -1.0
    doubtful_ml = scan.confidence.get("doubtful_ml") or 0.0
    return STANDINGS.index(part), unknown if dice is None else dice, -doubtful_ml, scan.case
