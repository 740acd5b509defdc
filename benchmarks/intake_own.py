"""Run the index stage in a process of its own, with nothing remembered: see `intake`.

    python benchmarks/intake_own.py RESULT.json SETTINGS.json FOLDER SCRATCH [CALLS]

SETTINGS are data settings. Writes how long the import took and how long each call took, each with a store of its own.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path


def main(result: Path, settings: str, folder: Path, scratch: Path, calls: int) -> None:
    """Call it and write down the seconds."""
    began = time.perf_counter()
    from medseg.files.layouts.find import DataSettings
    from medseg.stages.index import IndexSettings, run
    from medseg.values.machine import Machine

    imported = time.perf_counter() - began
    data, seconds = DataSettings.model_validate_json(settings), []
    for number in range(calls):
        out = scratch / str(number)
        out.mkdir(parents=True)
        began = time.perf_counter()
        run(IndexSettings(data=data), {"data": folder}, out, Machine(store=str(out / "store")))
        seconds.append(time.perf_counter() - began)
    result.write_text(json.dumps({"import_seconds": imported, "call_seconds": seconds, "raised": ""}))


if __name__ == "__main__":
    main(
        Path(sys.argv[1]),
        sys.argv[2],
        Path(sys.argv[3]),
        Path(sys.argv[4]),
        int(sys.argv[5]) if len(sys.argv) > 5 else 1,
    )
