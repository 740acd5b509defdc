"""The GPU benchmark: what it reads from a trace, and the whole command on a CPU."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from medseg.engines.sampling.cutting.cut import Batch
from medseg.engines.training.stepping.later import Later
from medseg.engines.training.stepping.step import Step

ROOT = Path(__file__).resolve().parents[2]
OWN = "as it comes (bf16, channels-last, fused norm, deterministic)"
GRAPH = "free kernels, CUDA graph"


@pytest.fixture(autouse=True)
def beside_the_benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


def test_idle_is_what_no_stream_covers() -> None:
    from gpu_clock import idle_share

    assert idle_share([(0, 4), (1, 2), (3, 6), (8, 9)], 0, 10) == pytest.approx(0.3)
    assert idle_share([(0, 4), (3, 6), (8, 20)], 5, 10) == pytest.approx(0.4)
    assert idle_share([], 0, 2) == 1.0


def test_a_trace_is_read_by_kernel_and_step() -> None:
    from gpu_clock import reading

    names = ["sm90_xmma_fprop_implicit_gemm_bf16", "spread", "nchwToNhwcKernel", "sm80_xmma_wgrad_implicit_gemm"]
    kernels = [{"cat": "kernel", "name": name, "ts": 10.0 * n, "dur": 5.0} for n, name in enumerate(names)]
    found = reading([*kernels, {"cat": "cuda_runtime", "name": "launch", "ts": 0, "dur": 99}, {"ph": "M"}], steps=2)
    assert found["convolution_seconds"] == pytest.approx(5e-6)
    assert found["kernels_per_step"] == 2
    assert found["idle"] == pytest.approx(1 - (4.5 + 5 + 5) / 24.5)
    assert reading([], 1) == {}


def test_no_bare_step_waits_for_the_loss_of_another() -> None:
    from gpu_own import _bare

    read: list[int] = []

    class Told(Later):
        def read(self) -> list[float]:
            read.append(1)
            return super().read()

    class Taker:
        taken = 0

        def take(self, batch: Batch, factor: float) -> Step:
            self.taken += 1
            return Step(self.taken, factor, Told([torch.tensor(float(self.taken))] * 2))

    taker = Taker()
    found = _bare(taker, [Batch(torch.zeros(1), torch.zeros(1))], torch.device("cpu"))  # type: ignore[arg-type]
    assert (found["first_loss"], found["last_loss"]) == (1.0, float(taker.taken))
    assert len(read) == 2 < taker.taken


def test_a_build_for_cuda_without_a_device_meets_no_goal() -> None:
    from gpu import _here
    from gpu_table import goals

    if not torch.cuda.is_available():
        assert _here(torch)["cuda"] is None
    part = {"voxels": 8, "batch": 2, "flops": 1, "bare": {"seconds": 1.0}}
    for device, told in ((False, "(goal: 3): not measured;"), (True, "(goal: 3): 1.00;")):
        assert told in goals({OWN: part, "nnU-Net's way": part}, device)[0]


def test_the_command_runs_without_a_device(tmp_path: Path) -> None:
    out = tmp_path / "gpu.json"
    words = [sys.executable, str(ROOT / "benchmarks" / "gpu.py"), str(out), "--dry-run"]
    done = subprocess.run([*words, "--only", "ceilings", OWN, GRAPH], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    parts = json.loads(out.read_text())["parts"]
    own, graph = parts[OWN], parts[GRAPH]
    assert "error" not in own
    assert own["last_loss"] < own["first_loss"]
    assert min(own[name]["seconds"] for name in ("bare", "loop_device", "loop_host")) > 0
    assert "one CUDA device" in graph["refused"]
    assert "times as fast as nnU-Net's way, same batch (goal: 3): not measured" in done.stdout
    row = next(line for line in done.stdout.splitlines() if line.startswith(f"| {OWN}"))
    assert row.count("not measured") == 4
