"""A folder that MONAI runs: the traced network, and a configuration in MONAI's own transforms.

A bundle's configuration names the classes that MONAI makes of it: that is MONAI's format. medseg writes bundles and
reads none; what comes of a model's card is reduced to plain characters and numbers first.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from medseg.engines.exporting.bundle_scans import decoding, plain_name, preprocessing
from medseg.engines.exporting.making import Exported, as_json, write_bytes
from medseg.engines.packages.package import Card
from medseg.values.error import Refusal, wrong_setting

MODEL, METADATA, INFERENCE, RECORD = (
    "models/model.pt2",
    "configs/metadata.json",
    "configs/inference.json",
    "export.json",
)
_ONE = "$[{'image': file} for file in sorted(glob.glob(@dataset_dir + '/*.nii.gz'))]"
_SEVERAL = (
    "$[{'image': [os.path.join(folder, name + '.nii.gz') for name in @channels]}"
    " for folder in sorted(glob.glob(@dataset_dir + '/*/'))]"
)
_IMPORTS = [
    "$import glob",
    "$import os",
    "$import numpy",
    "$import torch",
    "$from monai.data import MetaTensor",
    "$from torch.export import load",
    "$from torch.export.passes import move_to_device_pass",
]
_PROGRAM = "$move_to_device_pass(load(@bundle_root + '/models/model.pt2'), str(@device)).module()"
# A module of its own around the program, which cannot be told to evaluate: it does nothing else.
_NETWORK = "$type('Exported', (torch.nn.Module,), {'forward': lambda self, x: @program(x)})()"
# Else a mask that came of several files is taken for two-dimensional when it is saved.
_MASK = "$lambda x: MetaTensor(({}).as_tensor(), meta={{**x.meta, 'original_channel_dim': 'no_channel'}})"


def check_bundle(folder: Path, card: Card) -> None:
    """Refuse what no bundle can be made of: a folder with other things in it, a preparation MONAI has no words for."""
    try:
        foreign = folder.exists() and not (folder / METADATA).is_file() and any(folder.iterdir())
    except OSError as error:
        raise wrong_setting(
            "out", "a bundle goes into a folder", f"{folder} ({error.strerror})", "name a new folder"
        ) from error
    if foreign:
        raise wrong_setting("out", "a bundle goes into a new folder or an older bundle", folder, "name a new folder")
    body = card.prepare.body.kind
    if card.prepare.n4 or body not in ("all", "nonzero"):
        value = "prepare.n4=true" if card.prepare.n4 else f"prepare.body.kind={body}"
        rule = "MONAI's transforms can prepare scans as training did"
        raise Refusal("format=monai", rule, value, "take format=torch or onnx, and prepare scans with medseg")


def write_bundle(folder: Path, exported: Exported) -> None:
    """Write the bundle: the same package gives the same bytes. Its last file is the one that makes it a bundle."""
    write_bytes(folder / MODEL, exported.content)
    write_bytes(folder / RECORD, as_json(exported.record))
    write_bytes(folder / INFERENCE, _json(inference(exported.card)))
    write_bytes(folder / METADATA, _json(metadata(exported)))


def inference(card: Card) -> dict[str, Any]:
    """Return the configuration of MONAI's inference workflow; `dataset_dir` is where scans are looked for.

    With one channel each .nii.gz there is a scan. With several each folder is one, with a file for each of `channels`.
    """
    names = card.channel_names or tuple(f"channel{number}" for number in range(card.channels))
    return {
        "imports": _IMPORTS,
        "bundle_root": ".",
        "dataset_dir": "$@bundle_root + '/data'",
        "output_dir": "$@bundle_root + '/eval'",
        "channels": [plain_name(name) for name in names],
        "device": "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
        "program": _PROGRAM,
        "network_def": _NETWORK,
        "preprocessing": {"_target_": "Compose", "transforms": preprocessing(card)},
        "dataset": {
            "_target_": "Dataset",
            "data": _ONE if card.channels == 1 else _SEVERAL,
            "transform": "@preprocessing",
        },
        "dataloader": {"_target_": "DataLoader", "dataset": "@dataset", "batch_size": 1, "num_workers": 0},
        "inferer": _inferer(card),
        "postprocessing": {"_target_": "Compose", "transforms": _postprocessing(card)},
        "handlers": [],
        "evaluator": {
            "_target_": "SupervisedEvaluator",
            "device": "@device",
            "val_data_loader": "@dataloader",
            "network": "@network_def",
            "inferer": "@inferer",
            "postprocessing": "@postprocessing",
            "val_handlers": "@handlers",
        },
        "run": ["$@evaluator.run()"],
    }


def metadata(exported: Exported) -> dict[str, Any]:
    """Return what MONAI wants to know of every bundle."""
    card, record = exported.card, exported.record
    outputs = list(card.scheme.regions) if card.activation == "sigmoid" else _classes(card)
    shape = list(record.input.shape[2:])
    image = {"num_channels": card.channels, "spatial_shape": shape, "dtype": "float32", "is_patch_data": True}
    answer = image | {"num_channels": len(outputs), "value_range": [0, 1]}
    return {
        "version": "1.0.0",
        "changelog": {"1.0.0": f"exported by medseg {record.medseg}"},
        "monai_version": "1.5.0",
        "pytorch_version": record.versions["torch"].partition("+")[0],
        "numpy_version": "1.26.0",
        "required_packages_version": {"nibabel": "5.3.0", "pytorch-ignite": "0.4.11"},
        "name": "medseg export",
        "task": f"segmentation of {', '.join(map(plain_name, card.scheme.labels))}",
        "description": f"Made from the weights {record.weights}; export.json says more.",
        "authors": "see the model package",
        "copyright": "see the model package",
        "network_data_format": {
            "inputs": {
                "image": {"type": "image", "format": "magnitude", **image, "channel_def": _numbered(card.channel_names)}
            },
            "outputs": {
                "pred": {"type": "image", "format": "segmentation", **answer, "channel_def": _numbered(outputs)}
            },
        },
    }


def _inferer(card: Card) -> dict[str, Any]:
    """Slide as `inference` of the card says; MONAI spreads windows a little differently."""
    how = {
        "sw_batch_size": 4,
        "overlap": card.inference.overlap,
        "mode": card.inference.blend,
        "sigma_scale": 0.125,
        "padding_mode": "constant",
    }
    if card.plan.plane is None:
        return {"_target_": "SlidingWindowInferer", "roi_size": list(card.plan.patch), **how}
    seen = [size for axis, size in enumerate(card.plan.patch) if axis != card.plan.plane]
    return {"_target_": "SliceInferer", "spatial_dim": card.plan.plane, "roi_size": seen, **how}


def _postprocessing(card: Card) -> list[dict[str, Any]]:
    back = {"orig_keys": "image", "transform": "@preprocessing", "nearest_interp": False, "to_tensor": True}
    return [
        {"_target_": "Activationsd", "keys": "pred", card.activation: True},
        {"_target_": "Invertd", "keys": "pred", **back},
        {"_target_": "Lambdad", "keys": "pred", "func": _MASK.format(decoding(card))},
        {
            "_target_": "SaveImaged",
            "keys": "pred",
            "output_dir": "@output_dir",
            "output_postfix": "seg",
            "output_dtype": "$numpy.uint8",
            "resample": False,
            "separate_folder": False,
            "data_root_dir": "@dataset_dir",  # files of several scans may have the same name
        },
    ]


def _classes(card: Card) -> list[str]:
    return ["background", *sorted(card.scheme.labels, key=lambda name: card.scheme.labels[name])]


def _numbered(names: list[str] | tuple[str, ...]) -> dict[str, str]:
    return {str(number): plain_name(name) for number, name in enumerate(names)}


def _json(tree: dict[str, Any]) -> bytes:
    return (json.dumps(tree, indent=1) + "\n").encode()
