"""What is measured of each case of `evaluate`, and the same case again to be drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from medseg.experiment.evaluating.case import Case, Rules, plain
from medseg.experiment.evaluating.case_reading import numbers_in
from medseg.experiment.evaluating.pairing import Pair
from medseg.experiment.evaluating.settings import EvaluateSettings
from medseg.files.scans import digest_of_scan, scan_mask
from medseg.ops.scoring.record import Who, score_record
from medseg.ops.scoring.rows import ALL, HEALTHY, UNKNOWN, columns, measures_of
from medseg.ops.scoring.scan import Scan, score_scan
from medseg.report.pictured import Pictured
from medseg.stages.reporting.picturing import pictured_of
from medseg.values.error import Refusal
from medseg.values.volume import Volume

Json = dict[str, Any]


def look(pair: Pair, settings: EvaluateSettings, folders: tuple[Path, ...]) -> Json:
    """Return the `numbers` in a true mask and its `sha256`; of one that cannot be read, why not in `failed`."""
    try:
        numbers = numbers_in(scan_mask(pair.truth, settings.data.reading, as_stored=True).volume.voxels)
        return {"numbers": list(numbers), "sha256": digest_of_scan(pair.truth), "failed": None}
    except Exception as error:  # whatever a damaged file makes a reader raise
        return {"numbers": [], "sha256": None, "failed": plain(error, pair, folders)}


def score_case(pair: Pair, rules: Rules) -> Json:
    """Return `scores`, the content of scores.json (see `medseg.ops.scoring.record`), and what came of the files.

    A prediction that is missing, cannot be read, lies on another grid or holds labels that mean nothing is scored as
    the worst one, with the reason. Where the truth itself cannot be read, every measure is undefined: nobody knows it.
    `strange` are labels that mean nothing in the truth, `sha256` the digests of the other files.
    """
    case = Case(pair, rules)
    try:
        scores = _measured(case)
    except Exception as error:  # whatever one case makes a reader or a measure raise
        scores = unscored(pair, rules, plain(error, pair, rules.folders))
    return {"scores": scores, "strange": list(case.strange), "sha256": case.digests}


def unscored(pair: Pair, rules: Rules, why: str) -> Json:
    """Return the scores of a case that nothing could be measured of: every cell is undefined, its cohort unknown."""
    start = {"case": pair.case, "subject": pair.subject, "site": pair.site, "cohort": UNKNOWN, "reason": why}
    rows = [dict.fromkeys(columns) | start | {"region": name} for name in (*rules.scheme.regions, HEALTHY, ALL)]
    empty: Json = {"notes": [], "lesions": [], "froc": None, "reliability": {}}
    return {"case": pair.case, "rows": rows, "failed": why, **empty}


def picture(pair: Pair, rules: Rules) -> Pictured:
    """Read a case again, to be drawn; one without a prediction that can be scored is not asked for."""
    case = Case(pair, rules)
    truth, predicted = case.masks()
    if predicted is None:
        rule = "masks stay as they are until they are drawn"
        raise Refusal(pair.case, rule, case.failed, "evaluate again")
    image = case.image(truth)
    shown = None if image is None else Volume(image[None], truth.affine)
    return pictured_of(shown, truth, predicted, rules.scheme, pair.annotated)


def _measured(case: Case) -> Json:
    """Measure everything. Without an image every voxel counts where probabilities are judged, and none is healthy."""
    pair, rules = case.pair, case.rules
    truth, predicted = case.masks()
    body = case.body(case.image(truth))
    maps = case.maps(truth)
    place = np.full(truth.shape, bool(maps)) if body is None else body
    scored = score_scan(Scan(truth, predicted, place, pair.annotated, maps), rules.scheme, rules.settings)
    record = score_record(Who(pair.case, pair.subject, pair.site, case.failed), scored, case.notes)
    if body is None:
        _leave_out_healthy(record["rows"])
    return record


def _leave_out_healthy(rows: list[Json]) -> None:
    """Empty the cells of healthy tissue: nobody knows what is body."""
    for row in rows:
        if row["region"] == HEALTHY:
            row.update(dict.fromkeys(measures_of(HEALTHY)))
