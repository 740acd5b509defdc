"""The prepared folder of one case: arrays that are memory-mapped, seeds, and prepared.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from medseg.files.records import write_record
from medseg.values.error import Refusal
from medseg.values.settings import Settings
from medseg.values.volume import Array

_IMAGE, _CLASSES, _SEEDS, _RECORD = "image.npy", "classes.npy", "seeds.npy", "prepared.json"


@dataclass(frozen=True, slots=True, eq=False)
class PreparedCase:
    """A case as training and prediction read it.

    image: float32 (C, X, Y, Z).  classes: uint8 (X, Y, Z), class indices 0..K-1 in the order of `LabelScheme.values`,
    and `IGNORED` where nobody annotated.  seeds: class index -> voxel coordinates int32 (N, 3) of that foreground
    class; a class absent from the case is absent.  placement: the JSON of `medseg.ops.placement.Placement`.
    annotated: the foreground classes that were looked for in this case, None for all.  missing: indices of the
    channels that it lacks, which are 0 everywhere.
    """

    case: str
    image: NDArray[np.float32]
    classes: NDArray[np.uint8]
    seeds: Mapping[int, NDArray[np.int32]]
    spacing_mm: tuple[float, float, float]
    placement: Mapping[str, Any]
    annotated: tuple[int, ...] | None = None
    missing: tuple[int, ...] = ()


class PreparedRecord(Settings):
    """The content of prepared.json; `shape` and `channels` are there for people and for checks."""

    case: str
    channels: int
    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    placement: dict[str, Any]
    annotated: tuple[int, ...] | None = None
    missing: tuple[int, ...] = ()


def write_prepared(folder: Path, prepared: PreparedCase) -> None:
    """Write a prepared case into `folder` (made if missing): the same content gives the same bytes.

    Arrays of another type or shape than `PreparedCase` says are refused.
    """
    _check(folder, prepared.image, prepared.classes)
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / _IMAGE, np.ascontiguousarray(prepared.image), allow_pickle=False)
    np.save(folder / _CLASSES, np.ascontiguousarray(prepared.classes), allow_pickle=False)
    np.save(folder / _SEEDS, _table(prepared.seeds), allow_pickle=False)
    x, y, z = prepared.classes.shape
    record = PreparedRecord(
        case=prepared.case,
        channels=prepared.image.shape[0],
        shape=(x, y, z),
        spacing_mm=prepared.spacing_mm,
        placement=dict(prepared.placement),
        annotated=prepared.annotated,
        missing=prepared.missing,
    )
    write_record(folder / _RECORD, record)


def read_prepared(folder: Path) -> PreparedCase:
    """Read a prepared case; image and classes are read-only memory maps, opened and not loaded.

    A folder that is incomplete or whose parts do not belong together is refused.
    """
    try:
        record = PreparedRecord.model_validate_json((folder / _RECORD).read_text(encoding="utf-8"))
        image = np.load(folder / _IMAGE, mmap_mode="r", allow_pickle=False)
        classes = np.load(folder / _CLASSES, mmap_mode="r", allow_pickle=False)
        seeds = np.load(folder / _SEEDS, allow_pickle=False)
    except (OSError, ValueError, ValidationError) as error:
        raise Refusal(str(folder), "a prepared folder is complete", error, "run prepare again") from error
    _check(folder, image, classes)
    if image.shape != (record.channels, *record.shape) or seeds.dtype != np.int32 or seeds.ndim != 2:
        raise Refusal(str(folder), f"arrays fit {_RECORD} {record.shape}", image.shape, "run prepare again")
    return PreparedCase(
        record.case,
        image,
        classes,
        _seeds(seeds),
        record.spacing_mm,
        record.placement,
        record.annotated,
        record.missing,
    )


def _check(folder: Path, image: Array, classes: Array) -> None:
    if image.dtype != np.float32 or image.ndim != 4:
        found = f"{image.dtype} {image.shape}"
        raise Refusal(str(folder), "a prepared image is float32 (C, X, Y, Z)", found, "run prepare again")
    if classes.dtype != np.uint8 or classes.shape != image.shape[1:]:
        found = f"{classes.dtype} {classes.shape}"
        raise Refusal(str(folder), f"classes are uint8 {image.shape[1:]}", found, "run prepare again")


def _table(seeds: Mapping[int, NDArray[np.int32]]) -> Array:
    """Join the seeds to one table of rows (class, x, y, z), classes ascending."""
    rows = [np.insert(places.astype(np.int32), 0, index, axis=1) for index, places in sorted(seeds.items())]
    return np.concatenate([np.empty((0, 4), np.int32), *rows])


def _seeds(table: Array) -> dict[int, NDArray[np.int32]]:
    return {int(index): table[table[:, 0] == index, 1:] for index in np.unique(table[:, 0])}
