"""From a folder of scans to a held-out tumour-vs-healthy report, every step reproducible.

What is returned has its type in __init__.pyi: named here, it would be part of the code of every stage.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

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


def open_run(folder: str | PathLike[str]) -> Any:
    """Open a finished run, like "runs/phantom", or what `medseg evaluate` wrote: tables, curve, cases, pictures.

    Refuses a folder without scores.
    """
    return import_module("medseg.experiment.opening.runs").open_run(folder)


def compare_runs(folders: Sequence[str | PathLike[str]], *words: str) -> Any:
    """Compare runs on the same scans, as `medseg compare` does; `words` are its settings, like "cases=common".

    Nothing is kept unless "out=DIR" is among them. Refuses what the command refuses.
    """
    return import_module("medseg.cli.python").compare_runs(folders, words)


def open_data(root: str | PathLike[str] | None = None, *words: str) -> Any:
    """Look at a data set: `root` is a folder or a CSV; without one, the head phantoms that medseg makes itself.

    `words` are settings as on the command line, like "data.layout=msd" or "experiment=hippocampus". Refuses what
    `medseg run` refuses.
    """
    return import_module("medseg.cli.python").open_data(root, words)


def run(*words: str) -> Any:
    """Do an experiment, as `medseg run` with these words does, and open its run, or the runs of a sweep (`-m`)."""
    return import_module("medseg.cli.python").run(words)
