"""Everything that a report is made of, wherever it comes from: the stage report, or `medseg evaluate`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from medseg.report.figures import Curve
from medseg.report.pictured import Scans
from medseg.report.settings import ReportSettings
from medseg.report.wording import Kind
from medseg.values.labels import LabelScheme

Json = Mapping[str, Any]
Row = dict[str, Any]
Facts = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Background:
    """What is known beside the scores; everything may be missing.

    facts: (name, value), how the result came about, short.  settings: text of all that was set (YAML).
    provenance: (name, value): versions, commit, digests, seeds.
    curve: rows of curve.csv (step, loss, validation_dice; None: not measured then).
    calibration: content of calibration.json of the stage calibrate.
    refused: case, subject, rule, value and remedy of scans that are part of no number.
    warnings: by case, what was noticed about its scan, such as that it is unlike those a model was trained on.
    """

    facts: Facts = ()
    settings: str = ""
    provenance: Facts = ()
    curve: Curve = ()
    calibration: Json | None = None
    refused: Sequence[Mapping[str, str]] = ()
    warnings: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Material:
    """What `write_report` needs.

    scores: for each case what scores.json of the stage score holds, see `medseg.ops.scoring.record`.
    scans: loads what is drawn; cases without a prediction are absent.
    kind: "run" where a model was trained here and its held-out cases are judged, "evaluation" where label maps came
    from anywhere.
    """

    scheme: LabelScheme
    scores: Sequence[Json]
    scans: Scans = field(default_factory=dict)
    settings: ReportSettings = field(default_factory=ReportSettings)
    kind: Kind = "run"
    background: Background = Background()

    @property
    def rows(self) -> list[Row]:
        """Rows of scores.csv of all cases, in order."""
        return [row for case in self.scores for row in case["rows"]]

    @property
    def notes(self) -> list[tuple[str, str]]:
        """Case and what was done to its prediction before it was scored."""
        return [(case["case"], note) for case in self.scores for note in case.get("notes") or ()]

    @property
    def title(self) -> str:
        """Heading of the page."""
        if self.settings.title:
            return self.settings.title
        if self.kind == "run":
            return f"Segmentation of {self.scheme.tumour}: results on held-out patients"
        return f"Segmentation of {self.scheme.tumour}: label maps against the truth"
