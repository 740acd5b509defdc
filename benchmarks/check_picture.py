"""The picture of the doctor's page: phantoms with planted faults, checked, and the page as a browser shows it.

python benchmarks/check_picture.py WORK docs/check.png        (WORK is an empty folder; needs chromium)
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import nibabel
import numpy as np
from PIL import Image

from medseg.ops.phantom_settings import PhantomSettings
from medseg.stages.phantom import run as make_phantoms
from medseg.values.machine import Machine

SIZE = (1180, 1850)
ABRIDGED = "<style>#mend, nav, .set li:has(.s-note) { display: none } h2 { margin-top: 40px }</style></head>"
SETTINGS = ("data.layout=brats", "data.labels={core: 1, oedema: 2}", "data.regions={tumour: [1, 2]}",
            "data.tumour=tumour")  # fmt: skip


def main(work: Path, out: Path) -> None:
    """Make 36 phantoms, spoil some of them, check them and take the picture."""
    make_phantoms(PhantomSettings(), {}, work, Machine())
    data = (work / "data").rename(work / "phantoms")
    plant(data)
    command = [sys.executable, "-m", "medseg", "check", "data.root=phantoms", "out=page", *SETTINGS]
    done = subprocess.run(command, cwd=work, check=False)
    if done.returncode != 1:
        raise SystemExit(f"medseg check ended with {done.returncode}, but there are planted faults")
    photograph(work / "page" / "check.html", out)


def plant(data: Path) -> None:
    """One fault in each of five scans, a copy of a sixth, and a seventh that is stretched."""
    whole = file(data, 2, "t1").read_bytes()
    file(data, 2, "t1").write_bytes(whole[: len(whole) // 2])
    change(file(data, 5, "seg"), lambda voxels: voxels * np.float32(0.75))
    change(file(data, 8, "flair"), with_nan)
    change(file(data, 11, "seg"), lambda voxels: np.where(voxels == 2, 7, voxels).astype(np.uint8))
    change(file(data, 14, "seg"), lambda voxels: voxels[1:])
    for end in ("flair", "t1", "seg"):
        shutil.copyfile(file(data, 17, end), file(data, 20, end))
        change(file(data, 23, end), lambda voxels: voxels, stretched=3.0)


def with_nan(voxels: np.ndarray) -> np.ndarray:
    """Put a NaN into the middle of an image."""
    spoiled = voxels.astype(np.float32)
    spoiled[tuple(size // 2 for size in voxels.shape)] = np.nan
    return spoiled


def change(path: Path, how: object, stretched: float = 1.0) -> None:
    """Write a file anew with other voxels, or with a longer last axis."""
    image = nibabel.load(path)
    affine = image.affine @ np.diag([1, 1, stretched, 1])
    nibabel.save(nibabel.Nifti1Image(how(np.asarray(image.dataobj)), affine), path)  # type: ignore[operator]


def file(data: Path, subject: int, end: str) -> Path:
    """Name a file of a phantom."""
    case = f"phantom_{subject:03d}"
    return data / case / f"{case}_{end}.nii.gz"


def photograph(page: Path, out: Path) -> None:
    """Let chromium draw the page without its tables, and keep 256 colours."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        raise SystemExit("chromium is needed: install it, or open the page yourself")
    with tempfile.TemporaryDirectory() as folder:
        shot, short = Path(folder) / "shot.png", Path(folder) / "page.html"
        short.write_text(page.read_text(encoding="utf-8").replace("</head>", ABRIDGED, 1), encoding="utf-8")
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars",
                   f"--user-data-dir={folder}", f"--window-size={SIZE[0]},{SIZE[1]}", f"--screenshot={shot}",
                   short.as_uri()]  # fmt: skip
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        picture = Image.open(shot).convert("RGB")
    picture.quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(out, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
