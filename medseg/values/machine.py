"""What may differ from computer to computer without changing the mathematics of a result."""

from __future__ import annotations

import os
from typing import Literal

from pydantic import Field

from medseg.values.settings import Settings

_MOST_READERS = 8


class Machine(Settings):
    """Device, threads, memory and folders: recorded with a result, never part of its key."""

    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|cuda(:\d+)?)$",
        description="auto takes CUDA where there is one",
        examples=["auto", "cpu", "cuda", "cuda:1"],
    )
    threads: int = Field(0, ge=0, description="CPU threads for computing; 0 takes all cores")
    memory_gb: float = Field(4.0, gt=0, description="host memory that inference may use for its windows")
    store: str = Field(".medseg", description="folder of finished stages")
    runs: str = Field("runs", description="folder that holds one folder per run")
    checkpoint_seconds: float = Field(60.0, gt=0, description="longest time of training that a crash can cost")
    microbatch: int | None = Field(
        None, ge=1, description="patches of a step that are computed at once; fewer need less memory, null takes all"
    )
    recompute: bool = Field(False, description="compute activations again in the backward pass instead of keeping them")
    layout: Literal["auto", "channels_last", "channels_first"] = Field(
        "auto", description="memory order of images and weights; auto takes the faster one of the device"
    )
    norm: Literal["auto", "fused", "plain"] = Field(
        "auto", description="instance norm and leaky ReLU in one pass; auto where it is faster"
    )
    compile: bool = Field(False, description="compile the network with torch.compile before training")
    cuda_graphs: bool = Field(False, description="replay a whole training step as one CUDA graph")
    deterministic: bool = Field(True, description="the same bytes each time; false lets CUDA choose faster kernels")
    data: Literal["auto", "device", "host", "mapped"] = Field(
        "auto", description="where prepared cases lie while training: on the device, in memory, or on the disk"
    )
    runtime: Literal["torch", "onnx", "openvino"] = Field(
        "torch", description="what runs the network in inference; onnx and openvino need their extra"
    )
    workers: int = Field(
        0,
        ge=0,
        description="processes that cut patches, where 0 cuts them on the device or in a thread; in evaluate, cases "
        "that are scored at once, where 0 is one for each thread, at most 8",
    )
    trackers: tuple[Literal["tensorboard", "mlflow", "wandb"], ...] = Field(
        (), description="where curves are shown beside curve.csv; each needs its extra"
    )
    write: Literal["nifti", "nrrd", "mha", "dicom_seg"] = Field(
        "nifti", description="format of label maps: beside .nii.gz in predictions/, instead of it in segment"
    )

    @property
    def readers(self) -> int:
        """How many scans are read at once; more than a few would wait for the disk and hold memory."""
        return max(1, min(_MOST_READERS, self.threads or os.cpu_count() or 1))
