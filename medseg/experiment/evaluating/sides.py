"""Both sides of an evaluation, found in their folders and paired by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from medseg.experiment.evaluating.pairing import Pair, Sources, check_names, find_images, find_maps, pairs_of
from medseg.experiment.evaluating.people import chosen, shown, with_subjects
from medseg.experiment.evaluating.settings import EvaluateSettings
from medseg.experiment.evaluating.truths import MASKS, find_truth
from medseg.files.layouts.masks import Masks, find_masks
from medseg.files.layouts.values import Found
from medseg.files.listing import folder_of
from medseg.values.error import wrong_setting

Line = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Sides:
    """What is held against each other: pairs by name of the case, what the truth says about itself, and what is left.

    `extra` are the names of predictions without truth.
    """

    truth: Found
    pairs: tuple[Pair, ...]
    extra: tuple[str, ...]


def sources_of(settings: EvaluateSettings) -> tuple[Path, ...]:
    """Return what is read: folders, and tables of cases."""
    named = (settings.predictions, settings.truth, settings.images, settings.probabilities)
    return tuple(Path(name) for name in named if name is not None)


def find_sides(settings: EvaluateSettings, line: Line) -> Sides:
    """Find both sides and what else is given for the cases; `line` hears what was found and what is left out.

    Refuses (exit 2) folders and tables that cannot be used, and names that do not fit together.
    """
    found, masks = _found(settings)
    cases = found.cases if settings.cases is None else chosen(found.cases, Path(settings.cases))
    if settings.subjects is not None:
        cases = with_subjects(cases, Path(settings.subjects))
    check_names(cases, found.cases, masks, settings.suffix)
    pairs = pairs_of(cases, _sources(settings, masks))
    extra = tuple(sorted(masks.paths.keys() - {case.case for case in found.cases}))
    _tell(settings, found, pairs, line)
    _tell_extra(extra, settings, line)
    return Sides(found, pairs, extra)


def _found(settings: EvaluateSettings) -> tuple[Found, Masks]:
    """Find the masks of both sides; a folder that lies inside the other one is read for its own side only."""
    predictions, truth = Path(settings.predictions), Path(settings.truth)
    if predictions.resolve() != truth.resolve():
        found = find_truth(settings, {predictions.resolve()})
        return found, find_masks(predictions, "predictions", settings.suffix, {truth.resolve()})
    if settings.suffix == settings.truth_suffix:
        remedy = "name two folders, or tell their files apart by suffix and truth_suffix"
        raise wrong_setting("predictions", "are other files than the truth", f"{predictions} twice", remedy)
    found, masks = find_truth(settings, ()), find_masks(predictions, "predictions", settings.suffix)
    return _apart(found, masks, settings) if found.layout == MASKS else (found, masks)


def _apart(found: Found, masks: Masks, settings: EvaluateSettings) -> tuple[Found, Masks]:
    """Give files of one folder that fit both sides to the one whose suffix says more."""
    if len(settings.suffix) > len(settings.truth_suffix):
        taken = set(masks.paths.values())
        return replace(found, cases=tuple(case for case in found.cases if case.mask not in taken)), masks
    truths = {case.mask for case in found.cases}
    return found, replace(masks, paths={case: path for case, path in masks.paths.items() if path not in truths})


def _sources(settings: EvaluateSettings, masks: Masks) -> Sources:
    return Sources(
        truth=folder_of(Path(settings.truth)).resolve(),
        predictions=Path(settings.predictions).resolve(),
        masks=masks,
        images={} if settings.images is None else find_images(Path(settings.images), Path(settings.out)),
        probabilities={}
        if settings.probabilities is None
        else find_maps(Path(settings.probabilities), settings.suffix),
    )


def _tell(settings: EvaluateSettings, found: Found, pairs: Iterable[Pair], line: Line) -> None:
    every = tuple(pairs)
    line(f"{len(every)} scans with a true mask in {settings.truth} (layout {found.layout})")
    without = {"prediction": [pair.case for pair in every if pair.predicted is None]}
    if settings.images is not None:
        without["image"] = [pair.case for pair in every if pair.image is None]
    if settings.probabilities is not None:
        without["probability map"] = [pair.case for pair in every if pair.probabilities is None]
    for what, cases in without.items():
        if cases:
            line(f"warning: {len(cases)} of {len(every)} have no {what}: {shown(cases)}")


def _tell_extra(extra: tuple[str, ...], settings: EvaluateSettings, line: Line) -> None:
    if not extra:
        return
    if settings.extra == "refuse":
        remedy = "remove them, or leave them out with extra=ignore"
        raise wrong_setting("predictions", "have a true mask each, as extra=refuse asks", shown(extra), remedy)
    verb = "predictions have no true mask and are" if len(extra) > 1 else "prediction has no true mask and is"
    line(f"warning: {len(extra)} {verb} left out: {shown(extra)}")
