"""The scans of a folder that `medseg evaluate` wrote, read again from where they were."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from medseg.experiment.evaluating.case import Rules
from medseg.experiment.evaluating.pairing import Pair
from medseg.experiment.evaluating.place import RECORD
from medseg.experiment.evaluating.scoring import picture
from medseg.experiment.evaluating.settings import EvaluateSettings
from medseg.files.layouts.values import ChannelFile
from medseg.files.records import SchemeRecord
from medseg.ops.scoring.rows import UNKNOWN
from medseg.report.pictured import Pictured
from medseg.report.reading import Kept
from medseg.values.error import Refusal
from medseg.values.labels import LabelScheme

_REMEDY = "pictures of the report are there without it: case.show(); else evaluate again where the masks are"
Json = Mapping[str, Any]


def evaluated_scheme(kept: Kept) -> LabelScheme:
    """Return what the numbers in the masks mean."""
    return SchemeRecord.model_validate_json(json.dumps(_record(kept)["scheme"])).scheme


def evaluated_scan(kept: Kept, case: str) -> Pictured:
    """Read a scan again as it was scored; refuses one without a prediction, and files that are gone."""
    record = _record(kept)
    told = record["cases"][case]
    if told["failed"] is not None:
        raise Refusal(case, "the scan has a prediction that can be scored", told["failed"], "see run.failed")
    settings = json.dumps({**record["settings"], "out": str(kept.path)})
    pair = Pair(
        case=case,
        subject=case,
        site=None,
        truth=_file(case, record["folders"]["truth"], told["truth"]),
        predicted=_file(case, record["folders"]["predictions"], told["prediction"]),
        image=_image(record["folders"], told["image"]),
    )
    made = picture(pair, Rules(evaluated_scheme(kept), EvaluateSettings.model_validate_json(settings)))
    return replace(made, known=all(row["cohort"] != UNKNOWN for row in kept.rows if row["case"] == case))


def _record(kept: Kept) -> Json:
    record = kept.record(RECORD)
    if not record:
        raise Refusal(str(kept.path), f"a folder of evaluate holds {RECORD}", "none", _REMEDY)
    return record


def _image(folders: Json, told: Json | None) -> ChannelFile | None:
    """Return the image; without one that is still there the masks are shown alone."""
    if told is None:
        return None
    path = _path(folders["images"] or folders["truth"], told)
    return ChannelFile(path) if path.exists() else None


def _file(case: str, folder: str, told: Json) -> Path:
    path = _path(folder, told)
    if not path.exists():
        raise Refusal(case, "the masks are where they were", f"no file {path}", _REMEDY)
    return path


def _path(folder: str, told: Json) -> Path:
    root = Path(folder)
    return (root.parent if root.is_file() else root) / str(told["path"])
