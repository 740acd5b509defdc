"""The whole of `medseg segment`: open the model, find the scans, do them one after the other, keep the list."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import medseg
from medseg.engines.inference.maps import Wanted
from medseg.engines.inference.settings import InferenceSettings
from medseg.engines.packages.package import CARD, WEIGHTS
from medseg.experiment.segmenting.course import segmented
from medseg.experiment.segmenting.keeping import Keeper, Recipe
from medseg.experiment.segmenting.listing import Listing, changed_since
from medseg.experiment.segmenting.place import opened
from medseg.experiment.segmenting.settings import SegmentSettings
from medseg.experiment.segmenting.steps import ScanSteps
from medseg.experiment.segmenting.writing import PROBABILITIES, UNCERTAINTY
from medseg.files.layouts.find import FoundCase
from medseg.files.layouts.unlabelled import find_scans, passed_over
from medseg.files.layouts.values import Found
from medseg.files.listing import folder_of
from medseg.files.segmented import SegmentedScan
from medseg.ops.postprocessing import Postprocessing, demand_regions
from medseg.report.wording import count
from medseg.stages.segmenting.models import Model, read_model
from medseg.stages.segmenting.reading import Expected
from medseg.stages.segmenting.segmenter import Segmenter
from medseg.values.digests import digest_of_file
from medseg.values.error import wrong_setting
from medseg.values.machine import Machine
from medseg.values.progress import tell


@dataclass(frozen=True, slots=True)
class Told:
    """Who hears of a command: of each scan that has come to its end, and lines about all of them."""

    scan: Callable[[SegmentedScan], None]
    line: Callable[[str], None]


def segment(settings: SegmentSettings, machine: Machine, told: Told) -> Listing:
    """Segment all scans and return the list of them; masks that are there already are not made again.

    Refuses (exit 2) a model, scans or a folder that cannot be used. What is wrong with one scan is its own reason.
    """
    _check_format(machine)
    out, images = Path(settings.out), Path(settings.images)
    model = read_model([Path(folder) for folder in settings.model])
    inference = settings.inference_of(model.card.inference)
    _check_regions(model, inference)
    found = find_scans(images, settings.data, model.names, out)
    folder = folder_of(images)
    told.line(f"{count(len(found.cases), 'scan')} found in {images} (layout {found.layout})")
    for line in _warnings(found, images, out, model, inference):
        told.line(f"warning: {line}")
    segmenter = _segmenter(settings, machine, model, inference)
    with opened(out, images, folder, found.cases):
        head = _head(settings, machine, model, inference)
        parts = {"model": head["model"]["sha256"], "medseg": medseg.__version__, "settings": head["settings"]}
        recipe = Recipe(parts, settings.guard, _maps(settings))
        keeper = Keeper(out, folder, recipe)
        again = _Again(out, head, told.line)
        listing = Listing(out, head)
        _walk(found.cases, ScanSteps(segmenter, keeper, machine.write, again), listing, told)
        listing.write_page(f"Segmentation of {images.resolve().name}", _facts(model, head))
    return listing


def _walk(cases: Sequence[FoundCase], steps: ScanSteps, listing: Listing, told: Told) -> None:
    """Do the scans and list them, also those that were done when something stops the rest."""
    tell("segment", 0, len(cases), "scans")
    try:
        for done, record in enumerate(segmented(cases, steps), start=1):
            listing.add(record)
            told.scan(record)
            tell("segment", done, len(cases), "scans", failed=listing.count("failed", "refused"))
    finally:
        steps.keeper.save()
        listing.write()


class _Again:
    """Says once that masks are made again, and what has changed since the last command in this folder."""

    def __init__(self, out: Path, head: Mapping[str, Any], line: Callable[[str], None]) -> None:
        self.because = changed_since(out, head) or "other scans"
        self.line, self.told = line, False

    def __call__(self, case: str) -> None:
        if not self.told:
            self.told = True
            self.line(f"masks are made again, because of {self.because}; the first one is {case}")


def _segmenter(settings: SegmentSettings, machine: Machine, model: Model, inference: InferenceSettings) -> Segmenter:
    data = settings.data
    expected = Expected(model.names, model.card.missing_channels, data.reading, data.resample_channels)
    place = Path(settings.out) if settings.probabilities else None
    wanted = Wanted(settings.probabilities, settings.uncertainty, place)
    return Segmenter(model, machine, inference, expected, wanted, settings.guard != "off")


def _maps(settings: SegmentSettings) -> tuple[str, ...]:
    asked = {PROBABILITIES: settings.probabilities, UNCERTAINTY: settings.uncertainty}
    return tuple(word for word, wanted in asked.items() if wanted)


def _head(settings: SegmentSettings, machine: Machine, model: Model, inference: InferenceSettings) -> dict[str, Any]:
    """Return what segment.json says before the cases; `settings` are those that masks depend on."""
    digests = {
        f"{'model' if len(model.folders) == 1 else f'model {number}'}/{name}": digest_of_file(folder / name)
        for number, folder in enumerate(model.folders, start=1)
        for name in (CARD, WEIGHTS)
        if (folder / name).is_file()
    }
    chosen = {
        "inference": inference.model_dump(mode="json"),
        "reading": settings.data.reading.model_dump(mode="json"),
        "resample_channels": settings.data.resample_channels,
        "guarded": settings.guard != "off",
        "maps": list(_maps(settings)),
        "write": machine.write,
    }
    folders = [str(folder) for folder in model.folders]
    about = {"folders": folders, "sha256": digests, "medseg": medseg.__version__}
    return {"model": about, "settings": chosen, "guard": settings.guard, "images": settings.images}


def _facts(model: Model, head: Mapping[str, Any]) -> dict[str, str]:
    card = model.card
    facts = {
        "model": ", ".join(str(folder) for folder in model.folders),
        "channels": ", ".join(model.names),
        "labels": ", ".join(card.scheme.labels),
        "training scans": str(card.familiar.cases),
        "steps of training": str(card.steps),
        "inference": ", ".join(f"{name} {value}" for name, value in head["settings"]["inference"].items()),
        "medseg": medseg.__version__,
    }
    if card.validation_dice is not None:
        facts["Dice on validation scans"] = f"{card.validation_dice:.3f}"
    return facts


def _warnings(found: Found, images: Path, out: Path, model: Model, inference: InferenceSettings) -> Iterator[str]:
    """Yield what will not be done although it may have been expected."""
    if others := passed_over(images, found, out):
        more = f" and {len(others) - 3} more" if len(others) > 3 else ""
        yield f"what belongs to no case in {images} is passed over: {', '.join(others[:3])}{more}"
    if inference.mirror and not model.card.mirror_axes:
        yield "the model was trained without mirror images, so inference.mirror=true changes nothing"


def _check_regions(model: Model, inference: InferenceSettings) -> None:
    """Refuse (exit 2) a clean-up of unknown regions before the first scan is segmented for it."""
    if isinstance(inference.postprocess, Postprocessing):
        demand_regions(model.card.scheme.scheme, inference.postprocess)


def _check_format(machine: Machine) -> None:
    """Refuse a format that nothing here writes before the first scan is segmented for it."""
    if machine.write == "dicom_seg" and find_spec("highdicom") is None:
        remedy = "install it with pip install 'medseg[dicom]'"
        raise wrong_setting("machine.write", "DICOM-SEG is written with highdicom", "no highdicom", remedy)
