"""The beginning of a report: what was asked, the answer, what failed, and what to look at first."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from medseg.report.verdicts import BAD, Verdict
from medseg.report.wording import BADGES, Cells, Json, Kind, count, number, tissue

NAMED = 3  # so many scans are told by name
LISTED = 40  # so many lines has the table of scans that did badly
_BADGE_OF = {"failed": "refuse", "bad": "warn", "alarm": "warn", "worst": "note"}


def question(summary: Json, region: str, kind: Kind) -> str:
    """Say what was asked. kind: "run" where held-out patients judge a model, "evaluation" of any label maps."""
    scans = count(len(summary["held_out"]), "scan")
    if kind == "run":
        return (
            f"Asked: how well does the trained network find {region} in {scans} of patients that it has never seen, "
            f"and does it leave {tissue(region)} alone?"
        )
    return f"Asked: how well do the predicted label maps agree with the truth about {region} in {scans}?"


def opening(summary: Json, verdicts: Mapping[str, Verdict], region: str, kind: Kind) -> list[str]:
    """Say what failed, what did badly, what to look at first and how to read the numbers, in a few lines."""
    if not summary["held_out"]:
        return []
    failed, bad, alarms = ([v for v in verdicts.values() if v.kind == kind] for kind in ("failed", "bad", "alarm"))
    scan = "other scan" if failed else "scan"
    any_ill = summary["cohorts"]["tumour"]["n"] > 0
    lines = [" ".join(filter(None, (_failed(failed), _bad(bad, f"{scan} with {region}" if any_ill else ""))))]
    lines += [_alarms(alarms, region), _first(list(verdicts.values()))]
    read = "Dice is the overlap of prediction and truth, 1 is perfect; brackets hold the 95 % interval of the mean."
    if kind == "run":
        read += " None of these patients was used for training or for choosing the weights."
    return [line for line in (*lines, read) if line]


def badly_table(verdicts: Mapping[str, Verdict], openable: Collection[str]) -> Cells:
    """Make the table of scans that did badly, the worst first; {} where there is none.

    It has forty lines at most; `more` says how many are not in it.
    """
    if not verdicts:
        return {}
    rows = [_line(one, one.case in openable) for one in list(verdicts.values())[:LISTED]]
    more = len(verdicts) - LISTED
    words = f"{count(more, 'further scan')} not shown here; choose “did badly” in the table of all scans."
    patients = any(one.subject != one.case for one in verdicts.values())
    return {"rows": rows, "patients": patients, "more": words if more > 0 else ""}


def _line(one: Verdict, opens: bool) -> Cells:
    badge = _BADGE_OF[one.kind]
    dice = number(one.dice)
    cells: Cells = {"case": one.case, "subject": one.subject, "dice": dice, "short": one.short, "open": opens}
    return cells | {"badge": (badge, BADGES[badge]), "reasons": one.reasons}


def _failed(found: Sequence[Verdict]) -> str:
    if not found:
        return "No prediction failed."
    counts = "it counts" if len(found) == 1 else "they count"
    return f"{count(len(found), 'prediction')} failed; {counts} as the worst, nothing was dropped: {_why(found)}."


def _why(found: Sequence[Verdict]) -> str:
    """Name scans with the reason why they failed, which is said once for all that share it."""
    reasons: dict[str, list[Verdict]] = {}
    for one in found:
        reasons.setdefault(one.reasons[0], []).append(one)
    told = [f"{', '.join(one.case for one in own[:NAMED])}{_more(own)} ({why})" for why, own in reasons.items()]
    return "; ".join(told[:NAMED]) + (f"; and {len(told) - NAMED} more reasons" if len(told) > NAMED else "")


def _bad(found: Sequence[Verdict], scan: str) -> str:
    """Name the scans that did badly; `scan` is what there are none of, "" where nothing can be said."""
    if not found:
        return f"No {scan} has a Dice below {BAD:g}." if scan else ""
    names = ", ".join(f"{one.case} ({one.short}, Dice {number(one.dice)})" for one in found[:NAMED]) + _more(found)
    return f"{count(len(found), 'scan')} did badly, with a Dice below {BAD:g}: {names}."


def _alarms(found: Sequence[Verdict], region: str) -> str:
    if not found:
        return ""
    verb = "has" if len(found) == 1 else "have"
    names = ", ".join(one.case for one in found[:NAMED]) + _more(found)
    return f"{count(len(found), 'healthy scan')} {verb} something marked where there is no {region}: {names}."


def _first(found: Sequence[Verdict]) -> str:
    """Name the scan that is worth a look first: the lowest that has a prediction."""
    shown = [one for one in found if one.kind != "failed"]
    if not shown:
        return ""
    one = shown[0]
    dice = "" if one.kind == "alarm" else f", Dice {number(one.dice)}"
    return f"Look first at {one.case} ({one.short}{dice}): {one.reasons[0]}."


def _more(found: Sequence[Verdict]) -> str:
    return f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
