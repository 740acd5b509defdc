"""What the GPU benchmark measures, one part after the other, the most telling ones first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

LIMIT_SECONDS = {False: 90, True: 180}  # by whether there is something to compile
FREE = {"deterministic": False}
GRAPH = {**FREE, "cuda_graphs": True}
CEILINGS, NORM, PEER = "ceilings", "norm alone", "nnU-Net's way"
Part = dict[str, Any]


def own(machine: Part | None = None, batch: int = 2, precision: str = "auto", pipelines: Sequence[str] = ()) -> Part:
    """Describe a part of ours; `auto` is bf16 on CUDA, `tf32` is fp32 with TF32 allowed in matrix units."""
    tf32 = precision != "fp32"
    precision = "fp32" if precision == "tf32" else precision
    return {
        "kind": "own",
        "machine": machine or {},
        "batch": batch,
        "precision": precision,
        "tf32": tf32,
        "pipelines": [*pipelines],
    }


PARTS: dict[str, Part] = {
    CEILINGS: {"kind": "ceilings"},
    "as it comes (bf16, channels-last, fused norm, deterministic)": own(pipelines=("device", "host")),
    PEER: {"kind": "peer", "batch": 2, "compiled": True},
    "free kernels": own(FREE, pipelines=("device",)),
    "free kernels, CUDA graph": own(GRAPH, pipelines=("device", "host")),
    "free kernels, CUDA graph, batch 4": own(GRAPH, batch=4, pipelines=("device",)),
    "plain norm": own({"norm": "plain"}),
    "channels-first": own({"layout": "channels_first"}),
    NORM: {"kind": "norm"},
    "fp16": own(precision="fp16"),
    "free kernels, compiled": own({**FREE, "compile": True}),
    "free kernels, CUDA graph, batch 8": own(GRAPH, batch=8),
    "tf32": own(precision="tf32"),
    "fp32": own(precision="fp32"),
    "free kernels, compiled, fused norm": own({**FREE, "compile": True, "norm": "fused"}),
    f"{PEER}, not compiled": {"kind": "peer", "batch": 2, "compiled": False},
}


def limit(part: Part) -> int:
    """Return the seconds that a part may take."""
    return LIMIT_SECONDS[bool(part.get("compiled") or part.get("machine", {}).get("compile"))]


# On a CPU these would do once more what others do, or compile for a minute.
NOT_DRY = {name for name in PARTS if "batch" in name or "compiled" in name}
