"""What a bad or odd file is, what must become of it, and the scans that all of them are made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from medseg.files.reading import Reading

Array = np.ndarray[Any, Any]
AFFINE = np.array([[-1.5, 0, 0, 10], [0, 2, 0.25, -20], [0, -0.25, 3, 30], [0, 0, 0, 1.0]])
IMAGE: Array = np.random.default_rng(11).integers(-900, 900, (9, 8, 7)).astype(np.int16)
FLOATS: Array = np.random.default_rng(12).normal(100, 20, (9, 8, 7)).astype(np.float32)
LABELS: Array = np.random.default_rng(13).integers(0, 4, (9, 8, 7)).astype(np.uint8)
FOUR: Array = np.random.default_rng(14).normal(100, 20, (6, 5, 4, 3)).astype(np.float32)
COS, SIN = np.cos(0.3), np.sin(0.3)
RIGID = np.array([[-1.5, 0, 0, 10], [0, 2 * COS, 3 * SIN, -20], [0, -2 * SIN, 3 * COS, 30], [0, 0, 0, 1.0]])
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
GIGABYTE = 1 << 30


@dataclass(frozen=True, eq=False)
class Made:
    """A file that was made: `voxels` (X, Y, Z) and `affine` are what reading it, mended if need be, must give.

    None says that the file holds nothing that could be expected of it.
    """

    path: Path
    voxels: Array | None = None
    affine: Array | None = None


@dataclass(frozen=True)
class Kind:
    """One kind of file.

    `rule` is part of the rule that it is refused with, None for a file that is accepted as it is. `mended` is the
    reading with which a refused file is read after all; `stays` says that no repair helps. `oracle` says what an
    independent reader gets right about an accepted file. `bomb` marks files that claim or unpack to far more than they
    are. `noted` is a word of the finding that an odd file must get. `limit` is the most voxels that a mask may claim.
    """

    name: str
    what: Literal["image", "mask"]
    make: Callable[[Path], Made]
    rule: str | None = None
    mended: Reading | None = None
    component: int = 0
    oracle: Literal["both", "voxels", "none"] = "both"
    bomb: bool = False
    noted: str = ""
    limit: int | None = None
    stays: bool = False


def good(name: str, make: Callable[[Path], Made], **more: Any) -> Kind:
    """An image that is accepted as it lies."""
    return Kind(name, more.pop("what", "image"), make, **more)


def bad(name: str, rule: str, make: Callable[[Path], Made], **more: Any) -> Kind:
    """An image that is refused; `mends` names the repair, or `orientation` the letters, with which it is read."""
    mends, orientation = more.pop("mends", None), more.pop("orientation", None)
    mended = Reading(repair=(mends,)) if mends else Reading(assume_orientation=orientation) if orientation else None
    return Kind(name, more.pop("what", "image"), make, rule, mended, **more)
