"""Hold the signature of a new scan against what training scans looked like, and say what is unlike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from medseg.ops.guard_familiar import Familiar
from medseg.ops.guard_measures import MEASURES, STEP, measures_of
from medseg.ops.guard_seeing import seen
from medseg.ops.guard_signature import ChannelSignature, Signature
from medseg.ops.guard_usual import Usual
from medseg.ops.guard_wording import about_intensities, about_lengths, about_unit, warning
from medseg.ops.set_channels import RANGE
from medseg.ops.set_outliers import FEWEST
from medseg.values.finding import Finding


def unlike(signature: Signature, familiar: Familiar) -> tuple[Finding, ...]:
    """Return what is unlike the training scans: the measure, what training had, and how far out the scan is.

    `warn` for what a network has not learned to deal with, `note` for what is only worth knowing: another stored
    orientation, which is turned back, and that there were too few training scans to say what is usual. Channels that
    training did not have are passed over.
    """
    return (
        *_what_is_known(familiar),
        *_grid(signature, familiar),
        *_orientation(signature, familiar),
        *_intensities(signature, familiar),
        *seen(signature, familiar),
    )


def _what_is_known(familiar: Familiar) -> Iterator[Finding]:
    if familiar.cases < FEWEST:
        yield Finding(
            severity="note",
            rule=f"at least {FEWEST} training scans tell what is usual",
            value=f"{familiar.cases}",
            remedy="only what is grossly different is noticed: look at the result yourself",
        )


def _grid(signature: Signature, familiar: Familiar) -> Iterator[Finding]:
    grid = familiar.grid
    remedy = "check the spacing in the header: it may be wrong, or the scan of another protocol"
    rule = "voxels are as large as those of the training scans"
    yield from _lengths(rule, "voxels", signature.spacing_mm, grid.spacing_mm, remedy)
    remedy = "check that it shows the same part of the body, as much of it, and that its spacing is right"
    rule = "shows as much as the training scans"
    body = list(_lengths(rule, "a body", signature.body_mm, grid.body_mm, remedy))
    yield from body or _lengths(rule, "a scan", signature.whole_mm, grid.whole_mm, remedy)


def _lengths(
    rule: str, what: str, lengths_mm: Sequence[float], usual: Sequence[Usual], remedy: str
) -> Iterator[Finding]:
    if not usual:
        return
    excesses = [one.excess(float(np.log10(edge))) for one, edge in zip(usual, lengths_mm, strict=True)]
    if any(excesses):
        yield warning(rule, about_lengths(what, lengths_mm, usual, max(excesses, key=abs)), remedy)


def _orientation(signature: Signature, familiar: Familiar) -> Iterator[Finding]:
    if familiar.cases >= FEWEST and familiar.axes and signature.axes not in familiar.axes:
        yield Finding(
            severity="note",
            rule="is stored with its axes like the training scans",
            value=f"{signature.axes}; training had {', '.join(familiar.axes)}",
            remedy="nothing, if the header is right: the axes are turned",
        )


def _intensities(signature: Signature, familiar: Familiar) -> Iterator[Finding]:
    for name, channel in signature.channels.items():
        if name in familiar.channels:
            yield from _channel(name, channel, familiar.channels[name].measures)


def _channel(name: str, channel: ChannelSignature, usual: dict[str, Usual]) -> Iterator[Finding]:
    values = dict(zip(MEASURES, (float(value) for value in measures_of([channel])[0]), strict=True))
    excesses = {key: usual[key].excess(value) for key, value in values.items()}
    unit = {RANGE: excesses.pop(RANGE), STEP: max(0.0, excesses.pop(STEP))}  # finer steps than usual harm nobody
    if any(unit.values()):
        odd = RANGE if unit[RANGE] else STEP
        rule = f"{name} has the unit of the training scans"
        remedy = "look for another unit, a wrong scale factor, or digits lost on the way"
        yield warning(rule, about_unit(odd, values[odd], usual[odd], unit[odd]), remedy)
    if any(excesses.values()):
        worst = max(excesses, key=lambda key: abs(excesses[key]))
        rule = f"intensities of {name} are spread as in the training scans"
        value = about_intensities(worst, values[worst], usual[worst], excesses[worst])
        yield warning(rule, value, "look at it: another kind of scan, another unit, or padding around it")
