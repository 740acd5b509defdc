"""The stages of an experiment by name, and what it has reached of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from medseg.files.records import Reason
from medseg.pipeline.store import Finished, Source
from medseg.values.finding import Finding

STAGES = ("phantom", "index", "split", "fingerprint", "prepare", "train", "calibrate", "predict", "score", "report")
UNTIL = {"run": "report", "train": "calibrate"}  # how far commands go that do not end with the stage of their name


@dataclass
class Outcome:
    """What an experiment has reached so far: finished stages by name, per-case ones by case, and what failed."""

    stages: dict[str, Finished] = field(default_factory=dict)
    prepared: dict[str, Finished] = field(default_factory=dict)
    predictions: dict[str, Finished] = field(default_factory=dict)
    scores: dict[str, Finished] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    refused: dict[str, Reason] = field(default_factory=dict)
    noticed: tuple[Finding, ...] = ()
    cases: int = 0
    data: Source | None = None

    @property
    def told(self) -> dict[str, str]:
        """Why each refused case was refused, in one line."""
        return {case: f"{one.subject}: {one.rule}, got {one.value}; {one.remedy}" for case, one in self.refused.items()}
