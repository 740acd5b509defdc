"""Records of segmented scans, of every kind that a contact sheet shows."""

from __future__ import annotations

import base64

import numpy as np

from medseg.files.segmented import SegmentedScan
from medseg.report.scan_picture import scan_picture
from medseg.values.finding import Finding

LABELS = {"liver": 1, "tumour": 2}


def picture() -> str:
    """A small picture as a record holds it."""
    generator = np.random.default_rng(0)
    image, classes = generator.normal(size=(24, 20, 16)), np.zeros((24, 20, 16), np.uint8)
    classes[6:14, 5:12, 4:10] = 1
    classes[8:11, 7:10, 6:8] = 2
    return base64.b64encode(scan_picture(image, classes, (1.0, 1.0, 2.0))).decode()


def scan(case: str, dice: float | None = 0.9, **changes: object) -> SegmentedScan:
    """A scan that was segmented well, and whatever differs."""
    confidence = {"margin": 0.93, "boundary_entropy": 0.21, "agreement": 0.97, "expected_dice": 0.94,
                  "doubtful_ml": 0.4, "forecast_dice": dice, "forecast_error": 0.03}  # fmt: skip
    values = {"case": case, "status": "done", "made_from": "digest", "mask": f"{case}.nii.gz", "labels": LABELS,
              "volume_ml": {"liver": 1504.2, "tumour": 12.25}, "confidence": confidence, "seconds": 12.3,
              "peak_memory_mb": 812.0, **changes}  # fmt: skip
    return SegmentedScan.model_validate(values)


def unlike(case: str, dice: float = 0.9) -> SegmentedScan:
    """A scan that the guard warns of."""
    finding = Finding(severity="warn", rule="spacing is like that of the training scans", value="5 mm (0.8 to 1.5 mm)",
                      remedy="check that it is the right series")  # fmt: skip
    return scan(case, dice, guard=(finding,))


def empty(case: str, doubtful_ml: float = 0.0) -> SegmentedScan:
    """A scan in which nothing was found."""
    return scan(case, confidence={"doubtful_ml": doubtful_ml}, volume_ml={"liver": 0.0, "tumour": 0.0})


def failed(case: str, reason: str = "the gzip stream is whole, got EOF; fetch the file again") -> SegmentedScan:
    """A scan that could not be segmented."""
    return SegmentedScan(case=case, status="failed", made_from="digest", reason=f"{case}.nii.gz: {reason}")
