"""nnU-Net v2.8 segments the scan with its own predictor, reader and export; the network is the one of the package.

    python inference_nnunet.py FOLDER OUT MIRROR DEVICE

Windows, overlap and Gaussian weights are nnU-Net's defaults, which are those of the package. Its reader gives Z first,
so every kernel is turned: the network sees what the others' see.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from inference_clock import report, threads
from inference_data import CASE
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from medseg.files.tensors import load_tensors
from medseg.networks.build import build_network
from medseg.networks.settings import UNet3D
from medseg.values.plan import Plan


def main(folder: Path, out: Path, mirror: bool, device: torch.device) -> None:
    torch.set_num_threads(threads())
    plan = Plan.model_validate_json(json.dumps(json.loads((folder / "model" / "card.json").read_text())["plan"]))
    network = build_network(UNet3D(), plan.architecture, 0, plan.patch).requires_grad_(False).eval()
    weights = load_tensors(folder / "model" / "weights.safetensors")
    weights = {name: one.permute(0, 1, 4, 3, 2).contiguous() if one.ndim == 5 else one for name, one in weights.items()}
    network.load_state_dict(weights)
    plans = PlansManager(json.loads((folder / "plans.json").read_text()))
    predictor = nnUNetPredictor(
        tile_step_size=0.5, use_gaussian=True, use_mirroring=mirror,
        perform_everything_on_device=device.type == "cuda", device=device, verbose=False, allow_tqdm=False,
    )  # fmt: skip
    dataset = json.loads((folder / "dataset.json").read_text())
    configuration = plans.get_configuration("3d_fullres")
    predictor.manual_initialization(
        network.to(device), plans, configuration, [weights], dataset, "nnUNetTrainer", (0, 1, 2)
    )
    paths = [str(path) for path in sorted((folder / "images").glob(f"{CASE}_*.nii.gz"))]
    out.mkdir(exist_ok=True)
    report(lambda: predictor.predict_from_files_sequential([paths], [str(out / CASE)]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "mirror", torch.device(sys.argv[4]))
