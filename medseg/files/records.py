"""What the index knows of one case, as a strict JSON record."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field

from medseg.files.reading import AS_IT_IS, Reading
from medseg.values.finding import Finding
from medseg.values.labels import LabelScheme
from medseg.values.settings import Settings


class FileRecord(Settings):
    """A scan below the data root (POSIX path; a folder for a DICOM series); `component` picks one volume of a 4-D file.

    `sha256` covers every file that the scan is made of. `reading` is what was done to it while it was read; `dropped`
    are numbers of a mask that became background.
    """

    path: str
    sha256: str
    component: int = 0
    reading: Reading = AS_IT_IS
    dropped: tuple[int, ...] = ()


class Reason(Settings):
    """Why a case was refused: the first of its findings of that severity."""

    subject: str
    rule: str
    value: str
    remedy: str


class CaseRecord(Settings):
    """One case: its files, and the grid of its first channel as stored (before any reorientation).

    `channels` holds those it has, in the order of the data set; `order` names all channels where some are missing (they
    are filled with zeros) and is empty else. `part` is its part of the split where the data set names one. `annotated`
    are the labels that were looked for in it, None for all of them.
    `labels` counts the voxels of each label number found in the mask (background left out), keyed by its decimal text.
    `tumour_voxels` counts those of the tumour region. A refused case keeps its reason and may lack the rest.
    """

    case: str
    subject: str
    site: str | None = None
    group: str | None = None
    part: Literal["train", "validation", "held_out"] | None = None
    channels: dict[str, FileRecord]
    order: tuple[str, ...] = ()
    mask: FileRecord | None
    annotated: tuple[str, ...] | None = None
    shape: tuple[int, int, int] | None = None
    affine: tuple[tuple[float, float, float, float], ...] | None = None
    spacing_mm: tuple[float, float, float] | None = None
    labels: dict[str, int] = {}
    tumour_voxels: int = 0
    findings: tuple[Finding, ...] = ()
    refused: Reason | None = None

    @property
    def channel_names(self) -> tuple[str, ...]:
        """All channels in the order of the data set, missing ones too."""
        return self.order or tuple(self.channels)

    @property
    def missing(self) -> tuple[str, ...]:
        """The channels that this case lacks."""
        return tuple(name for name in self.order if name not in self.channels)


class ChannelSight(Settings):
    """Intensities of one channel: `percentiles` are the 0th, 1st, 5th, 25th, 50th, 75th, 95th, 99th and 100th."""

    percentiles: tuple[float, ...]
    mean: float
    sd: float
    zeros: float = Field(description="share of voxels that are exactly 0")


class Sight(Settings):
    """What was seen in one readable case, small enough to compare thousands.

    lesions_ml: volumes of the connected parts of the tumour region, largest first, at most 100; `lesion_count` is their
    true number.  label_ml: volume of each label, by name.  miniatures: each channel, on canonical axes, as 8x8x8 means,
    base64 of little-endian float16.  picture: base64 of a small WebP, mid-slice with the mask's outline; "" for none.
    """

    case: str
    channels: dict[str, ChannelSight]
    lesions_ml: tuple[float, ...] = ()
    lesion_count: int = 0
    label_ml: dict[str, float] = {}
    miniatures: dict[str, str] = {}
    picture: str = ""


class SchemeRecord(Settings):
    """The label scheme as JSON: see `medseg.values.labels.LabelScheme`."""

    labels: dict[str, int]
    regions: dict[str, tuple[int, ...]]
    tumour: str
    ignore: int | None = None

    @property
    def scheme(self) -> LabelScheme:
        """The scheme itself."""
        return LabelScheme(self.labels, self.regions, self.tumour, self.ignore)


def write_record(path: Path, record: Settings) -> None:
    """Write a record as indented JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(record.model_dump_json(indent=1) + "\n", encoding="utf-8")


def read_scheme(path: Path) -> SchemeRecord:
    """Read a label scheme."""
    return SchemeRecord.model_validate_json(path.read_text(encoding="utf-8"))


def read_case(path: Path) -> CaseRecord:
    """Read a case record."""
    return CaseRecord.model_validate_json(path.read_text(encoding="utf-8"))


def read_cases(path: Path) -> Iterator[CaseRecord]:
    """Read the records of cases.json, one line after the other, as the index wrote them."""
    with path.open(encoding="utf-8") as file:
        next(file, None)
        for line in file:
            text = line.rstrip().removesuffix(",")
            if text.startswith('{"case"'):
                yield CaseRecord.model_validate_json(text)


def read_sights(path: Path) -> Iterator[Sight]:
    """Read sights line by line."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield Sight.model_validate_json(line)
