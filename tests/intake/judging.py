"""Read a spoilt file through the door and judge what comes out."""

from __future__ import annotations

import random
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np

from medseg.files.reading import AS_IT_IS, Reading, Repair
from medseg.files.scan_values import Scan
from medseg.files.scans import parts_of, read_heading, scan_image, scan_mask
from medseg.values.error import Refusal
from tests.intake.mutations import mutated
from tests.intake.second_reader import second_opinion
from tests.intake.sound_files import Family

FINE = ("read", "refused")
_MASK_LIMIT = 1 << 22  # voxels: a caller that knows the image always gives one


@dataclass(frozen=True)
class Request:
    """How file number `number` is asked for; like the file itself, it depends on the number only."""

    what: str
    component: int
    reading: Reading


def request_of(family: Family, number: int) -> Request:
    """Draw what the file is asked for as, and with which repairs."""
    chance = random.Random(f"{family} {number} request")  # noqa: S311
    repairs: list[Repair] = [one for one in get_args(Repair) if chance.random() < 0.4] if chance.random() < 0.4 else []
    if {"use_sform", "use_qform"} <= set(repairs) and chance.random() < 0.95:
        repairs.remove("use_qform")
    orientation = "LPS" if chance.random() < 0.15 else None
    reading = Reading(repair=tuple(repairs), assume_orientation=orientation)
    return Request(chance.choice(("image", "image", "mask")), chance.choice((0,) * 15 + (1,)), reading)


def write(folder: Path, family: Family, number: int) -> Path:
    """Write the file into an empty folder and return what is to be opened."""
    for old in folder.iterdir():
        old.unlink()
    files, opened = mutated(family, number)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder / opened if opened else folder


def judged(path: Path, request: Request) -> tuple[str, str]:
    """Read one file and say what became of it; whatever is no `Refusal` is a failure."""
    try:
        heading = read_heading(path, request.reading)
        parts_of(path)
        found = (
            scan_mask(path, request.reading, _MASK_LIMIT)
            if request.what == "mask"
            else scan_image(path, request.component, request.reading)
        )
    except Refusal as refusal:
        folder = path if path.is_dir() else path.parent
        named = str(folder) in refusal.subject or refusal.exit_code == 2
        return ("refused", refusal.rule) if named else ("unnamed", str(refusal))
    except MemoryError:
        return "memory", traceback.format_exc()[-1500:]
    except Exception:
        return "exception", traceback.format_exc()[-1500:]
    if heading.grid != found.volume.shape or not np.array_equal(heading.affine, found.volume.affine):
        return "differs", "heading and scan differ"
    return _judged(found, path, request)


def _judged(found: Scan, path: Path, request: Request) -> tuple[str, str]:
    voxels, affine = found.volume.voxels, found.volume.affine
    if voxels.dtype != (np.uint8 if request.what == "mask" else np.float32) or not np.isfinite(voxels).all():
        return "differs", f"voxels of {voxels.dtype}, or not finite"
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-12:
        return "differs", f"affine {affine.tolist()}"
    if found.applied != AS_IT_IS:
        return "read", "mended"
    try:
        with np.errstate(all="ignore"):
            other, other_affine = second_opinion(path, 0 if request.what == "mask" else request.component)
    except Exception as error:
        return "read", f"the second reader does not read it ({type(error).__name__})"
    expected = np.rint(other) if request.what == "mask" else other
    if not np.allclose(voxels[0], expected, rtol=1e-6, atol=1e-30):
        return "differs", "voxels are not the second reader's"
    if not found.findings and not np.allclose(affine, other_affine, rtol=1e-5, atol=1e-5 * np.abs(affine).max()):
        return "differs", f"affine is not the second reader's: {affine.tolist()}, {other_affine.tolist()}"
    return "read", "equal to the second reader"
