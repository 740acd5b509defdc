"""Look at all files of one case: what the index knows of it, or why it is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from medseg.files.layouts import ChannelFile, FoundCase
from medseg.files.nifti import read_image, read_mask
from medseg.files.nifti_door import read_header
from medseg.files.records import CaseRecord, FileRecord, Reason
from medseg.ops.orientation import to_canonical
from medseg.values.digests import digest_of_file
from medseg.values.error import Refusal
from medseg.values.labels import LabelScheme
from medseg.values.volume import Array, FloatArray, Volume

_TOLERANCE_VOXELS = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Shape and affine of a file, as stored and on canonical axes."""

    file: Path
    shape: tuple[int, int, int]
    affine: FloatArray
    canonical_shape: tuple[int, int, int]
    canonical_affine: FloatArray


def examine(case: FoundCase, channels: tuple[str, ...], scheme: LabelScheme, root: Path) -> CaseRecord:
    """Read every file of a case and return its record; what is wrong with it becomes the record's reason.

    Digests, paths and reasons do not depend on where `root` lies.
    """
    files: dict[str, FileRecord] = {}
    mask: FileRecord | None = None
    try:
        files, mask = _file_records(case, root)
        _check_complete(case, channels)
        grids = [_channel_grid(root, case.channels[name]) for name in channels]
        labels = _mask_labels(root, case.mask, grids[0], scheme) if case.mask else {}
        _check_overlap(grids)
    except Refusal as refusal:
        return _refused(case, files, mask, refusal, root)
    first = grids[0]
    tumour = sum(labels.get(str(number), 0) for number in scheme.regions[scheme.tumour])
    return CaseRecord(
        case=case.case,
        subject=case.subject,
        channels={name: files[name] for name in channels},
        mask=mask,
        shape=first.shape,
        affine=_rows(first.affine),
        spacing_mm=_spacing_mm(first.affine),
        labels=labels,
        tumour_voxels=tumour,
    )


def _file_records(case: FoundCase, root: Path) -> tuple[dict[str, FileRecord], FileRecord | None]:
    paths = {file.path for file in case.channels.values()} | ({case.mask} if case.mask else set())
    try:
        digests = {path: digest_of_file(root / path) for path in sorted(paths)}
    except OSError as error:
        remedy = "check path and rights"
        raise Refusal(case.case, "every file can be read", error.strerror or error, remedy) from error
    files = {
        name: FileRecord(path=file.path.as_posix(), sha256=digests[file.path], component=file.component)
        for name, file in case.channels.items()
    }
    return files, FileRecord(path=case.mask.as_posix(), sha256=digests[case.mask]) if case.mask else None


def _check_complete(case: FoundCase, channels: tuple[str, ...]) -> None:
    missing = [name for name in channels if name not in case.channels]
    if missing:
        rule = f"has a file for each of the channels {', '.join(channels)}"
        remedy = "add the file, or choose the channels that all cases have with data.channels"
        raise Refusal(case.case, rule, f"none for {', '.join(missing)}", remedy)
    if case.mask is None:
        raise Refusal(case.case, "has a mask", "an image without mask", "add the mask or take the case out")
    used = [(file.path, file.component) for file in case.channels.values()] + [(case.mask, 0)]
    twice = [path.as_posix() for path, component in used if used.count((path, component)) > 1]
    if twice:
        raise Refusal(
            case.case, "every channel and the mask has a file of its own", twice[0], "narrow the file patterns"
        )


def _channel_grid(root: Path, file: ChannelFile) -> Grid:
    """Read a channel to its last voxel and keep only its grid."""
    path = root / file.path
    volumes = read_header(path).volumes
    if volumes != file.volumes:
        remedy = "split it into one file per channel, or describe it in dataset.json"
        raise Refusal(str(path), f"holds {file.volumes} volume(s)", f"{volumes}", remedy)
    image = read_image(path, file.component)
    lowest, highest = float(image.voxels.min()), float(image.voxels.max())
    if lowest == highest:
        raise Refusal(str(path), "voxels differ from each other", f"{lowest:g} everywhere", "replace the image")
    return _grid(file.path, image)


def _mask_labels(root: Path, file: Path, first: Grid, scheme: LabelScheme) -> dict[str, int]:
    """Count the voxels of each label in the mask, after checking values and grid."""
    mask = read_mask(root / file)
    counts = np.bincount(mask.voxels.ravel(), minlength=256)
    unknown = [int(number) for number in np.flatnonzero(counts) if number not in scheme.values]
    if unknown:
        rule = f"a mask holds only {', '.join(map(str, scheme.values))}"
        value = f"{', '.join(map(str, unknown[:8]))} in {int(counts[unknown].sum())} voxels"
        raise Refusal(str(root / file), rule, value, "add them to data.labels or mend the mask")
    _check_same_grid(_grid(file, mask), first, root)
    return {str(number): int(counts[number]) for number in scheme.values[1:] if counts[number]}


def _check_same_grid(mask: Grid, image: Grid, root: Path) -> None:
    rule = "the mask lies on the grid of the first channel (after turning both to RAS+)"
    remedy = "resample the mask to the image"
    if mask.canonical_shape != image.canonical_shape:
        value = f"shape {mask.canonical_shape} for {image.canonical_shape} of {image.file.as_posix()}"
        raise Refusal(str(root / mask.file), rule, value, remedy)
    corners = _corners(mask.canonical_shape, 0.0)
    moved = _in_voxels_of(image, _world(mask.canonical_affine, corners))
    distance = float(np.abs(moved - corners).max())
    if distance > _TOLERANCE_VOXELS:
        value = f"corners {distance:.3g} voxels away from those of {image.file.as_posix()}"
        raise Refusal(str(root / mask.file), rule, value, remedy)


def _check_overlap(grids: list[Grid]) -> None:
    """Refuse a channel whose box, in voxels of the first channel, does not meet the first channel's box."""
    first, *others = grids
    for other in others:
        corners = _in_voxels_of(first, _world(other.canonical_affine, _corners(other.canonical_shape, 0.5)))
        low, high = corners.min(axis=0), corners.max(axis=0)
        if (high <= -0.5).any() or (low >= np.asarray(first.canonical_shape) - 0.5).any():
            box = f"{np.round(low).tolist()} to {np.round(high).tolist()}"
            value = f"voxels {box} of {first.file.as_posix()}, that has {first.canonical_shape}"
            remedy = "register the channels or mend the header"
            raise Refusal(other.file.as_posix(), "all channels show the same part of space", value, remedy)


def _grid(file: Path, volume: Volume) -> Grid:
    canonical = to_canonical(volume)
    return Grid(file, volume.shape, volume.affine, canonical.shape, canonical.affine)


def _corners(shape: tuple[int, int, int], margin: float) -> FloatArray:
    """Return the eight corners of a grid in voxels, `margin` voxels outside the centres of the outermost ones."""
    edges = [(-margin, size - 1 + margin) for size in shape]
    return np.asarray(list(product(*edges)), np.float64)


def _world(affine: FloatArray, points: FloatArray) -> FloatArray:
    return np.asarray(points @ affine[:3, :3].T + affine[:3, 3])


def _in_voxels_of(grid: Grid, points: FloatArray) -> FloatArray:
    return _world(np.linalg.inv(grid.canonical_affine), points)


def _refused(
    case: FoundCase, files: Mapping[str, FileRecord], mask: FileRecord | None, refusal: Refusal, root: Path
) -> CaseRecord:
    subject = refusal.subject.removeprefix(f"{root}/")
    reason = Reason(subject=subject, rule=refusal.rule, value=refusal.value, remedy=refusal.remedy)
    return CaseRecord(case=case.case, subject=case.subject, channels=dict(files), mask=mask, refused=reason)


def _rows(affine: Array) -> tuple[tuple[float, float, float, float], ...]:
    return tuple((float(a), float(b), float(c), float(d)) for a, b, c, d in affine)


def _spacing_mm(affine: FloatArray) -> tuple[float, float, float]:
    x, y, z = np.linalg.norm(affine[:3, :3], axis=0)
    return float(x), float(y), float(z)
