"""One case on its way: its files read, held against each other and put on one grid, with what is said about them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TypeVar

from medseg.experiment.evaluating.case_reading import StrangeLabels, image_grid, image_on_grid, map_on_grid, recoded
from medseg.experiment.evaluating.pairing import Pair
from medseg.experiment.evaluating.placing import placed
from medseg.experiment.evaluating.settings import EvaluateSettings
from medseg.experiment.runner import reason
from medseg.files.reading import Reading
from medseg.files.scan_values import Scan
from medseg.files.scans import digest_of_scan, scan_mask
from medseg.ops.body import body_mask
from medseg.ops.grids import Grid, grid_of
from medseg.ops.scoring.geometry import grid_note, on_grid_of
from medseg.values.labels import LabelScheme
from medseg.values.volume import BoolArray, FloatArray, Volume

MISSING = "no mask of this name among the predictions"
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Rules:
    """What all cases are scored by; `folders` are left out of reasons and notes."""

    scheme: LabelScheme
    settings: EvaluateSettings
    folders: tuple[Path, ...] = ()


class Case:
    """The files of one case.

    failed: why there is no prediction that can be scored, None where there is one.  strange: numbers in it that mean
    nothing in the truth.  notes: what was done in another way than asked for.  digests: SHA-256 of all files but the
    truth, as far as they can be read.
    """

    def __init__(self, pair: Pair, rules: Rules) -> None:
        self.pair, self.rules, self.settings = pair, rules, rules.settings
        self.failed: str | None = None
        self.strange: tuple[int, ...] = ()
        self.notes: list[str] = []
        self.digests: dict[str, str] = {}

    def masks(self) -> tuple[Volume, Volume | None]:
        """Return truth and prediction on the canonical grid of the truth; where the prediction failed, None.

        Whatever is wrong with the truth is raised.
        """
        truth = scan_mask(self.pair.truth, self._reading)
        bounded = not truth.partial and self.settings.grid == "refuse"
        stored = self._stored(prod(truth.volume.shape) if bounded else None)
        mine, other = placed(truth, stored, self._whole_of(truth))
        return mine, None if other is None else self._attempt(lambda: self._onto(mine, other))

    def image(self, truth: Volume) -> FloatArray | None:
        """Return the image (X, Y, Z) on the grid of the truth; None where there is none that can be used."""
        file = self.pair.image
        if file is None:
            return None
        self._digest("image", file.path)
        return self._noted("the image", lambda: image_on_grid(file, grid_of(truth), self._reading))

    def body(self, image: FloatArray | None) -> BoolArray | None:
        """Return the body (X, Y, Z); None where there is no image to tell it from the air by."""
        if image is None:
            return None
        return self._noted("healthy tissue", lambda: body_mask(image[None], self.settings.body))

    def maps(self, truth: Volume) -> Mapping[str, FloatArray]:
        """Return the probabilities (X, Y, Z) of the tumour region, by its name; nothing where there are none."""
        path, scheme = self.pair.probabilities, self.rules.scheme
        if path is None or self.failed is not None:
            return {}
        self._digest("probabilities", path)
        grid, how = grid_of(truth), self.settings.grid
        found = self._noted("the probability map", lambda: map_on_grid(path, grid, scheme, how, self._reading))
        return {} if found is None else {scheme.tumour: found}

    def _stored(self, limit_voxels: int | None) -> Scan | None:
        path = self.pair.predicted
        if path is None:
            self.failed = MISSING
            return None
        self._digest("prediction", path)
        return self._attempt(lambda: scan_mask(path, self._reading, limit_voxels))

    def _whole_of(self, truth: Scan) -> Grid | None:
        """Return the grid of the image, where the truth is only a part of it."""
        file = self.pair.image
        if file is None or not truth.partial:
            return None
        try:
            return image_grid(file, self._reading)
        except Exception:  # the image is read again, and says then what is wrong with it
            return None

    def _onto(self, truth: Volume, stored: Volume) -> Volume:
        case, scheme = self.pair.case, self.rules.scheme
        meant = recoded(case, stored, self.settings.labels, scheme)
        moved = on_grid_of(truth, meant, self.settings.grid, case)
        note = grid_note(truth, meant)
        self.notes += [] if note is None else [note]
        return moved

    def _attempt(self, work: Callable[[], Made]) -> Made | None:
        """Do something with the prediction; where it cannot be done, the prediction has failed."""
        try:
            return work()
        except Exception as error:  # whatever a damaged file makes a reader raise
            self.strange = error.numbers if isinstance(error, StrangeLabels) else ()
            self.failed = plain(error, self.pair, self.rules.folders)
            return None

    def _noted(self, what: str, work: Callable[[], Made]) -> Made | None:
        """Make something that masks can do without; where it cannot be made, a note says why."""
        try:
            return work()
        except Exception as error:  # whatever a damaged file makes a reader raise
            self.notes.append(f"{what} was left out: {plain(error, self.pair, self.rules.folders)}")
            return None

    def _digest(self, name: str, path: Path) -> None:
        try:
            self.digests[name] = digest_of_scan(path)
        except Exception:  # whoever reads the file says what is wrong with it
            self.digests.pop(name, None)

    @property
    def _reading(self) -> Reading:
        return self.settings.data.reading


def plain(error: Exception, pair: Pair, folders: tuple[Path, ...]) -> str:
    """Say on one line what is wrong with a file, without the folders that were named on the command line."""
    text = " ".join(reason(error).split())
    for folder in folders:
        text = text.replace(f"{folder}/", "")
    return text.removeprefix(f"{pair.case}: ")
