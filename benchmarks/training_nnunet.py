"""nnU-Net's own trainer on a CPU, in its own environment: see `training`.

    PEER/bin/python benchmarks/training_nnunet.py FOLDER prepare DATA
    PEER/bin/python benchmarks/training_nnunet.py FOLDER PROCESSES

`prepare` links DATA (a task of the Medical Segmentation Decathlon), lets nnU-Net plan and preprocess it, and writes
what came out as arrays/*.npy and plan.json. Else it takes steps: `nnUNetTrainer.train_step` on the next batch of the
trainer's own loader, which works with PROCESSES processes, or in this one with 0.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

FOLDER = Path(sys.argv[1])
for kind in ("raw", "preprocessed", "results"):
    os.environ[f"nnUNet_{kind}"] = str(FOLDER / "nnunet" / kind)

import numpy as np  # noqa: E402
import torch  # noqa: E402
from nnunetv2.training.dataloading.nnunet_dataset import infer_dataset_class  # noqa: E402
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer  # noqa: E402
from rounds import serve  # noqa: E402

CONFIGURATION, NUMBER, FOLD = "3d_fullres", 4, 0


def prepare(data: Path) -> None:
    """Convert, plan and preprocess; then hand arrays and plan to everybody."""
    for kind in ("raw", "preprocessed", "results"):
        (FOLDER / "nnunet" / kind).mkdir(parents=True)
    convert(data, FOLDER / "nnunet" / "raw" / f"Dataset{NUMBER:03}_Hippocampus")
    program = str(Path(sys.executable).parent / "nnUNetv2_plan_and_preprocess")
    command = [program, "-d", str(NUMBER), "-c", CONFIGURATION, "-np", "2", "-npfp", "2"]
    subprocess.run(command, check=True, stdout=sys.stderr)
    found = trainer()
    configuration = found.configuration_manager
    shape = configuration.network_arch_init_kwargs
    facts = {
        "patch": configuration.patch_size,
        "batch": configuration.batch_size,
        "features": shape["features_per_stage"],
        "strides": shape["strides"],
        "kernels": shape["kernel_sizes"],
        "convolutions": [shape["n_conv_per_stage"], shape["n_conv_per_stage_decoder"]],
        "network": configuration.network_arch_class_name,
        "spacing": configuration.spacing,
    }
    (FOLDER / "plan.json").write_text(json.dumps(facts, indent=1, default=list))
    (FOLDER / "arrays").mkdir()
    cases, _ = found.do_split()
    dataset = infer_dataset_class(found.preprocessed_dataset_folder)(found.preprocessed_dataset_folder, cases)
    for name in cases:
        image, classes, *_ = dataset.load_case(name)
        np.save(FOLDER / "arrays" / f"{name}_image.npy", np.asarray(image, np.float32))
        np.save(FOLDER / "arrays" / f"{name}_classes.npy", np.asarray(classes[0]).clip(0).astype(np.uint8))


def convert(data: Path, target: Path) -> None:
    """Link the scans under nnU-Net's names, and write its dataset.json."""
    facts = json.loads((data / "dataset.json").read_text())
    for folder, ending in (("imagesTr", "_0000.nii.gz"), ("labelsTr", ".nii.gz")):
        (target / folder).mkdir(parents=True)
        for path in sorted((data / folder).glob("*.nii.gz")):
            (target / folder / path.name.replace(".nii.gz", ending)).symlink_to(path.resolve())
    described = {
        "channel_names": facts["modality"],
        "labels": {name: int(number) for number, name in facts["labels"].items()},
        "numTraining": len(facts["training"]),
        "file_ending": ".nii.gz",
    }
    (target / "dataset.json").write_text(json.dumps(described))


def trainer() -> nnUNetTrainer:
    """Return its trainer of the first fold."""
    (place,) = (FOLDER / "nnunet" / "preprocessed").glob("Dataset*")
    plans = json.loads((place / "nnUNetPlans.json").read_text()) | {"continue_training": False}
    dataset = json.loads((place / "dataset.json").read_text())
    return nnUNetTrainer(plans, CONFIGURATION, FOLD, dataset, torch.device("cpu"))


def train(processes: int) -> None:
    """Take steps as `run_training` does."""
    os.environ.update(nnUNet_n_proc_DA=str(processes))
    torch.set_num_threads(2)
    answers = os.dup(1)
    os.dup2(2, 1)  # the trainer prints
    found = trainer()
    found.initialize()
    loader, _ = found.get_dataloaders()
    found.set_deep_supervision_enabled(found.enable_deep_supervision)
    found.network.train()

    def step() -> int:
        batch = next(loader)
        found.train_step(batch)
        return len(batch["data"])

    sys.stdout.flush()
    os.dup2(answers, 1)
    serve(step, 0)


if __name__ == "__main__":
    if sys.argv[2] == "prepare":
        prepare(Path(sys.argv[3]))
    else:
        train(int(sys.argv[2]))
