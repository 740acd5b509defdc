"""A finished run or an evaluation, opened for Python programs: its folder, and its scans where they lie."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from medseg.experiment.opening.evaluated import evaluated_scan, evaluated_scheme
from medseg.experiment.opening.place import place_of
from medseg.files.records import read_case, read_scheme
from medseg.report.notebook.run import Run
from medseg.report.pictured import Pictured
from medseg.report.reading import Kept, read_kept
from medseg.stages.reporting.picturing import Place as OnDisk
from medseg.stages.reporting.picturing import load_pictured
from medseg.values.error import Refusal
from medseg.values.labels import LabelScheme


def open_run(folder: str | PathLike[str]) -> Run:
    """Open the folder of a run, or one that `medseg evaluate` wrote; refuses one without scores.

    Scans are looked for when their voxels are asked for, so a copy of the folder can be opened anywhere.
    """
    kept = read_kept(Path(folder))
    if kept.kind == "evaluation":
        return Run(kept, lambda: evaluated_scheme(kept), lambda case: evaluated_scan(kept, case))
    return Run(kept, lambda: _scheme(kept), lambda case: _pictured(kept, case))


def _scheme(kept: Kept) -> LabelScheme:
    return read_scheme(place_of(kept.path).index / "scheme.json").scheme


def _pictured(kept: Kept, case: str) -> Pictured:
    """Read a held-out scan of a run; refuses one without a prediction."""
    place = place_of(kept.path)
    prediction = kept.path / "predictions" / f"{case}.nii.gz"
    if not prediction.is_file():
        raise Refusal(case, "the scan has a prediction", f"no file {prediction}", "see run.failed")
    scheme = read_scheme(place.index / "scheme.json").scheme
    return load_pictured(OnDisk(read_case(place.record(case)), place.data, prediction, place.grid), scheme)
