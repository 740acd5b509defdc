"""medseg's patches, in a process of its own: see `sampling`.

python benchmarks/sampling_own.py FOLDER X,Y,Z BATCH THREADS WORKERS
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path

import torch
import yaml
from rounds import serve

from medseg.engines.sampling.settings import AugmentSettings, PatchSettings
from medseg.engines.sampling.supplying.batches import Sampler
from medseg.engines.sampling.supplying.supply import Supply, supplied
from medseg.files.prepared import read_prepared
from medseg.values.machine import Machine
from medseg.values.plan import Architecture, Plan

FULL = Path(__file__).parent.parent / "conf" / "augment" / "full.yaml"


def full() -> AugmentSettings:
    """Return the settings of conf/augment/full.yaml."""
    import json

    return AugmentSettings.model_validate_json(json.dumps(yaml.safe_load(FULL.read_text())))


def main(folder: Path, patch: tuple[int, int, int], batch: int, threads: int, workers: int) -> None:
    """Make batches as training does."""
    cases = [read_prepared(path) for path in sorted((folder / "prepared").iterdir())]
    architecture = Architecture(dimensions=3, channels=cases[0].image.shape[0], outputs=4, features=(4,),
                                strides=((1, 1, 1),), kernels=((3, 3, 3),))  # fmt: skip
    plan = Plan(spacing_mm=(1.0, 1.0, 1.0), patch=patch, batch=batch, plane=None, architecture=architecture)
    sampler = Sampler(0, cases, plan, PatchSettings(), full())
    torch.set_num_threads(threads)
    with ExitStack() as stack:
        supply = Supply(Machine(device="cpu", workers=workers), torch.device("cpu"))
        source = stack.enter_context(supplied(sampler, supply))
        serve(lambda: len(next(source).images), 2 if workers else 0)


if __name__ == "__main__":
    x, y, z = (int(size) for size in sys.argv[2].split(","))
    main(Path(sys.argv[1]), (x, y, z), *(int(word) for word in sys.argv[3:6]))
