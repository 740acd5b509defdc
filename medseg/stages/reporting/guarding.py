"""Whether the scans of a report look like those that the model was trained on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medseg.files.records import CaseRecord
from medseg.ops.guard import Familiar, signature_of, unlike
from medseg.ops.orientation import orientation_of
from medseg.ops.preparing import PrepareSettings, crop_to_body
from medseg.stages.channels import missing_channels
from medseg.values.volume import Volume


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

    def warnings(self, record: CaseRecord, image: Volume) -> tuple[str, ...]:
        """Say what of a scan is unlike the training scans, nothing where it looks like them.

        image: its channels `(C, X, Y, Z)` as `load_channels` gives them.
        """
        missing = missing_channels(record)
        body, start, stop = crop_to_body(image, self.prepare, missing)
        box = [slice(low, high) for low, high in zip(start, stop, strict=True)]
        axes = orientation_of(np.asarray(record.affine, np.float64))
        signature = signature_of(image, body, box, record.channel_names, missing, axes)
        found = unlike(signature, self.familiar)
        return tuple(f"{one.rule}, got {one.value}" for one in found if one.severity == "warn")
