"""The prepared folder of one case: arrays that are memory-mapped, seeds, and prepared.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
    channels that it lacks, which are 0 everywhere.  lesions: class index -> lesion int32 (N,) of each of its seeds,
    counted from 1; empty where lesions were not told apart.  voxels: class index -> voxels of that class in all.
    """

    case: str
    image: NDArray[np.float32]
    classes: NDArray[np.uint8]
    seeds: Mapping[int, NDArray[np.int32]]
    spacing_mm: tuple[float, float, float]
    placement: Mapping[str, Any]
    annotated: tuple[int, ...] | None = None
    missing: tuple[int, ...] = ()
    lesions: Mapping[int, NDArray[np.int32]] = field(default_factory=dict)
    voxels: Mapping[int, int] = field(default_factory=dict)


class PreparedRecord(Settings):
    """The content of prepared.json; `shape` and `channels` are there for people and for checks."""

    case: str
    channels: int
    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    placement: dict[str, Any]
    annotated: tuple[int, ...] | None = None
    missing: tuple[int, ...] = ()
    voxels: dict[int, int] = {}


def write_prepared(folder: Path, prepared: PreparedCase) -> None:
    """Write a prepared case into `folder` (made if missing): the same content gives the same bytes.

    Arrays of another type or shape than `PreparedCase` says are refused.
    """
    _check(folder, prepared.image, prepared.classes)
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / _IMAGE, np.ascontiguousarray(prepared.image), allow_pickle=False)
    np.save(folder / _CLASSES, np.ascontiguousarray(prepared.classes), allow_pickle=False)
    np.save(folder / _SEEDS, _table(prepared), allow_pickle=False)
    x, y, z = prepared.classes.shape
    record = PreparedRecord(
        case=prepared.case,
        channels=prepared.image.shape[0],
        shape=(x, y, z),
        spacing_mm=prepared.spacing_mm,
        placement=dict(prepared.placement),
        annotated=prepared.annotated,
        missing=prepared.missing,
        voxels=dict(sorted(prepared.voxels.items())),
    )
    write_record(folder / _RECORD, record)


def read_prepared(folder: Path) -> PreparedCase:
    """Read a prepared case; its arrays are read-only memory maps, opened and not loaded.

    A folder that is incomplete or whose parts do not belong together is refused.
    """
    try:
        record = PreparedRecord.model_validate_json((folder / _RECORD).read_text(encoding="utf-8"))
        image = np.load(folder / _IMAGE, mmap_mode="r", allow_pickle=False)
        classes = np.load(folder / _CLASSES, mmap_mode="r", allow_pickle=False)
        seeds = np.load(folder / _SEEDS, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, ValidationError) as error:
        raise Refusal(str(folder), "a prepared folder is complete", error, "run prepare again") from error
    _check(folder, image, classes)
    if image.shape != (record.channels, *record.shape) or not _is_table(seeds):
        raise Refusal(str(folder), f"arrays fit {_RECORD} {record.shape}", image.shape, "run prepare again")
    return PreparedCase(
        record.case,
        image,
        classes,
        _by_class(seeds, slice(1, 4)),
        record.spacing_mm,
        record.placement,
        record.annotated,
        record.missing,
        _by_class(seeds, 4) if seeds.shape[1] == 5 else {},
        record.voxels,
    )


def _check(folder: Path, image: Array, classes: Array) -> None:
    if image.dtype != np.float32 or image.ndim != 4:
        found = f"{image.dtype} {image.shape}"
        raise Refusal(str(folder), "a prepared image is float32 (C, X, Y, Z)", found, "run prepare again")
    if classes.dtype != np.uint8 or classes.shape != image.shape[1:]:
        found = f"{classes.dtype} {classes.shape}"
        raise Refusal(str(folder), f"classes are uint8 {image.shape[1:]}", found, "run prepare again")


def _table(prepared: PreparedCase) -> Array:
    """Join the seeds to one table of rows (class, x, y, z, lesion), classes ascending, without lesions if not known."""
    rows = []
    for index, places in sorted(prepared.seeds.items()):
        columns = [np.full(len(places), index, np.int32), *places.T]
        rows.append(np.stack([*columns, prepared.lesions[index]] if prepared.lesions else columns, axis=1))
    width = 5 if prepared.lesions else 4
    return np.concatenate([np.empty((0, width), np.int32), *(row.astype(np.int32) for row in rows)])


def _is_table(seeds: Array) -> bool:
    fits = seeds.dtype == np.int32 and seeds.ndim == 2 and seeds.shape[1] in (4, 5)
    return bool(fits and np.all(seeds[:-1, 0] <= seeds[1:, 0]))


def _by_class(table: Array, columns: int | slice) -> dict[int, NDArray[np.int32]]:
    """Return the rows of each class: views, so that the seeds of many cases take no memory of their own."""
    kinds, starts = np.unique(table[:, 0], return_index=True)
    parts = np.split(table[:, columns], starts[1:])
    return {int(kind): part for kind, part in zip(kinds, parts, strict=False)}
