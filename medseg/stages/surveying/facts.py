"""What the survey keeps of each case: a few numbers, so that ten thousand cases fit in a few tens of megabytes."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from medseg.files.records import CaseRecord, ChannelSight, FileRecord, Sight
from medseg.ops.orientation import orientation_of
from medseg.values.volume import Array

NUMBERS = 12  # of a channel: nine percentiles, mean, standard deviation, share of zeros
FEATURES = 512
_NAMED = 5
Content = tuple[bytes, int]


@dataclass(slots=True, eq=False)
class CaseFacts:
    """One case that can be used. Sizes and spacing are on canonical axes; `contents` are digest and component.

    `intensities` holds `NUMBERS` per channel; `miniature` is the first channel's, (512,) float16, None without a sight.
    """

    case: str
    subject: str
    site: str | None
    group: str | None
    contents: dict[str, Content]
    mask: bytes | None
    annotated: tuple[str, ...] | None
    labels: dict[str, int]
    tumour_voxels: int
    shape: tuple[int, ...]
    spacing_mm: tuple[float, ...]
    intensities: dict[str, Array] = field(default_factory=dict)
    lesions_ml: Array = field(default_factory=lambda: np.zeros(0, np.float32))
    lesion_count: int = 0
    miniature: Array | None = None

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in ml."""
        return float(np.prod(self.spacing_mm)) / 1000.0


def gather_facts(records: Iterable[CaseRecord], sights: Iterable[Sight]) -> list[CaseFacts]:
    """Read both once, in any order, and keep what is needed of the cases that were not refused.

    A sight without a record, or a record without a sight, is no error: the latter counts where nothing was to be seen.
    """
    facts = {record.case: _facts_of(record) for record in records if record.refused is None}
    first = next((name for one in facts.values() for name in one.contents), None)
    for sight in sights:
        if sight.case in facts:
            _add_sight(facts[sight.case], sight, first)
    return list(facts.values())


def listed(cases: Sequence[str]) -> str:
    """Name up to five cases, and say how many more there are."""
    more = f" and {len(cases) - _NAMED} more" if len(cases) > _NAMED else ""
    return ", ".join(cases[:_NAMED]) + more


def _facts_of(record: CaseRecord) -> CaseFacts:
    shape, spacing = _canonical(record)
    return CaseFacts(
        case=record.case,
        subject=record.subject,
        site=record.site,
        group=record.group,
        contents={name: _content(file) for name, file in record.channels.items()},
        mask=_content(record.mask)[0] if record.mask else None,
        annotated=record.annotated,
        labels=dict(record.labels),
        tumour_voxels=record.tumour_voxels,
        shape=shape,
        spacing_mm=spacing,
    )


def _content(file: FileRecord) -> Content:
    return file.sha256.encode()[:64], file.component


def _canonical(record: CaseRecord) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Return shape and spacing along x, y and z, so that storage order is no difference; empty where unknown."""
    if record.shape is None or record.spacing_mm is None:
        return (), ()
    order: Sequence[int] = (0, 1, 2)
    if record.affine is not None:
        order = orientation_of(np.asarray(record.affine, np.float64)).permutation
    return tuple(record.shape[axis] for axis in order), tuple(record.spacing_mm[axis] for axis in order)


def _add_sight(facts: CaseFacts, sight: Sight, first: str | None) -> None:
    facts.intensities = {name: _numbers(seen) for name, seen in sight.channels.items()}
    facts.lesions_ml = np.asarray(sight.lesions_ml, np.float32)
    facts.lesion_count = sight.lesion_count
    if first in sight.miniatures:
        facts.miniature = _miniature(sight.miniatures[first])


def _numbers(seen: ChannelSight) -> Array:
    return np.asarray([*seen.percentiles, seen.mean, seen.sd, seen.zeros], np.float64)


def _miniature(text: str) -> Array | None:
    values = np.frombuffer(b64decode(text), "<f2")
    return values if values.size == FEATURES else None
