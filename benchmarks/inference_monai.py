"""MONAI segments the scan: its loader, its sliding windows, its writer; the network is the one of the package.

    python inference_monai.py FOLDER OUT MIRROR DEVICE

Windows, overlap and Gaussian weights are those of the package. Flips of the axes are averaged as probabilities, each
over the whole scan, as MONAI has no setting for them.
"""

from __future__ import annotations

import sys
from itertools import combinations
from pathlib import Path

import torch
from inference_clock import report, threads
from inference_data import CASE
from monai.inferers import sliding_window_inference
from monai.transforms import Compose, EnsureChannelFirst, LoadImage, NormalizeIntensity, SaveImage

from medseg.engines.packages.package import load_model


def main(folder: Path, out: Path, mirror: bool, device: torch.device) -> None:
    torch.set_num_threads(threads())
    network, card = load_model(folder / "model")
    network = network.to(device)
    paths = sorted((folder / "images").glob(f"{CASE}_*.nii.gz"))
    load = Compose(
        [LoadImage(reader="NibabelReader"), EnsureChannelFirst(), NormalizeIntensity(nonzero=False, channel_wise=True)],
        map_items=False,
    )
    save = SaveImage(output_dir=out, output_postfix="", separate_folder=False, print_log=False)
    axes = [flip for count in range(4 if mirror else 1) for flip in combinations((2, 3, 4), count)]

    def forward(image: torch.Tensor) -> torch.Tensor:
        return sliding_window_inference(
            image, card.plan.patch, sw_batch_size=1, predictor=network, overlap=0.5, mode="gaussian",
            sigma_scale=0.125, device=torch.device("cpu"), sw_device=device,
        )  # fmt: skip

    def work() -> None:
        image = load(paths)
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            batch = image[None]
            if not mirror:
                scores = forward(batch)
            else:
                scores = torch.zeros(())
                for flip in axes:
                    scores = scores + forward(batch.flip(flip)).float().softmax(1).flip(flip)
        save(scores[0].argmax(0, keepdim=True).to(torch.uint8))

    report(work)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "mirror", torch.device(sys.argv[4]))
