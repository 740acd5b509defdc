"""The batch of one training step for Python programs and notebooks."""

from __future__ import annotations

from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from medseg.engines.sampling.drawing.replay import BatchRecord, read_batch_record
from medseg.engines.sampling.drawing.wording import describe
from medseg.experiment.order import Chain
from medseg.files.prepared import read_prepared
from medseg.files.records import read_scheme
from medseg.report.notebook.frames import frame
from medseg.values.plan import Plan
from medseg.values.volume import Array

if TYPE_CHECKING:
    from pandas import DataFrame

NAMES = ("case", "place", "changes")


class Batch:
    """What training takes at one step: patches, and how each was drawn."""

    def __init__(self, chain: Chain, folder: Path) -> None:
        self._chain, self._folder = chain, folder

    @cached_property
    def record(self) -> BatchRecord:
        """Every number that was drawn; the same batch can be cut from it again."""
        return read_batch_record((self._folder / "batch.json").read_text(encoding="utf-8"))

    @property
    def patches(self) -> DataFrame:
        """A pandas table, a row per patch: the scan, where in it, and what was changed, in words."""
        record, outcome = self.record, self._chain.outcome
        labels = read_scheme(outcome.stages["index"].folder / "scheme.json").labels
        names = sorted(labels, key=lambda name: labels[name])
        plan = Plan.model_validate_json((outcome.stages["fingerprint"].folder / "plan.json").read_text("utf-8"))
        rows = []
        for draw in record.draws:
            prepared = read_prepared(outcome.prepared[record.cases[draw.case]].folder)
            where, changes = describe(draw, prepared, plan.channels, names).split("\n", 1)
            rows.append({"case": prepared.case, "place": where.removeprefix(f"{prepared.case}, "), "changes": changes})
        return frame(rows, NAMES)

    @property
    def images(self) -> Array:
        """Intensities as the network gets them, float32 (B, C, *space)."""
        return self._tensors["images"]

    @property
    def classes(self) -> Array:
        """Class indices (B, *space): 0 is background, `medseg.values.labels.IGNORED` where nobody annotated."""
        return self._tensors["classes"]

    def show(self) -> Image.Image:
        """Return the picture of all patches, labels outlined."""
        with Image.open(BytesIO((self._folder / "batch.png").read_bytes())) as picture:
            return picture.copy()

    @cached_property
    def _tensors(self) -> dict[str, Array]:
        from safetensors.numpy import load_file

        return load_file(self._folder / "batch.safetensors")
