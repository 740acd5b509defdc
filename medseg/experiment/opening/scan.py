"""One scan of a data set for Python programs and notebooks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path

from PIL import Image

from medseg.files.records import CaseRecord
from medseg.report.notebook.shown import Shown
from medseg.report.notebook.viewing import view_scan
from medseg.report.scan_picture import scan_picture
from medseg.stages.cases import load_channels, load_mask
from medseg.values.error import Refusal
from medseg.values.labels import LabelScheme
from medseg.values.volume import Array, Volume


@dataclass(frozen=True)
class Scan:
    """A scan and its mask, on canonical RAS+ axes. Voxels are read when they are first asked for."""

    record: CaseRecord
    scheme: LabelScheme
    folder: Path

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels, in the order of `image`; one that the scan lacks is 0 everywhere."""
        return self.record.channel_names

    @cached_property
    def image(self) -> Volume:
        """All channels, float32 (C, X, Y, Z)."""
        return load_channels(self.record, self.folder)

    @cached_property
    def truth(self) -> Volume:
        """Label numbers uint8 (1, X, Y, Z); refuses a scan without a mask."""
        return load_mask(self.record, self.folder)

    def show(self, channel: str | None = None) -> Image.Image:
        """Return three planes through what the mask holds most of, outlined; of the first channel unless named."""
        picture = scan_picture(self._channel(channel), self.truth.voxels[0], self.image.spacing_mm)
        with Image.open(BytesIO(picture)) as opened:
            return opened.convert("RGB")

    def view(self, channel: str | None = None, height: int = 560) -> Shown:
        """Show the scan in three planes and in 3-D with its mask as a layer, `height` pixels high; needs no network."""
        image = Volume(self._channel(channel)[None], self.image.affine)
        return view_scan(self.record.case, image, self.truth.voxels[0], self.scheme, height)

    def __repr__(self) -> str:
        return f"scan {self.record.case}: {', '.join(self.channels)}"

    def _channel(self, name: str | None) -> Array:
        if name is not None and name not in self.channels:
            raise Refusal(self.record.case, f"channels are {', '.join(self.channels)}", name, "name one of them")
        wanted = name or next(one for one in self.channels if one in self.record.channels)
        shown: Array = self.image.voxels[self.channels.index(wanted)]
        return shown
