"""Whether the pictures of a scan look like those of training scans, the right way round and in the right channel."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from medseg.ops.guard_familiar import Familiar, FamiliarPair
from medseg.ops.guard_measures import features_of
from medseg.ops.guard_poses import Fits, Models, Pictures, changes, fits, misfits, poses, turned_sizes
from medseg.ops.guard_signature import Signature, picture_of
from medseg.ops.guard_wording import about_pose, times, warning
from medseg.ops.set_channels import exchanged
from medseg.values.finding import Finding

_CLEARLY = -math.log(1.1)  # another pose must fit better by more than its rounding
_AS_GOOD = 0.8  # of the best pose's gain; of those the simplest is named


def seen(signature: Signature, familiar: Familiar) -> Iterator[Finding]:
    """Yield what is unlike in the pictures: turned, exchanged, or, where that does not explain it, another picture."""
    names = [name for name, one in familiar.channels.items() if one.picture and name in signature.channels]
    pictures = Pictures(
        rows={name: picture_of(signature.channels[name])[None] for name in names},
        present={name: np.ones(1, np.bool_) for name in names},
    )
    models = {name: one.picture.model for name, one in familiar.channels.items() if one.picture}
    fitted = fits(pictures, models) if names else Fits({}, {}, {})
    turned = list(_turned(signature, familiar, fitted, pictures, models))
    swapped = [pair for pair in familiar.pairs if _is_exchanged(pair, signature, fitted)]
    yield from turned
    yield from (_about_pair(pair, fitted) for pair in swapped)
    if not turned:
        explained = {name for pair in swapped for name in (pair.first, pair.second)}
        yield from (one for name in names if name not in explained for one in _other(name, familiar, fitted))


def _turned(
    signature: Signature, familiar: Familiar, fitted: Fits, pictures: Pictures, models: Models
) -> Iterator[Finding]:
    """Yield a finding where another pose fits clearly better, and as well as training scans fit."""
    gains = {letters: float(values[0]) for letters, values in fitted.poses.items()}
    better = {
        letters: gain
        for letters, gain in gains.items()
        if letters in familiar.poses
        and gain < min(familiar.poses[letters], _CLEARLY)
        and _sizes_fit(signature, familiar, letters)
        and _fits_turned(letters, familiar, pictures, models)
    }
    if not better:
        return
    best = min(better.values())
    named = min((one for one in better if better[one] <= _AS_GOOD * best), key=lambda one: (changes(one), better[one]))
    value = (
        f"{about_pose(named)}, its picture fits {times(math.exp(-better[named] / 2))} times better; "
        f"training scans at most {times(math.exp(-familiar.poses[named] / 2))} times"
    )
    remedy = "compare it with a training scan in a viewer: its header may have lost the direction of an axis"
    yield warning("lies as its header says", value, remedy)


def _sizes_fit(signature: Signature, familiar: Familiar, letters: str) -> bool:
    """Tell whether a scan whose axes are exchanged has usual sizes along the patient's axes; mirrors change none."""
    sizes = turned_sizes(signature.body_mm, letters)
    if sizes == signature.body_mm:
        return True
    usual = zip(familiar.grid.body_mm, sizes, strict=True)
    return not any(one.excess(math.log10(size)) for one, size in usual)


def _fits_turned(letters: str, familiar: Familiar, pictures: Pictures, models: Models) -> bool:
    found = misfits(pictures, models, poses()[letters])
    return all(_excess(name, familiar, math.log(float(values[0]))) == 0 for name, values in found.items())


def _is_exchanged(pair: FamiliarPair, signature: Signature, fitted: Fits) -> bool:
    if pair.first not in signature.channels or pair.second not in signature.channels:
        return False
    gain = fitted.pairs.get((pair.first, pair.second))
    if gain is not None and pair.least is not None and float(gain[0]) < min(pair.least, _CLEARLY):
        return True
    first, second = (features_of([signature.channels[name]]) for name in (pair.first, pair.second))
    return pair.difference is not None and bool(exchanged(pair.difference, first, second)[0])


def _about_pair(pair: FamiliarPair, fitted: Fits) -> Finding:
    gain = fitted.pairs.get((pair.first, pair.second))
    value = "the intensities of each look like the other's in the training scans"
    if gain is not None and pair.least is not None and float(gain[0]) < min(pair.least, _CLEARLY):
        value = (
            f"exchanged, their pictures fit {times(math.exp(-float(gain[0]) / 2))} times better; "
            f"training scans at most {times(math.exp(-pair.least / 2))} times"
        )
    remedy = "compare the pictures, and swap the files if they are wrong"
    return warning(f"{pair.first} and {pair.second} are not exchanged", value, remedy)


def _other(name: str, familiar: Familiar, fitted: Fits) -> Iterator[Finding]:
    usual, misfit = familiar.channels[name].misfit, float(fitted.misfit[name][0])
    if usual is None or _excess(name, familiar, misfit) == 0:
        return
    value = (
        f"its picture is {times(math.exp((misfit - usual.middle) / 2))} times as far from the usual one as training "
        f"scans are, of which none was farther than {times(math.exp((usual.high - usual.middle) / 2))} times"
    )
    remedy = "look at it: another part of the body, another kind of scan, or cut off differently"
    yield warning(f"{name} shows what the training scans show", value, remedy)


def _excess(name: str, familiar: Familiar, misfit: float) -> float:
    """Return by how much the logarithm of a misfit is above the usual; none is too small."""
    usual = familiar.channels[name].misfit
    return 0.0 if usual is None else max(0.0, usual.excess(misfit))
