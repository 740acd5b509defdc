"""Panoptic quality: how many lesions are matched one to one, and how well."""

from __future__ import annotations

from dataclasses import dataclass

from medseg.ops.scoring.overlap import EmptyRule, worth
from medseg.ops.scoring.pair import Pair

_MATCH = 0.5  # above it a component can match but one other


@dataclass(frozen=True, slots=True)
class Panoptic:
    """quality = segmentation x recognition: the mean IoU of matches, and the F1 of components; None is undefined."""

    quality: float | None
    segmentation: float | None
    recognition: float | None


def panoptic_quality(pair: Pair, empty: EmptyRule) -> Panoptic:
    """Return the panoptic quality of two masks, whose components are 26-connected (in one slice 8).

    A lesion and a finding match where their IoU is above 0.5. Both masks empty: as `empty` says. No match, with
    something there: 0 in all three, so that missing more never raises the mean quality of segmentation.
    Source: Kirillov et al. 2019, arXiv:1801.00868, where the last quality is undefined without a match.
    """
    lesions, findings, shared = pair.lesions, pair.findings, pair.overlaps
    components = len(lesions) + len(findings)
    if components == 0:
        value = worth(empty)
        return Panoptic(value, value, value)
    ious = shared.voxels / (lesions.voxels[shared.first] + findings.voxels[shared.second] - shared.voxels)
    matched = ious[ious > _MATCH]
    if len(matched) == 0:
        return Panoptic(0.0, 0.0, 0.0)
    segmentation, recognition = float(matched.mean()), 2 * len(matched) / components
    return Panoptic(segmentation * recognition, segmentation, recognition)
