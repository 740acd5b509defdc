"""A scan of four channels and a network of random weights, for everybody who segments in `inference.py`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

CASE, CLASSES = "scan", 3


def write_scan(folder: Path, shape: Sequence[int], channels: int, spacing_mm: float = 1.0) -> list[Path]:
    """Write one file per channel, CASE_0000.nii.gz and on: float32, smooth shapes in noise, nowhere 0."""
    from medseg.files.nifti.writing import write_image
    from medseg.values.volume import Volume

    generator = np.random.default_rng(0)
    affine = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for channel in range(channels):
        coarse = generator.normal(size=[size // 16 + 2 for size in shape]).astype(np.float32)
        smooth = coarse
        for axis, size in enumerate(shape):
            places = np.linspace(0, smooth.shape[axis] - 1.001, size)
            low, share = np.floor(places).astype(int), (places % 1).astype(np.float32)
            share = share.reshape([-1 if place == axis else 1 for place in range(3)])
            smooth = smooth.take(low, axis) * (1 - share) + smooth.take(low + 1, axis) * share
        voxels = np.round(1000 + 300 * smooth + 20 * generator.standard_normal(shape, np.float32))
        paths.append(folder / f"{CASE}_{channel:04}.nii.gz")
        write_image(paths[-1], Volume(np.maximum(voxels, 1).astype(np.float32)[None], affine))
    return paths


def write_model(
    folder: Path, features: Sequence[int], patch: int, channels: int, classes: int, spacing_mm: float = 1.0
) -> Path:
    """Write the model package of a 3D U-Net with these widths: z-scored channels, windows of `patch` voxels."""
    from medseg.engines.inference.settings import InferenceSettings
    from medseg.engines.packages.package import Card, save_model
    from medseg.files.records import SchemeRecord
    from medseg.networks.build import build_network
    from medseg.networks.settings import UNet3D
    from medseg.ops.guard import Familiar
    from medseg.ops.intensity import ChannelNormalisation
    from medseg.ops.preparing import Preparation, PrepareSettings
    from medseg.values.plan import Architecture, Plan

    names = tuple(f"c{number}" for number in range(channels))
    levels = len(features)
    architecture = Architecture(
        dimensions=3, channels=channels, outputs=classes, features=tuple(features),
        strides=((1, 1, 1), *((2, 2, 2),) * (levels - 1)), kernels=((3, 3, 3),) * levels,
    )  # fmt: skip
    spacing = (spacing_mm,) * 3
    plan = Plan(spacing_mm=spacing, patch=(patch,) * 3, batch=2, plane=None, architecture=architecture, channels=names)
    labels = {f"label_{number}": number for number in range(1, classes)}
    card = Card(
        medseg="benchmark", made_from="benchmark", plan=plan, network=UNet3D(),
        scheme=SchemeRecord(labels=labels, regions={"all": tuple(labels.values())}, tumour="all"),
        activation="softmax", channels=channels, channel_names=names, mirror_axes=(0, 1, 2), step=1, steps=1,
        validation_dice=None, prepare=PrepareSettings(),
        preparation=Preparation(
            spacing_mm=spacing, normalisations=dict.fromkeys(names, ChannelNormalisation(kind="zscore"))
        ),
        inference=InferenceSettings(postprocess="none"), familiar=Familiar(cases=0),
    )  # fmt: skip
    network = build_network(card.network, architecture, 0, plan.patch)
    save_model(folder, network.state_dict(), card)
    return folder


def write_peer_plan(folder: Path, patch: int, channels: int, classes: int) -> None:
    """Write plans.json and dataset.json as nnU-Net v2.8 wants them for the same preparation and windows."""
    normalisation = ["ZScoreNormalization"] * channels
    plans = {
        "dataset_name": "Dataset999_benchmark",
        "plans_name": "nnUNetPlans",
        "original_median_spacing_after_transp": [1.0, 1.0, 1.0],
        "original_median_shape_after_transp": [155, 240, 240],
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {str(number): {} for number in range(channels)},
        "configurations": {
            "3d_fullres": {
                "data_identifier": "nnUNetPlans_3d_fullres",
                "preprocessor_name": "DefaultPreprocessor",
                "batch_size": 2,
                "patch_size": [patch] * 3,
                "median_image_size_in_voxels": [155, 240, 240],
                "spacing": [1.0, 1.0, 1.0],
                "normalization_schemes": normalisation,
                "use_mask_for_norm": [False] * channels,
                "resampling_fn_data": "resample_data_or_seg_to_shape",
                "resampling_fn_seg": "resample_data_or_seg_to_shape",
                "resampling_fn_data_kwargs": {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None},
                "resampling_fn_seg_kwargs": {"is_seg": True, "order": 1, "order_z": 0, "force_separate_z": None},
                "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
                "resampling_fn_probabilities_kwargs": {
                    "is_seg": False, "order": 1, "order_z": 0, "force_separate_z": None
                },
                "architecture": {"network_class_name": "", "arch_kwargs": {}, "_kw_requires_import": []},
                "batch_dice": False,
            }
        },
    }  # fmt: skip
    dataset = {
        "channel_names": {str(number): f"c{number}" for number in range(channels)},
        "labels": {"background": 0, **{f"label_{number}": number for number in range(1, classes)}},
        "numTraining": 1,
        "file_ending": ".nii.gz",
    }
    (folder / "plans.json").write_text(json.dumps(plans, indent=1))
    (folder / "dataset.json").write_text(json.dumps(dataset, indent=1))
