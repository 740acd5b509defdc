"""The file scores.json of one case: what it holds, how it is made, and how its pooled parts are read again.

    {"case": "P1",
     "rows": [{every name of `rows.columns`: number, text or null}, ...],
     "failed": null, or on one line why there is no prediction,
     "notes": ["the prediction was resampled ..."],
     "lesions": [{"ml": 1.25, "found": true}, ...],
     "froc": null, or {"lesions": 3, "hits": [...], "false": [...], "scans": 1},
     "reliability": {REGION: {"voxels": [...], "inside": [...], "probability": [...], "squared": 1.5}}}

lesions: those of the tumour region, in index order.  froc: see `froc.Froc`, lists along `froc.THRESHOLDS`; with "scans"
0 the prediction failed.  reliability: see `certainty.Certainty`; empty where no probabilities were kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from medseg.ops.scoring.certainty import Certainty
from medseg.ops.scoring.froc import Froc
from medseg.ops.scoring.rows import columns
from medseg.ops.scoring.scan import Scored


@dataclass(frozen=True, slots=True)
class Who:
    """The case that was scored, whose it is, where it was taken, and on one line why it has no prediction."""

    case: str
    subject: str
    site: str | None = None
    failed: str | None = None


def score_record(who: Who, scored: Scored, notes: Sequence[str] = ()) -> dict[str, Any]:
    """Return the content of scores.json of a case; every row has every column, None for an undefined cell."""
    marks = {"case": who.case, "subject": who.subject, "site": who.site, "reason": who.failed}
    return {
        "case": who.case,
        "rows": [{name: (row | marks).get(name) for name in columns} for row in scored.rows],
        "failed": who.failed,
        "notes": list(notes),
        "lesions": [asdict(lesion) for lesion in scored.lesions.lesions],
        "froc": None if scored.froc is None else asdict(scored.froc),
        "reliability": {region: asdict(one) for region, one in scored.reliability.items()},
    }


def froc_of(record: Mapping[str, Any]) -> Froc | None:
    """Read a case's hits and false alarms back from its scores.json; None where no map was kept."""
    found = record.get("froc")
    if found is None:
        return None
    return Froc(found["lesions"], tuple(found["hits"]), tuple(found["false"]), found["scans"])


def reliability_of(record: Mapping[str, Any]) -> dict[str, Certainty]:
    """Read the bins of a case's regions back from its scores.json."""
    return {
        region: Certainty(tuple(one["voxels"]), tuple(one["inside"]), tuple(one["probability"]), one["squared"])
        for region, one in (record.get("reliability") or {}).items()
    }
