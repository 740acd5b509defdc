"""nnU-Net's own loader and transforms, in its own environment: see `sampling`.

    PEER/bin/python benchmarks/sampling_nnunet.py FOLDER X,Y,Z BATCH PROCESSES [prepare]

The transforms are what `nnUNetTrainer.get_training_transforms` returns (without the down-sampled copies of the
labels that its deep supervision wants: our loader makes none), the loader is `nnUNetDataLoader` on blosc2 files, with
`NonDetMultiThreadedAugmenter` as the trainer configures it, or in this process with 0 PROCESSES.
`prepare` writes FOLDER/arrays/*.npy as nnU-Net's preprocessed files once.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from batchgenerators.dataloading.nondet_multi_threaded_augmenter import NonDetMultiThreadedAugmenter
from batchgenerators.dataloading.single_threaded_augmenter import SingleThreadedAugmenter
from nnunetv2.training.data_augmentation.compute_initial_patch_size import get_patch_size
from nnunetv2.training.dataloading.data_loader import nnUNetDataLoader
from nnunetv2.training.dataloading.nnunet_dataset import comp_blosc2_params, nnUNetDatasetBlosc2
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.label_handling.label_handling import LabelManager
from rounds import serve

ANGLES = (-30.0 / 360 * 2.0 * np.pi, 30.0 / 360 * 2.0 * np.pi)  # as the trainer sets for patches that are not flat
LABELS = {"background": 0, "one": 1, "two": 2, "three": 3}
SEEDS = 10_000


def prepare(folder: Path, patch: tuple[int, ...]) -> None:
    """Write the cases as nnU-Net's preprocessing would."""
    target = folder / "nnunet"
    target.mkdir(exist_ok=True)
    for path in sorted((folder / "arrays").glob("*_image.npy")):
        image, classes = np.load(path), np.load(str(path).replace("_image", "_classes"))[None].astype(np.int8)
        generator = np.random.default_rng(0)
        places = {}
        for label in (1, 2, 3):
            found = np.argwhere(classes == label)
            places[label] = found[generator.permutation(len(found))[:SEEDS]]
        blocks, chunks = comp_blosc2_params(image.shape, patch, image.itemsize)
        name = str(target / path.name.removesuffix("_image.npy"))
        nnUNetDatasetBlosc2.save_case(image, classes, {"class_locations": places}, name, chunks, blocks)


def main(folder: Path, patch: tuple[int, ...], batch: int, processes: int) -> None:
    """Make batches as its trainer does."""
    transforms = nnUNetTrainer.get_training_transforms(
        patch, ANGLES, None, (0, 1, 2), False, foreground_labels=[1, 2, 3]
    )
    loader = nnUNetDataLoader(
        nnUNetDatasetBlosc2(str(folder / "nnunet")),
        batch,
        get_patch_size(patch, ANGLES, ANGLES, ANGLES, (0.85, 1.25)),
        patch,
        LabelManager(LABELS, None),
        oversample_foreground_percent=1 / 3,
        transforms=transforms,
    )
    cached = max(6, processes // 2)
    if processes:
        source = NonDetMultiThreadedAugmenter(
            data_loader=loader,
            transform=None,
            num_processes=processes,
            num_cached=cached,
            seeds=None,
            pin_memory=False,
            wait_time=0.002,
        )
    else:
        torch.set_num_threads(2)
        source = SingleThreadedAugmenter(loader, None)
    serve(lambda: len(next(source)["data"]), cached + processes if processes else 0)


if __name__ == "__main__":
    size = tuple(int(word) for word in sys.argv[2].split(","))
    if sys.argv[-1] == "prepare":
        prepare(Path(sys.argv[1]), size)
    else:
        main(Path(sys.argv[1]), size, int(sys.argv[3]), int(sys.argv[4]))
