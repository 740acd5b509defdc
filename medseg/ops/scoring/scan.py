"""Every measure of EVALUATION of one scan: per region, for healthy tissue and over all classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from medseg.ops.scoring import overlap
from medseg.ops.scoring.cells import Cells, Judgement, certainty_cells, lesion_cells, region_cells
from medseg.ops.scoring.certainty import Certainty, measure_certainty
from medseg.ops.scoring.froc import Froc, failed_froc, measure_froc
from medseg.ops.scoring.ground import Ground, Scan
from medseg.ops.scoring.lesions import LesionCounts, LesionRule, count_lesions
from medseg.ops.scoring.pair import Pair
from medseg.ops.scoring.rows import ALL, HEALTHY, UNKNOWN
from medseg.ops.scoring.settings import ScoreSettings
from medseg.ops.scoring.surfaces import diagonal_mm
from medseg.values.labels import LabelScheme

__all__ = ["Row", "Scan", "ScoreSettings", "Scored", "score_scan"]

Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class Scored:
    """What was measured in a scan: its rows, and what is pooled over scans of the tumour region.

    reliability: of the regions whose probabilities were kept.  froc: None where those of the tumour were not, or nobody
    looked for it; a scan whose prediction failed has one without a map.
    """

    rows: list[Row]
    lesions: LesionCounts
    froc: Froc | None
    reliability: Mapping[str, Certainty]


def score_scan(scan: Scan, scheme: LabelScheme, settings: ScoreSettings) -> Scored:
    """Return one row per region, one for healthy tissue and one over all classes, and the lesions of the tumour.

    Healthy tissue is the body without tumour. A cell that is not there or None is undefined.
    Voxels that the truth ignores belong to no scan: they count nowhere, not as true negatives either, and for surfaces
    and lesions they are outside the region in truth and prediction. A region with a label that was not looked for is
    undefined in every cell, failed or not; so is healthy tissue where the tumour region is, and the row over all
    classes where any label is. Then, and where every voxel is ignored, the scan's cohort is "unknown".
    Refuses a prediction of another shape, and a tolerance for a region that the scheme does not have.
    """
    settings.demand_regions(scheme.regions)
    return _Scoring(scan, scheme, settings).scored()


class _Scoring:
    """One scan on its way through all measures."""

    def __init__(self, scan: Scan, scheme: LabelScheme, settings: ScoreSettings) -> None:
        self.scan, self.scheme, self.settings = scan, scheme, settings
        if scan.predicted is not None:
            overlap.require_same_shape(scan.truth.voxels, scan.predicted.voxels)
        self.rule = LesionRule(kind=settings.lesions)
        self.ground = Ground(scan, scheme, self.rule.dilation)
        diagonal = diagonal_mm(scan.truth.shape, scan.truth.spacing_mm)
        self.penalty_mm = diagonal if self.rule.kind == "none" else self.rule.penalty_mm

    def scored(self) -> Scored:
        scheme, annotated = self.scheme, self.scan.annotated
        looked = self.ground.annotated_voxels > 0
        known = [name for name in scheme.regions if looked and scheme.is_annotated(name, annotated)]
        certainty = self._certainty(known)
        lesions, cohort, cells = LesionCounts((), 0), UNKNOWN, dict[str, Cells]()
        for name in known:  # one after the other, so that what a region needs in memory goes with it
            pair = self.ground.pair(name)
            counts = count_lesions(pair)
            cells[name] = self._cells(name, pair, counts) | certainty_cells(certainty.get(name))
            if name == scheme.tumour:
                lesions, cohort = counts, "tumour" if counts.lesions else "healthy"
        if scheme.tumour in cells:
            cells[HEALTHY] = region_cells(self.ground.healthy(self.scan.body), self._how(HEALTHY))
        if looked and scheme.annotated_classes(annotated) is None:
            cells[ALL] = self._classes()
        rows = [{"region": name, **cells.get(name, {}), "cohort": cohort} for name in (*scheme.regions, HEALTHY, ALL)]
        return Scored(rows, lesions, self._froc(scheme.tumour in cells, lesions), certainty)

    def _cells(self, region: str, pair: Pair, counts: LesionCounts) -> Cells:
        how = self._how(region)
        return {**region_cells(pair, how), **lesion_cells(pair, counts, how)}

    def _how(self, region: str) -> Judgement:
        tolerance_mm, voxels = self.settings.tolerance_mm(region), self.ground.annotated_voxels
        failed = self.scan.predicted is None
        return Judgement(self.settings.empty, self.rule, tolerance_mm, self.penalty_mm, voxels, failed)

    def _certainty(self, known: Sequence[str]) -> dict[str, Certainty]:
        """Judge the probabilities of regions on the body: see `measure_certainty`."""
        if self.scan.predicted is None or not self.scan.probabilities:
            return {}
        judged = self.ground.judged(self.scan.body)
        return {
            name: measure_certainty(
                self.ground.flat(self.scan.probabilities[name]),
                self.ground.whole(self.ground.masks(name)[0]),
                judged,
            )
            for name in known
            if name in self.scan.probabilities
        }

    def _froc(self, known: bool, lesions: LesionCounts) -> Froc | None:
        """Follow the tumour's map over all thresholds; what nobody annotated is no finding."""
        if known and self.scan.predicted is None:
            return failed_froc(len(lesions.lesions))
        tumour = self.scheme.tumour
        if not known or tumour not in self.scan.probabilities:
            return None
        probability = self.ground.flat(self.scan.probabilities[tumour])
        if self.ground.kept is not None:
            probability = probability * self.ground.kept
        return measure_froc(probability, self.ground.whole(self.ground.masks(tumour)[0]))

    def _classes(self) -> Cells:
        if self.scan.predicted is None:
            return {"pixel_accuracy": 0.0, "miou": 0.0}
        table = self.ground.table()
        return {"pixel_accuracy": overlap.pixel_accuracy(table), "miou": overlap.miou(table)}
