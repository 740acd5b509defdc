"""MONAI's dictionary transforms doing the same operations with the same probabilities: see `sampling`.

    python benchmarks/sampling_monai.py FOLDER X,Y,Z BATCH PROCESSES

Everything is made cheap for it: all cases lie in memory, labelled voxels are known beforehand, a patch is cut at its
final size and turned within itself, and what nnU-Net does to half of the channels is done to all, half as often.
"""

from __future__ import annotations

import sys
from pathlib import Path

import monai.transforms as mt
import numpy as np
import torch
from monai.data import DataLoader, Dataset
from rounds import serve

BOTH, MODES = ("image", "label"), ("bilinear", "nearest")
ANGLE = 30.0 / 180.0 * np.pi
ENDLESS = 1_000_000


def transforms(patch: tuple[int, ...]) -> mt.Compose:
    """Return the operations of conf/augment/full.yaml, in the same order."""
    turned = {"keys": BOTH, "mode": MODES, "padding_mode": "zeros", "prob": 0.2}
    return mt.Compose(
        [
            mt.RandCropByPosNegLabeld(BOTH, "label", patch, pos=1, neg=2, fg_indices_key="fg", bg_indices_key="bg"),
            mt.RandAffined(**turned, rotate_range=(ANGLE, ANGLE, ANGLE)),
            mt.RandAffined(**turned, scale_range=(-0.3, 0.4)),
            mt.RandGaussianNoised("image", prob=0.1, std=0.1, sample_std=True),
            mt.RandGaussianSmoothd("image", (0.5, 1.0), (0.5, 1.0), (0.5, 1.0), prob=0.1),
            mt.RandScaleIntensityd("image", 0.25, prob=0.15, channel_wise=True),
            mt.RandScaleIntensityFixedMeand("image", 0.25, preserve_range=True, prob=0.15, channel_wise=True),
            mt.RandSimulateLowResolutiond("image", prob=0.125, zoom_range=(0.5, 1.0)),
            mt.RandAdjustContrastd("image", prob=0.1, gamma=(0.7, 1.5), invert_image=True, retain_stats=True),
            mt.RandAdjustContrastd("image", prob=0.3, gamma=(0.7, 1.5), retain_stats=True),
            *(mt.RandFlipd(BOTH, prob=0.5, spatial_axis=axis) for axis in range(3)),
        ]
    )


def main(folder: Path, patch: tuple[int, ...], batch: int, processes: int) -> None:
    """Make batches as its tutorials do."""
    cases = []
    for path in sorted((folder / "arrays").glob("*_image.npy")):
        label = np.load(str(path).replace("_image", "_classes"))[None]
        flat = label.ravel()
        cases.append({"image": torch.from_numpy(np.load(path)), "label": torch.from_numpy(label),
                      "fg": np.flatnonzero(flat), "bg": np.flatnonzero(flat == 0)})  # fmt: skip
    endless = [cases[number % len(cases)] for number in range(ENDLESS)]
    if not processes:
        torch.set_num_threads(2)
    more = {"num_workers": processes, "persistent_workers": True, "prefetch_factor": 2} if processes else {}
    source = iter(DataLoader(Dataset(endless, transforms(patch)), batch_size=batch, **more))
    serve(lambda: len(next(source)["image"]), 2 * processes)


if __name__ == "__main__":
    size = tuple(int(word) for word in sys.argv[2].split(","))
    main(Path(sys.argv[1]), size, int(sys.argv[3]), int(sys.argv[4]))
