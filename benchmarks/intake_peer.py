"""Run nnU-Net's dataset integrity check in its own environment: see `intake`.

    PEER/bin/python benchmarks/intake_peer.py RESULT.json PROCESSES FOLDER [CALLS]

Writes how long the import took, how long each call took (in this process, one after the other), and what it raised.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path


def main(result: Path, processes: int, folder: str, calls: int) -> None:
    """Call it and write down the seconds."""
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        os.environ.setdefault(name, folder)
    began = time.perf_counter()
    from nnunetv2.experiment_planning.verify_dataset_integrity import verify_dataset_integrity

    imported = time.perf_counter() - began
    seconds, raised = [], ""
    for _ in range(calls):
        began = time.perf_counter()
        try:
            verify_dataset_integrity(folder, processes)
        except Exception as error:
            raised = f"{type(error).__name__}: {error}"
        seconds.append(time.perf_counter() - began)
    result.write_text(json.dumps({"import_seconds": imported, "call_seconds": seconds, "raised": raised}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4]) if len(sys.argv) > 4 else 1)
