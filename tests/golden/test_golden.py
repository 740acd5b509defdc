"""Numbers that may change only on purpose: then the new ones go into numbers.json, and CHANGELOG.md says why.

python -m tests.golden.test_golden      # writes numbers.json anew
"""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from medseg.engines.device import computing, place
from medseg.engines.inference.frame import Frame, Room
from medseg.engines.inference.settings import InferenceSettings
from medseg.engines.inference.windows import predict_slabs
from medseg.engines.sampling.settings import AugmentSettings, PatchSettings
from medseg.engines.sampling.supplying.batches import Sampler, batches
from medseg.engines.training.fit import fit
from medseg.engines.training.keeping.state import start
from medseg.engines.training.settings import TrainingSettings
from medseg.engines.training.stepping.setup import Means, build_stepper
from medseg.files.prepared import PreparedCase
from medseg.networks.build import build_network
from medseg.networks.settings import UNet3D
from medseg.ops.intensity import ChannelNormalisation, normalise
from medseg.ops.loss_settings import LossSettings
from medseg.ops.losses import build_loss
from medseg.ops.phantom import PhantomSettings, make_phantom
from medseg.ops.resampling import resample_image
from medseg.ops.scoring.surfaces import measure_surfaces
from medseg.stages.prepare import draw_seeds
from medseg.values.machine import Machine
from medseg.values.plan import Architecture, Plan

NUMBERS = Path(__file__).with_name("numbers.json")
ARCHITECTURE = Architecture(
    dimensions=3, channels=2, outputs=3, features=(4, 8), strides=((1, 1, 1), (2, 2, 2)), kernels=((3, 3, 3), (3, 3, 3))
)
PLAN = Plan(spacing_mm=(3.0, 3.0, 3.0), patch=(24, 24, 24), batch=2, plane=None, architecture=ARCHITECTURE)


def numbers() -> dict[str, float]:
    """Follow one phantom through the chain and note a number after every step."""
    image, mask = make_phantom(PhantomSettings(), 1)
    found = {"phantom mean": float(image.voxels.mean()), "phantom tumour voxels": float((mask.voxels > 0).sum())}
    body = np.ones(image.shape, np.bool_)
    normal = normalise(image.voxels, body, [ChannelNormalisation(kind="zscore")] * 2)
    small = resample_image(normal, (32, 32, 32))
    found["resampled sum of squares"] = float((small.astype(np.float64) ** 2).sum())
    moved = np.roll(mask.voxels[0] > 0, 1, axis=0)
    surfaces = measure_surfaces(mask.voxels[0] > 0, moved, image.spacing_mm, 1.0, 100.0)
    found.update({"hd95": surfaces.hd95_mm or 0.0, "assd": surfaces.assd_mm or 0.0, "nsd": surfaces.nsd or 0.0})
    return {**found, **trained(normal, mask.voxels[0])}


def trained(image: np.ndarray, classes: np.ndarray) -> dict[str, float]:
    """Take eight steps on one case and predict it."""
    case = PreparedCase("one", image, classes, draw_seeds("one", classes, 0), (3.0, 3.0, 3.0), {})
    settings = TrainingSettings(steps=8)
    with computing(Machine(device="cpu", threads=1)) as device:
        state = start(place(build_network(UNet3D(width=4), ARCHITECTURE, 0), device), settings)
        source = batches(Sampler(0, [case], PLAN, PatchSettings(), AugmentSettings()), device)
        stepper = build_stepper(state, build_loss(LossSettings(), None), settings, 0, Means(Machine()))
        steps = list(fit(stepper, islice(source, 8), lambda number: 1.0))
        frame = Frame(PLAN.patch, None, "softmax")
        slabs = predict_slabs(state.average, image, frame, InferenceSettings(), Room(device, 4 << 30))
        total = sum(float(slab.scores[0].double().sum()) for slab in slabs)
    found = {f"loss of step {step.number}": float(step.loss) for step in steps}
    return {**found, "mean background score": total / image[0].size}


@pytest.mark.parametrize("name", sorted(json.loads(NUMBERS.read_text())) if NUMBERS.is_file() else ["numbers.json"])
def test_golden_numbers(name: str, computed: dict[str, float]) -> None:
    assert computed[name] == pytest.approx(json.loads(NUMBERS.read_text())[name], rel=2e-3, abs=1e-6)


@pytest.fixture(scope="module")
def computed() -> dict[str, float]:
    threads = torch.get_num_threads()
    found = numbers()
    torch.set_num_threads(threads)
    return found


if __name__ == "__main__":
    NUMBERS.write_text(json.dumps(numbers(), indent=1) + "\n")
