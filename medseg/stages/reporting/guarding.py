"""Whether scans that did badly look like those that the model was trained on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medseg.files.records import CaseRecord
from medseg.ops.guard import Familiar, signature_of, unlike
from medseg.ops.orientation import orientation_of
from medseg.ops.preparing import PrepareSettings, crop_to_body
from medseg.report.verdicts import Verdict
from medseg.stages.cases import load_channels
from medseg.stages.channels import missing_channels

MOST = 20  # so many scans are looked at, the worst: each is read once more


@dataclass(frozen=True, slots=True)
class Guard:
    """What training scans looked like, and how the body of a scan is found."""

    familiar: Familiar
    prepare: PrepareSettings

    @classmethod
    def read(cls, card: Path) -> Guard:
        """Read both from the card of a model package."""
        found = json.loads(card.read_text(encoding="utf-8"))
        parts = {name: json.dumps(found[name]) for name in ("familiar", "prepare")}
        return cls(
            Familiar.model_validate_json(parts["familiar"]), PrepareSettings.model_validate_json(parts["prepare"])
        )

    def warnings(self, record: CaseRecord, data: Path) -> list[str]:
        """Say what of a scan is unlike the training scans, nothing where it looks like them."""
        image, missing = load_channels(record, data), missing_channels(record)
        body, start, stop = crop_to_body(image, self.prepare, missing)
        box = [slice(low, high) for low, high in zip(start, stop, strict=True)]
        axes = orientation_of(np.asarray(record.affine, np.float64))
        signature = signature_of(image, body, box, record.channel_names, missing, axes)
        found = unlike(signature, self.familiar)
        return [f"unlike the training scans: {one.rule}, got {one.value}" for one in found if one.severity == "warn"]


def guard_warnings(
    verdicts: Iterable[Verdict], records: Mapping[str, CaseRecord], data: Path, guard: Guard
) -> dict[str, list[str]]:
    """Return by case what is unlike the training scans, of the worst twenty that have a prediction."""
    cases = [one.case for one in verdicts if one.kind != "failed"][:MOST]
    return {case: guard.warnings(records[case], data) for case in cases}
