"""medseg segments the scan by its command: read, guarded, prepared, windows, mask, record and page written.

    python inference_own.py FOLDER OUT MIRROR DEVICE

Where Hydra is not installed, which only reads the words of the command, what lies under the command is called.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import torch
from inference_clock import report, threads

from medseg.cli.main import main as medseg_main
from medseg.experiment.segmenting.command import Told
from medseg.experiment.segmenting.command import segment as segment_scans
from medseg.experiment.segmenting.settings import read_segment_settings


def main(folder: Path, out: Path, mirror: bool, device: str) -> None:
    words = [
        "segment", f"model={folder / 'model'}", f"images={folder / 'images'}", f"out={out}",
        f"inference.mirror={str(mirror).lower()}", f"machine.device={device}", f"machine.threads={threads()}",
    ]  # fmt: skip

    torch.zeros(1, device=device)  # a device is awake when the clock starts: the others' networks lie on it by then
    for module in ("medseg.cli.segment", "medseg.stages.segmenting.segmenter", "medseg.report.segment_page"):
        import_module(module)  # imports are not measured, here as elsewhere

    def work() -> None:
        if (medseg_main(words) if find_spec("hydra") else under_the_command(words[1:])) != 0:
            raise SystemExit("medseg segment failed")

    report(work)


def under_the_command(words: Sequence[str]) -> int:
    """Do what `medseg segment` does with these words, and return its exit code."""
    tree: dict[str, object] = {"inference": {}, "machine": {}}
    for name, _, text in (word.partition("=") for word in words):
        group, _, key = name.rpartition(".")
        value: object = int(text) if text.isdigit() else text == "true" if text in ("true", "false") else text
        (tree[group] if group else tree)[key] = value  # type: ignore[index]
    settings, machine = read_segment_settings(tree)
    listing = segment_scans(settings, machine, Told(lambda record: None, lambda line: print(line, file=sys.stderr)))
    return 1 if listing.count("failed", "refused") else 0


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "mirror", sys.argv[4])
