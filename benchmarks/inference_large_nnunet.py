"""nnU-Net v2.8 exports logits of a given shape: to the scan's grid, decided, put in place.

    python inference_large_nnunet.py FOLDER X Y Z SPACING PLANNED CLASSES

The logits are 16-bit, as its predictor leaves them, of smooth shapes; FOLDER holds plans.json and dataset.json.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from nnunetv2.inference.export_prediction import convert_predicted_logits_to_segmentation_with_correct_shape
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

folder = Path(sys.argv[1])
shape = [int(size) for size in sys.argv[2:5]][::-1]  # nnU-Net has Z first
spacing, planned, classes = float(sys.argv[5]), float(sys.argv[6]), int(sys.argv[7])
plans = json.loads((folder / "plans.json").read_text())
plans["configurations"]["3d_fullres"]["spacing"] = [planned] * 3
manager = PlansManager(plans)
configuration = manager.get_configuration("3d_fullres")
labels = manager.get_label_manager(json.loads((folder / "dataset.json").read_text()))
resampled = [round(size * spacing / planned) for size in shape]
logits = torch.empty((classes, *resampled), dtype=torch.half)
generator = torch.Generator().manual_seed(0)
for one in logits:
    coarse = torch.randn([1, 1, *(size // 16 + 2 for size in resampled)], generator=generator)
    one.copy_(torch.nn.functional.interpolate(coarse, size=resampled, mode="trilinear")[0, 0])
properties = {
    "spacing": [spacing] * 3,
    "shape_before_cropping": tuple(shape),
    "shape_after_cropping_and_before_resampling": tuple(shape),
    "bbox_used_for_cropping": [[0, size] for size in shape],
}
convert_predicted_logits_to_segmentation_with_correct_shape(logits, manager, configuration, labels, properties)
