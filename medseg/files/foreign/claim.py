"""What the text header of an NRRD or MetaImage file claims, and the rules that both formats share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from medseg.files.foreign.native import ImageIO
from medseg.files.nifti.affine import Position
from medseg.files.reading import AS_IT_IS, Reading, override
from medseg.values.error import Refusal
from medseg.values.finding import Finding
from medseg.values.volume import FloatArray

MEND = "mend the header"
FETCH = "fetch or write the file again"
LARGEST_HEADER = 1 << 20
_EDGES_MM = (1e-6, 1e9)
_WORLD = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}
_MILLIMETRES = ("mm", "millimeter", "millimeters", "millimetre", "millimetres")


@dataclass(frozen=True, slots=True, eq=False)
class Claim:
    """Where the voxels of a file lie: `volumes` volumes on `grid`, from byte `offset` of `data` to its end.

    `volume_axis` is the stored axis (0 runs fastest) that counts the volumes, None where there is one without an axis.
    `packed` says that they are a zlib or gzip stream, `packed_bytes` how long it claims to be (None: not said).
    """

    path: Path
    io: ImageIO
    grid: tuple[int, int, int]
    volumes: int
    volume_axis: int | None
    dtype: np.dtype[Any]
    position: Position
    data: Path
    offset: int
    packed: bool
    packed_bytes: int | None = None

    @property
    def volume_bytes(self) -> int:
        """Size of one volume as stored, unpacked."""
        return prod(self.grid) * self.dtype.itemsize

    @property
    def total_bytes(self) -> int:
        """Size of all volumes as stored, unpacked."""
        return self.volumes * self.volume_bytes


def refuse_shape(name: str, sizes: Sequence[int]) -> None:
    """Refuse sizes that hold no voxel or are neither three dimensions nor four."""
    if not sizes or min(sizes) < 1:
        raise Refusal(name, "every dimension has at least one voxel", tuple(sizes), FETCH)
    if len(sizes) not in (3, 4):
        raise Refusal(name, "has three dimensions, or four for several volumes", tuple(sizes), "split or stack it")


def affine_of(name: str, axes: FloatArray, origin: FloatArray, letters: str) -> FloatArray:
    """Return the affine to RAS+ mm of columns `axes` (3, 3) and `origin` (3,) in a space whose axes run to `letters`.

    Refuses numbers that are not finite, and axes that cannot be inverted.
    """
    affine = np.eye(4)
    for axis, letter in enumerate(letters):
        row, sign = _WORLD[letter]
        affine[row, :3] = sign * axes[axis]
        affine[row, 3] = sign * origin[axis]
    if not np.isfinite(affine).all():
        raise Refusal(name, "the affine is finite", rows_of(affine), MEND)
    with np.errstate(all="ignore"):
        edges = np.linalg.norm(affine[:3, :3], axis=0)
        volume = abs(float(np.linalg.det(affine[:3, :3])))
        sound = edges.min() >= _EDGES_MM[0] and edges.max() <= _EDGES_MM[1] and volume >= 1e-12
        sound = sound and volume >= 1e-6 * float(edges.prod())
    if not sound:
        raise Refusal(name, "the affine can be inverted", rows_of(affine), MEND)
    return affine + 0.0  # no negative zeros


def assumed(name: str, edges: Sequence[float], reading: Reading, rule: str, value: object) -> Position:
    """Return the position of axes that run to `reading.assume_orientation`; refuses where nothing is assumed."""
    letters = reading.assume_orientation
    if letters is None:
        setting = "data.assume_orientation=RAS"
        remedy = f"name the directions of the stored axes, like {setting}"
        raise Refusal(name, rule, value, remedy, override=setting)
    check_edges(name, edges)
    affine = np.zeros((4, 4))
    affine[3, 3] = 1.0
    for axis, letter in enumerate(letters):
        row, sign = _WORLD[letter]
        affine[row, axis] = sign * edges[axis]
    setting = f"data.assume_orientation={letters}"
    note = note_of(rule, value, f"the stored axes were taken to run to {letters}", setting)
    return Position(affine, (note,), Reading(assume_orientation=letters))


def check_edges(name: str, edges: Sequence[float]) -> None:
    """Refuse voxel edges that are no lengths."""
    if len(edges) != 3 or not all(_EDGES_MM[0] <= edge <= _EDGES_MM[1] for edge in edges):
        raise Refusal(name, "voxel edges are finite and above 0 mm", list(edges), MEND)


def in_millimetres(name: str, units: Sequence[str], position: Position, reading: Reading) -> Position:
    """Return the position with a note where other units than mm were taken as mm; refuses them otherwise."""
    other = [unit for unit in units if unit and unit.lower() not in _MILLIMETRES]
    if not other:
        return position
    rule, setting = "lengths are in millimetres", override("lengths_are_mm")
    if "lengths_are_mm" not in reading.repair:
        remedy = f"rewrite the header in mm, or take the numbers as mm with {setting}"
        raise Refusal(name, rule, ", ".join(other), remedy, override=setting)
    note = note_of(rule, ", ".join(other), "its numbers were taken as mm", setting)
    letters = position.applied.assume_orientation
    applied = Reading(assume_orientation=letters, repair=("lengths_are_mm",))
    return Position(position.affine, (*position.findings, note), applied)


def data_file(path: Path, named: str) -> Path:
    """Return the file beside a header that holds its voxels; refuses any other place."""
    named = named.removeprefix("./")
    several = named.split(" ")[0].upper() == "LIST" or "%" in named
    plain = Path(named).name == named and named not in ("", ".", "..") and "\\" not in named and named.isprintable()
    if several or not plain:
        rule = "the header names one data file in its own folder"
        raise Refusal(str(path), rule, named[:200], "put both in one folder, and name the file alone")
    found = path.with_name(named)
    if not found.is_file():
        value = "nothing there" if not found.exists() else "no file"
        raise Refusal(str(found), "is a file that exists", value, FETCH)
    return found


def whole_numbers(name: str, field: str, text: str) -> list[int]:
    """Return the whole numbers of a header field; refuses anything else."""
    try:
        return [int(word) for word in _words(text)]
    except ValueError:
        raise Refusal(name, f"{field} holds whole numbers", text[:100], FETCH) from None


def numbers(name: str, field: str, text: str) -> list[float]:
    """Return the numbers of a header field (NaN and infinity among them); refuses anything else."""
    try:
        return [float(word) for word in _words(text)]
    except ValueError:
        raise Refusal(name, f"{field} holds numbers", text[:100], FETCH) from None


def _words(text: str) -> list[str]:
    """Split a field at its blanks; raises ValueError where readers may not agree on what is blank."""
    if not text.isascii():
        raise ValueError("not ASCII")
    return text.split()


def note_of(rule: str, value: object, remedy: str, setting: str | None = None) -> Finding:
    """Return a finding of severity `note`."""
    return Finding(severity="note", rule=rule, value=str(value), remedy=remedy, override=setting)


def rows_of(affine: FloatArray) -> list[list[float]]:
    """Return the three rows of an affine, rounded for reading."""
    return [[float(f"{number:.6g}") for number in row] for row in affine[:3].tolist()]


NOWHERE = Position(np.eye(4), (), AS_IT_IS)
