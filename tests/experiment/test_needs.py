"""What `medseg plan` says a run will need."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from medseg.engines.training.settings import TrainingSettings
from medseg.experiment.needs import needs
from medseg.experiment.outcome import Outcome
from medseg.experiment.settings import ExperimentSettings
from medseg.pipeline.store import Finished
from medseg.values.machine import Machine
from medseg.values.plan import Architecture, Plan

CPU = Machine(device="cpu")


@pytest.fixture
def outcome(tmp_path: Path) -> Outcome:
    architecture = Architecture(
        dimensions=3, channels=2, outputs=3, features=(8, 16), strides=((1, 1, 1), (2, 2, 2)), kernels=((3, 3, 3),) * 2
    )
    plan = Plan(spacing_mm=(1.0, 1.0, 1.0), patch=(32, 32, 32), batch=4, plane=None, architecture=architecture)
    for name in ("fingerprint", "split"):
        (tmp_path / name).mkdir()
    (tmp_path / "fingerprint/plan.json").write_text(plan.model_dump_json())
    (tmp_path / "fingerprint/fingerprint.json").write_text('{"shapes_at_common_spacing": [[100, 100, 100]]}')
    (tmp_path / "split/split.json").write_text(json.dumps({"train": ["a", "b"], "validation": [], "held_out": ["c"]}))
    return Outcome(stages={name: Finished(tmp_path / name, {"files": {}}) for name in ("fingerprint", "split")})


def test_memory_and_disk_of_the_training_are_told_with_what_is_free(outcome: Outcome) -> None:
    time, memory, between, weights, scans, free = needs(ExperimentSettings(), outcome, CPU)
    assert time == "time         training 1000 steps"
    assert "for a training step (patch (32, 32, 32), batch 4, features (8, 16))" in memory
    assert "free in the memory of the computer" in memory
    assert re.fullmatch(r"memory       about \d+\.\d MB while a scan is validated", between)
    assert weights.endswith("of checkpoints and weights")
    assert scans == "disk         about 27 MB of prepared scans"
    assert free.endswith(" GB on the disk of .medseg")


def test_the_disk_that_is_told_is_that_of_the_store() -> None:
    machine = CPU.model_copy(update={"store": "/proc/medseg/store"})  # a place without any room
    assert needs(ExperimentSettings(), Outcome(), machine)[-1] == "free         0 GB on the disk of /proc/medseg/store"


def test_a_smaller_microbatch_is_seen_in_the_plan(outcome: Outcome) -> None:
    whole, part = (
        needs(ExperimentSettings(), outcome, CPU.model_copy(update={"microbatch": size}))[1] for size in (None, 1)
    )
    assert whole != part


def test_before_the_fingerprint_only_the_budget_is_known() -> None:
    settings = ExperimentSettings(training=TrainingSettings(minutes=20))
    assert needs(settings, Outcome(), CPU)[:2] == [
        "time         training 20 minutes",
        "memory, disk known once the fingerprint has been taken (medseg prepare)",
    ]
