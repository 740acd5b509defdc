"""What the index knows of one case, as a strict JSON record."""

from __future__ import annotations

from pathlib import Path

from medseg.values.labels import LabelScheme
from medseg.values.settings import Settings


class FileRecord(Settings):
    """A file below the data root (POSIX path); `component` picks one volume of a 4-D file."""

    path: str
    sha256: str
    component: int = 0


class Reason(Settings):
    """Why a case was refused."""

    subject: str
    rule: str
    value: str
    remedy: str


class CaseRecord(Settings):
    """One case: its files, and the grid of its first channel as stored (before any reorientation).

    `labels` counts the voxels of each label number found in the mask (background left out), keyed by its decimal text.
    `tumour_voxels` counts those of the tumour region. A refused case keeps its reason and may lack the rest.
    """

    case: str
    subject: str
    site: str | None = None
    channels: dict[str, FileRecord]
    mask: FileRecord | None
    shape: tuple[int, int, int] | None = None
    affine: tuple[tuple[float, float, float, float], ...] | None = None
    spacing_mm: tuple[float, float, float] | None = None
    labels: dict[str, int] = {}
    tumour_voxels: int = 0
    refused: Reason | None = None


class SchemeRecord(Settings):
    """The label scheme as JSON: see `medseg.values.labels.LabelScheme`."""

    labels: dict[str, int]
    regions: dict[str, tuple[int, ...]]
    tumour: str

    @property
    def scheme(self) -> LabelScheme:
        """The scheme itself."""
        return LabelScheme(self.labels, self.regions, self.tumour)


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
