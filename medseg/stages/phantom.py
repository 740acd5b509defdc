"""Stage `phantom`: write the set of head phantoms as ordinary NIfTI files, one folder per case."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from medseg.files.nifti.writing import write_image, write_mask
from medseg.ops.phantom import PhantomSettings, make_phantom
from medseg.values.machine import Machine
from medseg.values.progress import tell
from medseg.values.volume import Volume

CHANNELS = ("flair", "t1")
"""Endings of the image files, in the order of a phantom's channels."""

_MOST_WORKERS = 4


def run(settings: PhantomSettings, inputs: Mapping[str, Path], out: Path, machine: Machine) -> None:
    """Write `data/phantom_001/phantom_001_flair.nii.gz`, `..._t1.nii.gz`, `..._seg.nii.gz` and so on below `out`.

    Needs no inputs. Subjects are made beside each other on `machine.threads` threads (2 where that is 0); none of
    the bytes depends on their number.
    """
    del inputs
    subjects = range(1, settings.subjects + 1)
    workers = min(machine.threads or 2, _MOST_WORKERS)
    tell("phantoms", 0, settings.subjects, "cases")
    executor = ThreadPoolExecutor(workers)
    try:
        written = executor.map(lambda subject: write_case(settings, subject, out / "data"), subjects)
        for done, _ in enumerate(written, start=1):
            tell("phantoms", done, settings.subjects, "cases")
    finally:
        executor.shutdown(cancel_futures=True)


def write_case(settings: PhantomSettings, subject: int, root: Path) -> None:
    """Write the channels and the mask of one subject into its own folder below `root`."""
    case = f"phantom_{subject:03d}"
    image, mask = make_phantom(settings, subject)
    folder = root / case
    for name, channel in zip(CHANNELS, image.voxels, strict=True):
        write_image(folder / f"{case}_{name}.nii.gz", Volume(channel[None], image.affine))
    write_mask(folder / f"{case}_seg.nii.gz", mask)
