"""Measures in words, and numbers with as many decimals as they need."""

from __future__ import annotations

from collections.abc import Sequence

from medseg.report.wording import MINUS, count

WORDS: dict[str, tuple[str, str, float]] = {
    "dice": ("Dice", "Dice points", 100),
    "iou": ("IoU", "IoU points", 100),
    "sensitivity": ("sensitivity", "points of sensitivity", 100),
    "precision": ("precision", "points of precision", 100),
    "specificity": ("specificity", "points of specificity", 100),
    "hd95_mm": ("Hausdorff distance (95 %)", "mm of Hausdorff distance (95 %)", 1),
    "assd_mm": ("average surface distance", "mm of average surface distance", 1),
    "nsd": ("surface Dice", "surface Dice points", 100),
    "volume_truth_ml": ("true volume", "ml of true volume", 1),
    "volume_predicted_ml": ("predicted volume", "ml of predicted volume", 1),
    "volume_error_ml": ("volume error", "ml of volume error", 1),
    "lesions_truth": ("number of true lesions", "true lesions per scan", 1),
    "lesions_found": ("number of lesions found", "lesions found per scan", 1),
    "false_lesions": ("number of false lesions", "false lesions per scan", 1),
    "lesion_dice": ("lesion Dice", "lesion Dice points", 100),
    "lesion_hd95_mm": ("lesion Hausdorff distance (95 %)", "mm of lesion Hausdorff distance (95 %)", 1),
    "lesion_f1": ("lesion F1", "points of lesion F1", 100),
    "panoptic_quality": ("panoptic quality", "points of panoptic quality", 100),
    "segmentation_quality": ("segmentation quality", "points of segmentation quality", 100),
    "recognition_quality": ("recognition quality", "points of recognition quality", 100),
    "false_positive_ml": ("false volume", "ml of false volume", 1),
    "false_negative_ml": ("missed volume", "ml of missed volume", 1),
    "ece": ("calibration error", "points of calibration error", 100),
    "brier": ("Brier score", "points of Brier score", 100),
    "pixel_accuracy": ("pixel accuracy", "points of pixel accuracy", 100),
    "miou": ("mean IoU", "mean IoU points", 100),
}
"""By measure: its name, the words after an amount of it, and what that amount is multiplied with."""


def fixed(value: float, places: int) -> str:
    """Write a number with so many decimals, its minus as a sign; what rounds to 0 has none."""
    text = f"{value:.{places}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", MINUS)


def amount(value: float) -> str:
    """Write a number with the decimals that its size needs."""
    return fixed(value, places_of([value]))


def places_of(values: Sequence[float]) -> int:
    """Return the decimals that tell numbers of this size apart: one from 1 on, two from 0.1 on, three below."""
    largest = max(abs(value) for value in values)
    return 1 if largest >= 1 else 2 if largest >= 0.1 else 3


def too_few(subjects: int) -> str:
    """Say why there is no interval: "4 patients are too few for an interval"."""
    return f"{count(subjects, 'patient')} {'is' if subjects == 1 else 'are'} too few for an interval"
