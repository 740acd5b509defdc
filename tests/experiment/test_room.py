"""Room that a run needs, demanded before the first scan is prepared, and not of what is done already."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from medseg.engines.room import free_on_host
from medseg.experiment.room import demand_disk, demand_training, free_on_disk, prepared_bytes
from medseg.experiment.settings import ExperimentSettings
from medseg.pipeline.store import Finished
from medseg.values.error import Refusal
from medseg.values.machine import Machine
from medseg.values.plan import Architecture, Plan
from tests.cli.tiny_data import QUICK, make_data, medseg

CPU = Machine(device="cpu")
HUGE = ("network.width=4096", "network.widest=65536")


def stages(folder: Path, size: int, patch: int = 32) -> dict[str, Finished]:
    """Return a fingerprint of scans of `size` voxels along each axis, and a split."""
    architecture = Architecture(
        dimensions=3, channels=2, outputs=3, features=(8, 16), strides=((1, 1, 1), (2, 2, 2)), kernels=((3, 3, 3),) * 2
    )
    plan = Plan(spacing_mm=(1.0, 1.0, 1.0), patch=(patch,) * 3, batch=4, plane=None, architecture=architecture)
    (folder / "plan.json").write_text(plan.model_dump_json())
    (folder / "fingerprint.json").write_text(json.dumps({"shapes_at_common_spacing": [[size] * 3, [size] * 3]}))
    (folder / "split.json").write_text(json.dumps({"train": ["a"], "validation": ["b"], "held_out": []}))
    return {name: Finished(folder, {"files": {}}) for name in ("fingerprint", "split")}


def test_a_disk_without_room_for_prepared_scans_is_refused(tmp_path: Path) -> None:
    small = stages(tmp_path, 100)
    assert prepared_bytes(small, 3) == 3 * 100**3 * (2 * 4 + 1)
    demand_disk(small, 3, tmp_path / "not/yet/there")
    large, store = stages(tmp_path, 10**5), tmp_path / "store"
    with pytest.raises(Refusal, match=r"^machine\.store: 2 prepared scans \(about 18000000\.0 GB\) fit on the disk of"):
        demand_disk(large, 2, store)
    demand_disk(large, 0, store)
    assert free_on_disk(store) == free_on_disk(tmp_path) > 0


def test_memory_is_demanded_of_steps_and_of_validation(tmp_path: Path) -> None:
    demand_training(ExperimentSettings(), stages(tmp_path, 100), CPU)
    with pytest.raises(Refusal, match=r"a training step \(about .* GB, 4 patches at once\) fits in the memory"):
        demand_training(ExperimentSettings(), stages(tmp_path, 2048, patch=2048), CPU)
    # planes of which about 30 fit in memory: a slab of 32 does not, but 8 and the counting of them do
    size, granted = int((free_on_host() / (30 * 4 * 3)) ** 0.5), Machine(device="cpu", memory_gb=1e9)
    rule = r"^machine\.memory_gb: a validation \(about .* GB\) fits in the memory of the computer, .*; set machine\.mem"
    with pytest.raises(Refusal, match=rule):
        demand_training(ExperimentSettings(), stages(tmp_path, size), granted)


def test_what_cannot_fit_is_refused_before_scans_are_prepared_and_told_by_a_plan(tmp_path: Path) -> None:
    make_data(tmp_path)
    code, _, errors = medseg(tmp_path, "run", *QUICK, *HUGE)
    assert code == 2
    refusal = next(line for line in errors.splitlines() if line.startswith("error: "))
    assert "fits in the memory of the computer, got " in refusal
    assert not (tmp_path / ".medseg/prepare").exists()
    code, output, _ = medseg(tmp_path, "plan", *QUICK, *HUGE)
    assert code == 0
    assert any(line.startswith("refused      ") and "fits in the memory" in line for line in output.splitlines())
    assert medseg(tmp_path, "prepare", *QUICK, *HUGE)[0] == 0  # scans may be prepared here for another computer
