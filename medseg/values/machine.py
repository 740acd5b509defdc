"""What may differ from computer to computer without changing the mathematics of a result."""

from __future__ import annotations

import os
from typing import Literal

from pydantic import Field

from medseg.values.settings import Settings

_MOST_READERS = 8


class Machine(Settings):
    """Device, threads, memory and folders: recorded with a result, never part of its key."""

    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$", description="auto takes CUDA where there is one")
    threads: int = Field(0, ge=0, description="CPU threads for computing; 0 takes all cores")
    memory_gb: float = Field(4.0, gt=0, description="host memory that inference may use for its windows")
    store: str = Field(".medseg", description="folder of finished stages")
    runs: str = Field("runs", description="folder that holds one folder per run")
    checkpoint_seconds: float = Field(60.0, gt=0, description="longest time of training that a crash can cost")
    write: Literal["nifti", "nrrd", "mha", "dicom_seg"] = Field(
        "nifti", description="format of the label maps in predictions/, beside their .nii.gz"
    )

    @property
    def readers(self) -> int:
        """How many scans are read at once; more than a few would wait for the disk and hold memory."""
        return max(1, min(_MOST_READERS, self.threads or os.cpu_count() or 1))
