"""What `medseg evaluate` is told: the two folders, where the scores go, what the numbers in the masks mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_validator

from medseg.experiment.reading import build
from medseg.files.layouts.values import DataSettings, LayoutName
from medseg.files.reading import Reading, Repair
from medseg.ops.body import BodySettings
from medseg.ops.scoring.settings import ScoreSettings
from medseg.report.settings import ReportSettings
from medseg.values.error import wrong_setting
from medseg.values.machine import Machine

_NEEDED = ("predictions", "truth", "out")
_OTHERWISE: Mapping[Repair, str] = {
    "resample_mask": "grid=resample brings predictions to the grid of the truth",
    "drop_unknown_labels": "labels='{NUMBER: 0}' makes a number of the predictions background",
}


class TruthData(Reading):
    """How the truth lies in its folder, what its numbers are called, and how all files are to be read."""

    layout: Literal["auto", "masks"] | LayoutName = Field(
        "auto", description="auto looks at what is in the folder; masks is a folder of masks and nothing else"
    )
    channels: dict[str, str] = Field({}, description="channel name -> file stem or pattern, in layouts that need it")
    mask: str | None = Field(None, description="file stem or pattern of the mask, in layouts that need it")
    labels: dict[str, int] = Field({}, description="label name -> number in the truth, like {core: 1, oedema: 2}")
    ignore: int | None = Field(None, description="number in the truth of voxels that nobody annotated")
    subject: str | None = Field(
        None, description="whose scan it is: a column, or a regular expression with one group on case names"
    )
    site: str | None = Field(None, description="where it was made: a column, or a regular expression with one group")

    @field_validator("repair")
    @classmethod
    def _has_a_setting(cls, repairs: tuple[Repair, ...]) -> tuple[Repair, ...]:
        """Refuse the repairs for which this command has settings of its own."""
        for repair in repairs:
            if repair in _OTHERWISE:
                raise wrong_setting("data.repair", "names what is mended while reading", repair, _OTHERWISE[repair])
        return repairs

    @property
    def reading(self) -> Reading:
        """How files are to be read."""
        return Reading(assume_orientation=self.assume_orientation, repair=self.repair)

    def data_settings(self, layout: Literal["auto"] | LayoutName = "auto") -> DataSettings:
        """Return the settings of a data set in a layout, as the intake knows them."""
        fields = ("channels", "mask", "labels", "ignore", "subject", "site", "assume_orientation", "repair")
        return DataSettings(layout=layout, **{name: getattr(self, name) for name in fields})


class EvaluateSettings(ScoreSettings):
    """Two folders of masks held against each other. `debug` is for people.

    Names of cases are the names of files without ending and suffix. `labels` says which number of the truth a number
    of the predictions means: `{3: 4}` reads a 3 of the predictions as a 4.
    """

    predictions: str = Field(description="folder of predicted masks, named after their cases")
    truth: str = Field(description="folder of true masks, a data set in a layout, or a table of cases")
    out: str = Field(description="folder of scores.csv, summary.json and report.html")
    images: str | None = Field(None, description="folder of the scans, for pictures and for healthy tissue")
    probabilities: str | None = Field(None, description="folder of probability maps of the tumour, 0 to 1")
    subjects: str | None = Field(None, description="table with the columns case, subject, site")
    cases: str | None = Field(None, description="file of cases, one per line: only these are scored")
    suffix: str = Field("", description="end of the names of predictions that is not the case's, like _pred")
    truth_suffix: str = Field("", description="end of the names of true masks that is not the case's, like -seg")
    extra: Literal["ignore", "refuse"] = Field("ignore", description="predictions of which there is no truth")
    regions: dict[str, tuple[int, ...]] = Field(
        {}, description="region name -> its label numbers, like {lesion: [1], whole: [1, 2]}; else every label is one"
    )
    tumour: str | None = Field(None, description="the region that makes a scan a tumour scan")
    labels: dict[int, int] = Field({}, description="number in the predictions -> number in the truth, like {3: 4}")
    body: BodySettings = BodySettings()
    data: TruthData = TruthData()
    report: ReportSettings = ReportSettings()
    debug: bool = Field(False, description="show the traceback of an error")

    @field_validator("labels")
    @classmethod
    def _are_labels(cls, labels: dict[int, int]) -> dict[int, int]:
        """Refuse numbers that no mask can hold."""
        for old, new in labels.items():
            if not (0 <= old <= 255 and 0 <= new <= 255):
                rule = "numbers of masks are from 0 to 255"
                raise wrong_setting("labels", rule, f"{old}: {new}", "write {prediction's number: truth's number}")
        return labels


def read_evaluate_settings(tree: Mapping[str, Any]) -> tuple[EvaluateSettings, Machine]:
    """Turn a tree of plain values into the settings and the machine; refuses (exit 2) the first thing that is wrong."""
    rest = {name: value for name, value in tree.items() if name != "machine"}
    if set(rest) <= set(EvaluateSettings.model_fields):  # an unknown name may be one of these, written wrongly
        for name in _NEEDED:
            if not rest.get(name):
                raise wrong_setting(name, "a path is needed", "none", f"add {name}=PATH, see medseg evaluate --help")
    if isinstance(rest.get("regions"), Mapping):
        rest["regions"] = {name: _members(value) for name, value in rest["regions"].items()}
    return build(EvaluateSettings, rest, ""), build(Machine, tree.get("machine") or {}, "machine")


def _members(value: Any) -> Any:
    """Take a single number for a region of one label."""
    return [value] if isinstance(value, int) and not isinstance(value, bool) else value
