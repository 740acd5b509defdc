"""From a folder of scans to a held-out tumour-vs-healthy report, every step reproducible."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

    from medseg.values.segmenter import Segmenter

__version__ = "0.1.0"


def load(folder: str | PathLike[str] | Sequence[str | PathLike[str]], device: str = "auto") -> Segmenter:
    """Open a trained model: a package, the folder of a run, or several folds, whose answers are averaged.

    `device` is auto, cpu, cuda or cuda:N. Libraries are imported here, not with medseg. Refuses a folder without a
    package, one that is damaged, and packages that do not belong together.
    """
    opened: Segmenter = import_module("medseg.stages.segmenting.loaded").load(folder, device)
    return opened
