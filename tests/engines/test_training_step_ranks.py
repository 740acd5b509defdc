"""Two processes learn from a batch what one learns from it, in parts of any size, with dropout too."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import pytest

SCRIPT = """
import json, os
from medseg.engines.joining import joined, leave, ranks_of
with joined(ranks_of(os.environ)) as ranks:
    import torch
    from medseg.engines.device import computing, place
    from medseg.engines.sampling.cutting.cut import Batch
    from medseg.engines.training.fit import fit
    from medseg.engines.training.settings import TrainingSettings
    from medseg.engines.training.stepping.setup import Means, build_stepper
    from medseg.engines.training.keeping.state import start
    from medseg.networks.build import build_network
    from medseg.networks.settings import UNet3D
    from medseg.ops.loss_settings import LossSettings
    from medseg.ops.losses import build_loss
    from medseg.values.machine import Machine
    from medseg.values.plan import Architecture

    solid = Architecture(dimensions=3, channels=2, outputs=3, features=(4, 6),
                         strides=((1, 1, 1), (2, 2, 2)), kernels=((3, 3, 3),) * 2)
    settings = TrainingSettings(optimiser="sgd", momentum=0.0, learning_rate=0.1, ema=0.5)
    chance = torch.Generator().manual_seed(0)
    batches = []
    for number in range(3):
        images = torch.randn(5, 2, 8, 8, 4, generator=chance)
        classes = (images[:, 0] > 0).long() + (images[:, 1] > 0.5)
        known = torch.ones(5, 256, dtype=torch.bool)
        known[4, 2] = False  # the last process alone sees a patch that was partly annotated
        share = ranks.deal(range(5))
        rows = slice(share[0], share[-1] + 1)
        partly = number == 1 and ranks.rank == ranks.world - 1
        batches.append(Batch(images[rows], classes[rows], known[rows] if partly else None))
    found = {}
    for microbatch in (None, 1, 2):
        machine = Machine(device="cpu", threads=1, microbatch=microbatch)
        with computing(machine) as device:
            network = place(build_network(UNet3D(dropout=0.4), solid, 0), device, machine)
            state = start(network, settings)
            stepper = build_stepper(state, build_loss(LossSettings()), settings, 0, Means(machine, ranks, 5))
            steps = list(fit(stepper, batches, lambda number: 1.0))
        weights = torch.cat([weight.detach().flatten() for weight in state.average.parameters()])
        found[str(microbatch)] = {"losses": [step.loss for step in steps], "weights": weights[::29].tolist()}
    print(json.dumps(found))
leave(0)
"""


def told(world: int) -> list[dict[str, dict[str, list[float]]]]:
    """Return what each of so many processes prints."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(world)}
    places = [{"RANK": str(r), "LOCAL_RANK": str(r), "LOCAL_WORLD_SIZE": str(world)} for r in range(world)]
    processes = [
        subprocess.Popen([sys.executable, "-c", SCRIPT], env={**shared, **place}, text=True, stdout=subprocess.PIPE)
        for place in places
    ]
    try:
        outputs = [process.communicate(timeout=60)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0] * world
    return [json.loads(output) for output in outputs]


def test_two_processes_learn_what_one_learns() -> None:
    (alone,), both = told(1), told(2)
    expected = alone["None"]
    assert both[0] == both[1]
    for found in (*alone.values(), *both[0].values()):
        assert found["losses"] == pytest.approx(expected["losses"], rel=1e-5)
        assert found["weights"] == pytest.approx(expected["weights"], rel=1e-4, abs=1e-5)
