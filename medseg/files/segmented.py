"""What `segment` keeps of each scan: the record beside its mask, and all of them in segment.json."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from medseg.values.finding import Finding
from medseg.values.settings import Settings


class SegmentedScan(Settings):
    """One scan, as CASE.json beside its mask has it.

    `made_from` is the digest of the scan's files, the model and the settings: the same one, and a mask with the digest
    `mask_sha256`, is not made again. `confidence` holds the measures of `medseg.ops.confidence.Confidence`. `guard` is
    what is unlike the training scans. `volume_ml` has the volume of each label, by name. `notes` tell what was done in
    another way than asked for, like smaller batches where memory ran out. `picture` is the base64 of a small WebP.
    """

    case: str
    status: Literal["done", "failed", "refused"]
    reason: str | None = None
    mask: str | None = None
    mask_sha256: str | None = None
    made_from: str
    labels: dict[str, int] = {}
    volume_ml: dict[str, float] = {}
    confidence: dict[str, float | None] = {}
    guard: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    peak_memory_mb: float = 0.0
    picture: str = ""


def record_path(folder: Path, case: str) -> Path:
    """Return where the record of a case lies."""
    return folder / f"{case}.json"


def read_record(folder: Path, case: str) -> SegmentedScan | None:
    """Return the record of a case; None where there is none, or another file of that name."""
    try:
        text = record_path(folder, case).read_text(encoding="utf-8")
        found = SegmentedScan.model_validate_json(text)
    except (OSError, ValueError):
        return None
    return found if found.case == case else None
