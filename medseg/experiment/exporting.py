"""A trained model for other programs: what is asked for, checked, made and put where it was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from medseg.engines.device import computing
from medseg.engines.exporting.bundle import check_bundle, write_bundle
from medseg.engines.exporting.making import Exported, make_export, write_export
from medseg.engines.exporting.record import Format
from medseg.engines.packages.opening import package_folder
from medseg.engines.packages.package import CARD, WEIGHTS, read_card
from medseg.experiment.reading import build
from medseg.values.error import wrong_setting
from medseg.values.machine import Machine
from medseg.values.settings import Settings

ENDINGS = {"onnx": ".onnx", "torch": ".pt2"}


class ExportSettings(Settings):
    """What is exported, as what, and where to."""

    model: str = Field(min_length=1, description="folder of a model package, or of a run that holds model/")
    format: Format = Field(description="onnx, torch (torch.export) or monai (a bundle)")
    out: str = Field(min_length=1, description="the file that is written, or the folder of a bundle")
    images: str | tuple[str, ...] = Field(
        (), description="a scan whose windows are compared: a file, or one per channel; without it noise is taken"
    )
    debug: bool = Field(False, description="show the traceback of an error")


def read_export(tree: Mapping[str, Any]) -> tuple[ExportSettings, Machine]:
    """Turn a tree of plain values into the two roots; refuses (exit 2) the first thing that is wrong in it."""
    rest = {name: value for name, value in tree.items() if name != "machine"}
    return build(ExportSettings, rest, ""), build(Machine, tree.get("machine") or {}, "machine")


def export(settings: ExportSettings, machine: Machine) -> tuple[Path, Exported]:
    """Export a package and return where it lies, with what was found out about it.

    Nothing is written before the export has answered as PyTorch does. Refuses what `make_export` refuses, and (exit
    2) a package that is not there, and a place that does not fit the format.
    """
    package, out = package_folder(Path(settings.model)), Path(settings.out)
    _check_package(package, settings.model)
    if settings.format == "monai":
        check_bundle(out, read_card(package))
    else:
        _check_file(out, ENDINGS[settings.format])
    given = (settings.images,) if isinstance(settings.images, str) else settings.images
    with computing(machine.model_copy(update={"device": "cpu"})):
        exported = make_export(package, settings.format, machine, [Path(name) for name in given])
    (write_bundle if settings.format == "monai" else write_export)(out, exported)
    return out, exported


def _check_package(folder: Path, named: str) -> None:
    if not all((folder / name).is_file() for name in (CARD, WEIGHTS)):
        rule = f"a folder with {CARD} and {WEIGHTS}, or of a run that holds model/, is needed"
        raise wrong_setting("model", rule, named, "check the path")


def _check_file(out: Path, ending: str) -> None:
    """Refuse another ending, so that no weights or card can be written over, and a folder."""
    if out.suffix != ending:
        raise wrong_setting("out", f"the file ends with {ending}", out, f"write out=FILE{ending}")
    if out.is_dir():
        raise wrong_setting("out", "a file is needed", f"the folder {out}", f"write out=FILE{ending}")
