"""Exported networks, run: by onnxruntime, by OpenVINO, and by PyTorch itself."""

from __future__ import annotations

import io
import os
from typing import Any, Literal

import torch
from torch import Tensor

from medseg.engines.exporting.extras import require, unusable
from medseg.engines.exporting.programs import INPUT
from medseg.engines.inference.frame import Forward
from medseg.values.error import Refusal, wrong_setting
from medseg.values.machine import Machine

Runtime = Literal["onnx", "openvino"]
_EXTRA_CUDA = "set machine.device=cpu or machine.runtime=torch, or install onnxruntime-gpu instead of onnxruntime"


def runtime_of(kind: Runtime, content: bytes, machine: Machine, device: torch.device) -> Forward:
    """Return what computes logits from windows with an ONNX model, given by its bytes.

    Windows come from `device` and logits go back there. Refuses (exit 2) a runtime that is not installed, and content
    that it cannot read.
    """
    require(kind, "machine.runtime", "set machine.runtime=torch")
    opened = _onnxruntime if kind == "onnx" else _openvino
    try:
        return opened(content, machine, device)
    except Refusal:
        raise
    except ImportError as error:
        raise unusable(kind, error) from error
    except Exception as error:  # the runtimes have no common error type
        told = str(error).strip().splitlines() or [""]
        rule = f"{kind} takes the exported network"
        raise Refusal("machine.runtime", rule, told[0][:200], "set machine.runtime=torch") from error


def program_of(content: bytes) -> Forward:
    """Return what computes logits from windows on the CPU with the content of a .pt2 file."""
    module: Any = torch.export.load(io.BytesIO(content)).module()

    def forward(windows: Tensor) -> Tensor:
        logits: Tensor = module(windows)
        return logits

    return forward


def threads_of(machine: Machine) -> int:
    """Return how many threads a runtime of its own may take: `machine.threads`, or one for each core we may use."""
    return machine.threads or len(os.sched_getaffinity(0))


def _onnxruntime(content: bytes, machine: Machine, device: torch.device) -> Forward:
    import onnxruntime

    options: Any = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads_of(machine), 1
    options.use_deterministic_compute = machine.deterministic
    options.log_severity_level = 3
    providers = _providers(machine, device, onnxruntime.get_available_providers())
    session: Any = onnxruntime.InferenceSession(content, options, providers=providers)

    def forward(windows: Tensor) -> Tensor:
        given = {INPUT: windows.detach().cpu().contiguous().numpy()}
        return torch.from_numpy(session.run(None, given)[0]).to(windows.device)

    return forward


def _providers(machine: Machine, device: torch.device, available: list[str]) -> list[Any]:
    """Choose CUDA where the device is one and onnxruntime can; refuses a device that was named and cannot be used."""
    if device.type != "cuda":
        return ["CPUExecutionProvider"]
    if "CUDAExecutionProvider" in available:
        # In full float32, as PyTorch computes here.
        return [("CUDAExecutionProvider", {"device_id": device.index or 0, "use_tf32": 0}), "CPUExecutionProvider"]
    if machine.device != "auto":
        rule = "the installed onnxruntime knows the device"
        raise wrong_setting("machine.device", rule, f"{device}, and it knows {', '.join(available)}", _EXTRA_CUDA)
    return ["CPUExecutionProvider"]


def _openvino(content: bytes, machine: Machine, device: torch.device) -> Forward:
    """Open for the CPU, in float32: by itself OpenVINO takes bfloat16 where a CPU has it."""
    if device.type == "cuda" and machine.device != "auto":
        rule, remedy = "OpenVINO computes on the CPU", "set machine.device=cpu or machine.runtime=torch"
        raise wrong_setting("machine.device", rule, device, remedy)
    import openvino

    core: Any = openvino.Core()
    hints = {"INFERENCE_NUM_THREADS": threads_of(machine), "INFERENCE_PRECISION_HINT": "f32"}
    compiled: Any = core.compile_model(core.read_model(content), "CPU", hints)

    def forward(windows: Tensor) -> Tensor:
        found = compiled([windows.detach().cpu().contiguous().numpy()])[0]
        return torch.from_numpy(found.copy()).to(windows.device)

    return forward
