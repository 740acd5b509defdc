"""Which scans did badly, and why: reasons that follow from the numbers of a scan alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from medseg.ops.scoring.rows import ALL, HEALTHY
from medseg.report.wording import Row, count, number, piece

BAD = 0.5  # a Dice below it is bad
WORST = 3  # so many of the lowest are always looked at
_GOOD_SHARE = 0.7  # of sensitivity and precision
_LIKE = 1.5  # volumes that differ by less are alike
_CLEARLY = 0.6  # of the tumour's Dice: another region is clearly worse below it
_SMALL = 0.25  # of the median volume: a small tumour


@dataclass(frozen=True, slots=True)
class Verdict:
    """A scan that did badly. kind: "failed", "bad" (Dice below 0.5), "worst" (among the lowest) or "alarm" (healthy).

    short: two or three words for a table; reasons: sentences without full stops.
    """

    case: str
    subject: str
    kind: str
    dice: float | None
    short: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Scan:
    """All rows of a scan: `own` of the tumour region, `others` by region."""

    own: Row
    others: Mapping[str, Row]
    region: str

    @property
    def truth_ml(self) -> float:
        return float(self.own.get("volume_truth_ml") or 0)

    @property
    def predicted_ml(self) -> float:
        return float(self.own.get("volume_predicted_ml") or 0)


def judge(rows: Sequence[Row], region: str, warnings: Mapping[str, Sequence[str]] | None = None) -> dict[str, Verdict]:
    """Return the scans that did badly, by case, the worst first, and why.

    rows: those of scores.csv. Judged badly are predictions that failed, scans with a Dice of `region` below 0.5, the
    three lowest below 1, and healthy scans with any false voxel. `warnings`: by case, what was noticed about its scan.
    Order: failed, then by Dice, then false alarms by volume; the order of rows does not matter.
    """
    scans = _scans(rows, region)
    usual = _usual_ml(scans)
    found = [_failed(scan) for scan in scans if scan.own.get("reason")]
    whole = [scan for scan in scans if not scan.own.get("reason")]
    ill = sorted((s for s in whole if s.own["cohort"] == "tumour" and s.own["dice"] is not None), key=_by_dice)
    for place, scan in enumerate(ill):
        if scan.own["dice"] < BAD or (place < WORST and scan.own["dice"] < 1):
            found.append(_bad(scan, usual))
    alarms = [s for s in whole if s.own["cohort"] == "healthy" and s.predicted_ml > 0]
    found += [_alarm(scan) for scan in sorted(alarms, key=lambda s: (-s.predicted_ml, str(s.own["case"])))]
    return {one.case: _warned(one, (warnings or {}).get(one.case, ())) for one in found}


def _scans(rows: Sequence[Row], region: str) -> list[_Scan]:
    cases: dict[str, dict[str, Row]] = {}
    for row in rows:
        cases.setdefault(str(row["case"]), {})[str(row["region"])] = row
    return [_Scan(own[region], own, region) for _, own in sorted(cases.items()) if region in own]


def _by_dice(scan: _Scan) -> tuple[float, str]:
    return float(scan.own["dice"]), str(scan.own["case"])


def _usual_ml(scans: Sequence[_Scan]) -> float:
    volumes = [scan.truth_ml for scan in scans if scan.truth_ml > 0]
    return median(volumes) if volumes else 0.0


def _verdict(scan: _Scan, kind: str, short: str, reasons: Sequence[str]) -> Verdict:
    own = scan.own
    return Verdict(str(own["case"]), str(own["subject"]), kind, own["dice"], short, tuple(filter(None, reasons)))


def _warned(one: Verdict, warnings: Sequence[str]) -> Verdict:
    more = tuple(f"noticed about the scan: {text}" for text in warnings)
    return Verdict(one.case, one.subject, one.kind, one.dice, one.short, (*one.reasons, *more))


def _failed(scan: _Scan) -> Verdict:
    return _verdict(scan, "failed", "failed", [str(scan.own["reason"])])


def _alarm(scan: _Scan) -> Verdict:
    pieces = scan.own.get("false_lesions")
    where = f" in {count(int(pieces), 'piece')}" if pieces else ""
    reason = f"{number(scan.predicted_ml, 'ml')} ml marked{where} where there is no {scan.region}"
    return _verdict(scan, "alarm", "false alarm", [reason])


def _bad(scan: _Scan, usual_ml: float) -> Verdict:
    short, first = _main_reason(scan)
    kind = "bad" if scan.own["dice"] < BAD else "worst"
    return _verdict(scan, kind, short, [first, *_lesions(scan), _small(scan, usual_ml), _weakest(scan)])


def _main_reason(scan: _Scan) -> tuple[str, str]:
    """Tell the one thing that cost most overlap: nothing, elsewhere, too small, too large, or shifted."""
    truth, predicted, region = scan.truth_ml, scan.predicted_ml, scan.region
    sizes = f"{number(predicted, 'ml')} ml marked, {number(truth, 'ml')} ml true"
    if predicted == 0:
        return "missed entirely", f"nothing was marked of {number(truth, 'ml')} ml"
    if scan.own["dice"] == 0:
        return "marked elsewhere", f"nothing that was marked is {region} ({sizes})"
    sensitivity, precision = float(scan.own["sensitivity"] or 0), float(scan.own["precision"] or 0)
    if predicted * _LIKE < truth:
        return "too small", f"{sizes}: {_percent(sensitivity)} of it was found"
    if truth * _LIKE < predicted:
        return "too large", f"{sizes}: {_percent(precision)} of what was marked is right"
    return _shifted(scan, sensitivity, precision, f"volumes are alike ({sizes})")


def _shifted(scan: _Scan, sensitivity: float, precision: float, alike: str) -> tuple[str, str]:
    """Tell what is wrong where the volumes are alike: the smaller of sensitivity and precision says most."""
    if min(sensitivity, precision) >= _GOOD_SHARE:
        right = f"{_percent(precision)} of what was marked is right"
        return "edges differ", f"{alike}; {_percent(sensitivity)} of it was found, and {right}"
    if sensitivity < precision:
        short, reason = "partly missed", f"{alike}, but only {_percent(sensitivity)} of it was found"
    else:
        short, reason = "partly false", f"{alike}, but only {_percent(precision)} of what was marked is right"
    return "misplaced" if scan.own["dice"] < BAD else short, reason


def _lesions(scan: _Scan) -> Iterator[str]:
    there, found, false = (scan.own.get(name) for name in ("lesions_truth", "lesions_found", "false_lesions"))
    noun = piece(scan.region)
    if there and found is not None and there > 1 and found < there:
        yield f"{there - found} of {count(int(there), noun)} missed"
    if false and scan.own["dice"] > 0:
        yield f"{count(int(false), f'false {noun}')} beside"


def _small(scan: _Scan, usual_ml: float) -> str:
    if scan.truth_ml >= _SMALL * usual_ml:
        return ""
    return f"it is small: {number(scan.truth_ml, 'ml')} ml, the median is {number(usual_ml, 'ml')} ml"


def _weakest(scan: _Scan) -> str:
    """Name the region that did worst, where another one did clearly worse than the tumour region."""
    others = {
        name: float(row["dice"])
        for name, row in scan.others.items()
        if name not in (HEALTHY, ALL, scan.region) and row["dice"] is not None
    }
    worst = min(others, key=lambda name: (others[name], name), default="")
    if not worst or not others[worst] < _CLEARLY * float(scan.own["dice"]):
        return ""
    return f"worst in {worst}: Dice {number(others[worst])}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
