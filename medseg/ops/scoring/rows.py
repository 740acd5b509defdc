"""The rows of scores.csv: their columns, and which of them a region fills."""

from __future__ import annotations

from collections.abc import Mapping

Row = Mapping[str, object]

# Rows that every case has beside those of its regions, so no region may have these names.
HEALTHY = "healthy"
ALL = "all"
# The cohort of a scan in which nobody looked for tumour: neither a tumour scan nor a healthy one.
UNKNOWN = "unknown"

_OVERLAP = ("dice", "iou", "sensitivity", "precision", "specificity")
_SURFACES = ("hd95_mm", "assd_mm", "nsd")
_VOLUMES = ("volume_truth_ml", "volume_predicted_ml", "volume_error_ml")
_LESIONS = (
    *("lesions_truth", "lesions_found", "false_lesions", "lesion_dice", "lesion_hd95_mm", "lesion_f1"),
    *("panoptic_quality", "segmentation_quality", "recognition_quality", "false_positive_ml", "false_negative_ml"),
)
_CERTAINTY = ("ece", "brier")
_CLASSES = ("pixel_accuracy", "miou")

columns: tuple[str, ...] = (
    *("case", "subject", "cohort", "region"),
    *_OVERLAP,
    *_SURFACES,
    *_VOLUMES,
    *_LESIONS,
    *_CERTAINTY,
    *_CLASSES,
    *("site", "reason"),
)
"""Columns of scores.csv, in order; None is an empty cell."""


def measures_of(region: str) -> tuple[str, ...]:
    """Return the measures that a region's rows are filled with."""
    if region == ALL:
        return _CLASSES
    return (*_OVERLAP, *_SURFACES, *_VOLUMES) + (() if region == HEALTHY else (*_LESIONS, *_CERTAINTY))


def looked_for(row: Row) -> bool:
    """Tell whether the row's region was annotated in its scan; where it was not, every measure is undefined."""
    return any(row.get(measure) is not None for measure in measures_of(str(row["region"])))
