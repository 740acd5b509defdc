"""One judged scan for Python programs: its numbers, its picture, its voxels, and a viewer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from medseg.report.notebook.frames import scores_frame
from medseg.report.notebook.shown import Shown
from medseg.report.notebook.viewing import view_case
from medseg.report.pictured import Pictured
from medseg.report.scores import Row
from medseg.report.wording import number
from medseg.values.error import Refusal
from medseg.values.labels import LabelScheme
from medseg.values.volume import Array, Volume

if TYPE_CHECKING:
    from pandas import DataFrame

Load = Callable[[], Pictured]


@dataclass(frozen=True)
class Case:
    """A judged scan. Voxels are read when they are first asked for.

    id: its name in scores.csv.  region: the region whose row `row` is.  failed: why there is no prediction, None where
    there is one.  picture: file of the picture that the report made.
    """

    id: str
    region: str
    own: Sequence[Row]
    failed: str | None
    picture: Path
    scheme: Callable[[], LabelScheme]
    load: Load

    @property
    def rows(self) -> DataFrame:
        """A pandas table, a row per region; columns as in scores.csv."""
        return scores_frame(self.own)

    @property
    def row(self) -> Row:
        """The row of the region that makes a scan a tumour scan; None where a measure is undefined."""
        return next(row for row in self.own if row["region"] == self.region)

    @property
    def dice(self) -> float | None:
        """Dice of that region, None where it is undefined."""
        value = self.row["dice"]
        return None if value is None else float(value)

    def show(self) -> Image.Image:
        """Return the picture that the report made: image, truth, prediction and where they differ.

        Refuses a scan without a prediction: it has none.
        """
        if not self.picture.is_file():
            value = self.failed or f"no file {self.picture}"
            raise Refusal(self.id, "only scans with a prediction have a picture", value, "see run.failed")
        with Image.open(BytesIO(self.picture.read_bytes())) as picture:
            return picture.copy()

    def view(self, height: int = 560) -> Shown:
        """Show the scan in three planes and in 3-D, with truth and prediction as layers, `height` pixels high.

        It needs no network: the viewer is part of what is shown. Refuses a scan without a prediction.
        """
        return view_case(self.id, self.pictured, self.scheme(), height)

    @property
    def image(self) -> Volume:
        """The first channel the scan has, float32 (1, X, Y, Z), on canonical RAS+ axes; refuses where there is none."""
        if self.pictured.image is None:
            raise Refusal(self.id, "an image is at hand", "label maps alone", "evaluate again with images=DIR")
        return self._volume(self.pictured.image)

    @property
    def truth(self) -> Volume:
        """Label numbers uint8 (1, X, Y, Z) on the grid of `image`; ignored voxels are 0."""
        return self._volume(self.pictured.truth)

    @property
    def prediction(self) -> Volume:
        """Label numbers uint8 (1, X, Y, Z) on the grid of `image`; ignored voxels are 0."""
        return self._volume(self.pictured.predicted)

    @cached_property
    def pictured(self) -> Pictured:
        """Image, truth and prediction as they are drawn; read once."""
        return self.load()

    def __repr__(self) -> str:
        marked = self.row["volume_predicted_ml"]
        told = f"failed: {self.failed}" if self.failed else f"Dice {number(self.dice)}"
        if not self.failed and self.row["cohort"] == "healthy" and marked is not None:
            told = f"{number(float(marked), 'ml')} ml marked, all of it false" if marked else "nothing marked"
        return f"case {self.id} ({self.row['cohort']}): {told}"

    def _volume(self, voxels: Array) -> Volume:
        return Volume(voxels[None], np.asarray(self.pictured.world, np.float64))
