"""Whether a scan looks like those that a network was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from medseg.ops.guard_familiar import Familiar, FamiliarChannel, FamiliarPair, Grid
from medseg.ops.guard_judging import unlike
from medseg.ops.guard_measures import GAIN, LENGTH, MEASURES, MISFIT, SPACING, features_of, measures_of, tolerance_of
from medseg.ops.guard_pictures import PictureModel, packed
from medseg.ops.guard_poses import Fits, Pictures, cross_fits, fit_models
from medseg.ops.guard_signature import ChannelSignature, Signature, picture_of, signature_of
from medseg.ops.guard_usual import usual_of, widened
from medseg.ops.set_channels import usual_difference
from medseg.ops.set_outliers import FEWEST, robust_spread
from medseg.values.digests import digest_of
from medseg.values.volume import FloatArray

__all__ = ["ChannelSignature", "Familiar", "Signature", "familiar_of", "signature_of", "unlike"]

_MOST_PICTURES = 256  # of training scans; more would not change what they have in common
_DIRECTIONS = 40  # of all channels together, so that a card stays at some tens of kB
_MOST_DIRECTIONS = 12
# Spreads between how much better scans usually fit as they are and not at all: more for 47 poses than for one exchange.
_POSES_APART, _CHANNELS_APART = 2.5, 1.5


def familiar_of(signatures: Sequence[Signature]) -> Familiar:
    """Learn from the signatures of training scans, at least one, what the guard holds a new scan against.

    Their order does not matter. How well pictures fit is learned from models that had not seen them.
    """
    scans = sorted(signatures, key=lambda one: digest_of(one.model_dump(mode="json")))
    names = sorted({name for one in scans for name in one.channels})
    pictures = _pictures(scans[:_MOST_PICTURES], names)
    most = min(_MOST_DIRECTIONS, max(1, _DIRECTIONS // max(1, len(pictures.rows))))
    fitted = cross_fits(pictures, most) if pictures.rows else Fits({}, {}, {})
    models = fit_models(pictures, most)
    axes = [one.axes for one in scans]
    return Familiar(
        cases=len(scans),
        axes={letters: axes.count(letters) for letters in sorted(set(axes))},
        grid=_grid(scans),
        channels={name: _channel(scans, name, models.get(name), fitted) for name in names},
        poses=_poses(fitted),
        pairs=_pairs(scans, names, fitted),
    )


def _grid(scans: Sequence[Signature]) -> Grid:
    def columns(sizes: Sequence[Sequence[float]]) -> FloatArray:
        return np.log10(np.asarray(sizes, np.float64)).T

    return Grid(
        spacing_mm=tuple(usual_of(values, SPACING) for values in columns([one.spacing_mm for one in scans])),
        whole_mm=tuple(usual_of(values, LENGTH) for values in columns([one.whole_mm for one in scans])),
        body_mm=tuple(usual_of(values, LENGTH) for values in columns([one.body_mm for one in scans])),
    )


def _channel(scans: Sequence[Signature], name: str, model: PictureModel | None, fitted: Fits) -> FamiliarChannel:
    table = measures_of([one.channels[name] for one in scans if name in one.channels])
    misfits = _known(fitted.misfit.get(name, np.empty(0)))
    learned = model is not None and len(misfits) >= FEWEST
    return FamiliarChannel(
        cases=len(table),
        measures={key: usual_of(values, tolerance_of(key)) for key, values in zip(MEASURES, table.T, strict=True)},
        picture=packed(model) if model is not None and learned else None,
        misfit=usual_of(misfits, MISFIT) if learned else None,
    )


def _pictures(scans: Sequence[Signature], names: Sequence[str]) -> Pictures:
    """Gather the miniatures of the channels that enough scans have."""
    present = {name: np.asarray([name in one.channels for one in scans]) for name in names}
    present = {name: there for name, there in present.items() if there.sum() >= FEWEST}
    return Pictures(rows={name: _rows(scans, name) for name in present}, present=present)


def _rows(scans: Sequence[Signature], name: str) -> FloatArray:
    nothing = np.zeros(len(picture_of(next(one.channels[name] for one in scans if name in one.channels))))
    return np.stack([picture_of(one.channels[name]) if name in one.channels else nothing for one in scans])


def _pairs(scans: Sequence[Signature], names: Sequence[str], fitted: Fits) -> tuple[FamiliarPair, ...]:
    """Learn how every two channels differ in the scans that have both; nothing of two that no scan has together."""
    pairs = []
    for one, other in combinations(names, 2):
        both = [scan for scan in scans if one in scan.channels and other in scan.channels]
        if not both:
            continue
        first, second = (features_of([scan.channels[name] for scan in both]) for name in (one, other))
        pairs.append(
            FamiliarPair(
                first=one,
                second=other,
                least=_least(fitted.pairs.get((one, other), np.empty(0)), _CHANNELS_APART),
                difference=usual_difference(first, second),
            )
        )
    return tuple(pairs)


def _poses(fitted: Fits) -> dict[str, float]:
    least = {letters: _least(values, _POSES_APART) for letters, values in fitted.poses.items()}
    return {letters: value for letters, value in least.items() if value is not None}


def _least(values: FloatArray, apart: float) -> float | None:
    """Return the lowest usual gain; None where too few scans show it, or where it is not clearly one in most."""
    known = _known(values)
    if len(known) < FEWEST:
        return None
    middle, spread = robust_spread(known, 0.0)
    return usual_of(known, GAIN).spans[0].least if middle > apart * spread * widened(len(known)) else None


def _known(values: FloatArray) -> FloatArray:
    return np.asarray(values[np.isfinite(values)])
