"""Segment one prepared scan: windows, slabs, labels on its own voxels, and how far to trust them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from medseg.engines.inference.certainty import Certainty
from medseg.engines.inference.decoding import class_regions, paint_order
from medseg.engines.inference.frame import Forward, Frame, Room
from medseg.engines.inference.maps import Wanted
from medseg.engines.inference.notes import noted
from medseg.engines.inference.restoring import NOTHING, Restored, Restorer
from medseg.engines.inference.settings import InferenceSettings
from medseg.engines.inference.stream import stream_slabs
from medseg.engines.packages.package import Card
from medseg.engines.room import large_arrays_returned
from medseg.ops.confidence import Confidence
from medseg.ops.forecast import forecast
from medseg.ops.placement import Placement, cropped_spacing_mm
from medseg.ops.postprocessing import Postprocessing, postprocess
from medseg.values.error import Refusal
from medseg.values.labels import LabelScheme
from medseg.values.volume import Array


@dataclass(frozen=True, slots=True, eq=False)
class Segmented:
    """A segmented scan on its cropped grid, canonical axes.

    classes: uint8 (*cropped), class indices after post-processing.  probabilities: float16 (K, *cropped), and
    uncertainty and joined: float16 (*cropped), 0..1, at the card's temperature and before post-processing, None unless
    they were wanted.  notes: what was done in another way than asked for.
    """

    classes: Array
    confidence: Confidence
    probabilities: Array | None = None
    uncertainty: Array | None = None
    joined: Array | None = None
    notes: tuple[str, ...] = ()


def segment_prepared(
    members: Sequence[Forward],
    card: Card,
    image: Array,
    placement: Placement,
    settings: InferenceSettings,
    room: Room,
    wanted: Wanted = NOTHING,
) -> Segmented:
    """Segment a prepared image (C, *prepared) float32 with the models that `card` describes.

    Labels do not depend on the card's temperature, nor confidence on post-processing. A slab lives only until its
    labels are known. Refuses an image with another number of channels than the models read.
    """
    if len(image) != card.channels:
        rule = f"the model reads {card.channels} channels {card.channel_names}"
        raise Refusal("image", rule, len(image), "give the channels that the model was trained with")
    scheme = card.scheme.scheme
    restorer = _restorer(card, scheme, placement, wanted)
    certainty = Certainty(card.activation, prod(placement.spacing_mm) / 1000)
    frame = Frame(card.plan.patch, card.plan.plane, card.activation, card.mirror_axes)
    with noted() as notes, large_arrays_returned():
        for slab in stream_slabs(members, image, frame, settings, room):
            certainty.add(slab)
            restorer.add(slab)
            del slab  # else it would stay until the next one is complete
    restored = restorer.finish()
    return Segmented(
        classes=_cleaned(restored, scheme, _cleaning(settings, card), placement),
        confidence=_with_forecast(certainty.confidence(), card),
        probabilities=restored.probabilities,
        uncertainty=restored.uncertainty,
        joined=restored.joined,
        notes=tuple(dict.fromkeys(notes)),
    )


def _restorer(card: Card, scheme: LabelScheme, placement: Placement, wanted: Wanted) -> Restorer:
    order = paint_order(class_regions(scheme)) if card.activation == "sigmoid" else ()
    temperature = 1.0 if card.calibration is None else card.calibration.temperature
    return Restorer(placement, card.activation, order, wanted, temperature)


def _cleaning(settings: InferenceSettings, card: Card) -> Postprocessing | None:
    """Return the clean-up that the settings ask for; auto is what the card found to help."""
    if settings.postprocess == "auto":
        return card.postprocessing
    return None if settings.postprocess == "none" else settings.postprocess


def _cleaned(restored: Restored, scheme: LabelScheme, cleaning: Postprocessing | None, placement: Placement) -> Array:
    if cleaning is None:
        return restored.classes
    return postprocess(restored.classes, scheme, cleaning, cropped_spacing_mm(placement))


def _with_forecast(confidence: Confidence, card: Card) -> Confidence:
    if card.forecast is None:
        return confidence
    return confidence.model_copy(update={"forecast_dice": forecast(confidence, card.forecast)})
