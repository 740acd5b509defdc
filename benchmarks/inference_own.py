"""medseg segments the scan by its command: read, guarded, prepared, windows, mask, record and page written.

python inference_own.py FOLDER OUT MIRROR DEVICE
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

from inference_clock import report, threads

from medseg.cli.main import main as medseg_main


def main(folder: Path, out: Path, mirror: bool, device: str) -> None:
    words = [
        "segment", f"model={folder / 'model'}", f"images={folder / 'images'}", f"out={out}",
        f"inference.mirror={str(mirror).lower()}", f"machine.device={device}", f"machine.threads={threads()}",
    ]  # fmt: skip

    for module in ("medseg.cli.segment", "medseg.stages.segmenting.segmenter", "medseg.report.segment_page"):
        import_module(module)  # imports are not measured, here as elsewhere

    def work() -> None:
        if medseg_main(words) != 0:
            raise SystemExit("medseg segment failed")

    report(work)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "mirror", sys.argv[4])
