"""Whether a scan that was read looks like those that its model was trained on."""

from __future__ import annotations

from medseg.ops.guard import signature_of, unlike
from medseg.ops.preparing import Prepared
from medseg.stages.segmenting.models import Model
from medseg.stages.segmenting.reading import Taken
from medseg.values.finding import Finding


def strange(taken: Taken, prepared: Prepared, model: Model) -> tuple[Finding, ...]:
    """Return what is unlike the training scans, each with the measure, what training had and how far out it is."""
    if prepared.body is None:
        raise RuntimeError("the body was not kept")
    box, axes = prepared.placement.box, prepared.placement.orientation
    signature = signature_of(taken.image, prepared.body, box, model.names, taken.missing, axes)
    return unlike(signature, model.card.familiar)
