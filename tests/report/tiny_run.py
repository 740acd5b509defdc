"""A tiny data set with predictions and scores, as real files: what the report stage reads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medseg.files.nifti.writing import write_image, write_mask
from medseg.files.records import CaseRecord, FileRecord, Reason, SchemeRecord, write_record
from medseg.report.settings import ReportSettings
from medseg.stages.report import run as report
from medseg.stages.score import ScoreStage
from medseg.stages.score import run as score
from medseg.values.machine import Machine
from medseg.values.streams import stream
from medseg.values.volume import Array, Volume

SHAPE = (14, 12, 10)
SPACING_MM = (1.0, 1.0, 2.0)


@dataclass(frozen=True)
class Tiny:
    """One case: tumour or healthy; the prediction is moved by `shift` voxels, or missing (None).

    A healthy case with a shift other than 0 gets a false lesion. `annotated` are the labels that were looked for.
    """

    case: str
    tumour: bool = True
    shift: int | None = 0
    annotated: tuple[str, ...] | None = None


CASES = (
    Tiny("good", shift=0),
    Tiny("fair", shift=1),
    Tiny("poor", shift=3),
    Tiny("gone", shift=None),
    Tiny("clean", tumour=False, shift=0),
    Tiny("alarm", tumour=False, shift=2),
)


def make_inputs(folder: Path, cases: Sequence[Tiny] = CASES, region: str = "tumour") -> dict[str, Path]:
    """Write data, index, split, plan, curve, predictions and scores below `folder`; return the stage's inputs."""
    regions = {"core": (1,), "rim": (2,), region: (1, 2)}
    write_record(folder / "scheme.json", SchemeRecord(labels={"core": 1, "rim": 2}, regions=regions, tumour=region))
    inputs = {"data": folder / "data", "scheme": folder / "scheme.json"}
    inputs["data"].mkdir(parents=True)
    records = []
    for one in cases:
        record = _write_case(folder, one)
        records.append(record)
        inputs |= _write_results(folder, one, record, inputs)
    inputs |= _write_rest(folder, records)
    return inputs


def make_run(folder: Path, cases: Sequence[Tiny] = CASES, region: str = "tumour") -> Path:
    """Make a run folder with what the report stage wrote and the files that people read; returns its path."""
    run = folder / "runs" / "tiny"
    (run / "report").mkdir(parents=True)
    (run / "model").mkdir()
    inputs = make_inputs(folder / "work", cases, region)
    report(ReportSettings(), inputs, run / "report", Machine())
    (run / "curve.csv").write_bytes(inputs["curve"].read_bytes())
    (run / "settings.yaml").write_text("name: tiny\nseed: 0\n", encoding="utf-8")
    stages = {"train": {"run": 1, "reused": 0, "failed": 0, "seconds": 2.5, "peak_memory_mb": 300.0}}
    (run / "stages.json").write_text(json.dumps({"stages": stages, "tasks": []}), encoding="utf-8")
    (run / "model" / "card.json").write_text(json.dumps({"labels": {"core": 1, "rim": 2}}), encoding="utf-8")
    return run


def truth_of(one: Tiny) -> Array:
    """Return the mask of a case: a block of rim with a core, or nothing."""
    mask = np.zeros(SHAPE, np.uint8)
    if one.tumour:
        mask[4:9, 3:8, 3:7] = 2
        mask[5:8, 4:7, 4:6] = 1
    return mask


def prediction_of(one: Tiny) -> Array:
    """Return the predicted mask: the truth moved along X, or a false block in a healthy scan."""
    mask = np.roll(truth_of(one), one.shift or 0, axis=0)
    if not one.tumour and one.shift:
        mask[2:4, 2:4, 2:4] = 1
    return mask


def _write_case(folder: Path, one: Tiny) -> CaseRecord:
    truth = truth_of(one)
    noise = stream(0, "tiny", one.case).normal(0, 5, SHAPE)
    image = np.where(truth > 0, 120.0, 60.0) + noise
    image[:2] = 0
    affine = np.diag([*SPACING_MM, 1.0])
    places = {"image": f"{one.case}/image.nii.gz", "mask": f"{one.case}/mask.nii.gz"}
    (folder / "data" / one.case).mkdir()
    write_image(folder / "data" / places["image"], Volume(image[None].astype(np.float32), affine))
    write_mask(folder / "data" / places["mask"], Volume(truth[None], affine))
    record = CaseRecord(
        case=one.case,
        subject=one.case,
        channels={"T1": FileRecord(path=places["image"], sha256="0" * 64)},
        mask=FileRecord(path=places["mask"], sha256="0" * 64),
        shape=SHAPE,
        affine=tuple((float(a), float(b), float(c), float(d)) for a, b, c, d in affine),
        spacing_mm=SPACING_MM,
        annotated=one.annotated,
        tumour_voxels=int(np.count_nonzero(truth)),
    )
    write_record(folder / "cases" / f"{one.case}.json", record)
    return record


def _write_results(folder: Path, one: Tiny, record: CaseRecord, inputs: dict[str, Path]) -> dict[str, Path]:
    made = {
        f"cases/{one.case}": folder / "cases" / f"{one.case}.json",
        f"scores/{one.case}": folder / "scores" / one.case,
    }
    needed = inputs | {"case": made[f"cases/{one.case}"]}
    made[f"scores/{one.case}"].mkdir(parents=True)
    if one.shift is None:
        needed["failure"] = folder / "failure.txt"
        needed["failure"].write_text("out of memory", encoding="utf-8")
    else:
        target = folder / "predictions" / one.case
        target.mkdir(parents=True)
        affine = np.asarray(record.affine, np.float64)
        write_mask(target / "prediction.nii.gz", Volume(prediction_of(one)[None], affine))
        needed["prediction"] = made[f"predictions/{one.case}"] = target
    score(ScoreStage(), needed, made[f"scores/{one.case}"], Machine())
    return made


def _write_rest(folder: Path, records: Sequence[CaseRecord]) -> dict[str, Path]:
    reason = Reason(subject="torn", rule="the mask has the shape of the image", value="(3, 4, 5)", remedy="mend it")
    torn = CaseRecord(case="torn", subject="torn", channels={}, mask=None, refused=reason)
    index = {"cases": [record.model_dump(mode="json") for record in (*records, torn)]}
    split = {"train": ["t1", "t2"], "validation": ["v1"], "held_out": [r.case for r in records], "seed": 7}
    plan = {"spacing_mm": [1, 1, 2], "patch": [16, 16, 8], "batch": 2, "plane": None}
    plan["architecture"] = {"dimensions": 3, "channels": 1, "outputs": 3, "features": [8, 16]}
    made = {name: folder / f"{name}.json" for name in ("index", "split", "plan")} | {"curve": folder / "curve.csv"}
    for name, value in (("index", index), ("split", split), ("plan", plan)):
        made[name].write_text(json.dumps(value), encoding="utf-8")
    lines = [f"{step},{1 / step!r},0.001,{0.5 + step / 100 if step % 10 == 0 else ''}" for step in range(1, 31)]
    made["curve"].write_text("\n".join(["step,loss,learning_rate,validation_dice", *lines]) + "\n", encoding="utf-8")
    return made
