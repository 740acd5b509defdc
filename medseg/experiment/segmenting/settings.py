"""What `medseg segment` is told: the model, the scans, where masks go, and how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from medseg.engines.inference.settings import InferenceSettings
from medseg.experiment.reading import build
from medseg.files.layouts.unlabelled import ScanSettings
from medseg.values.error import wrong_setting
from medseg.values.machine import Machine
from medseg.values.settings import Settings

Guard = Literal["warn", "refuse", "off"]


class SegmentSettings(Settings):
    """A trained model applied to new scans. `debug` is for people.

    `inference` holds what is to differ from the card of the model, by name.
    """

    model: tuple[str, ...] = Field(description="a model package or the folder of a run; several folds as [A,B]")
    images: str = Field(description="a scan, a folder of scans in any layout, or a table of them")
    out: str = Field(description="folder of the masks; the same command goes on there")
    guard: Guard = Field("warn", description="what happens to a scan that is unlike the training scans")
    probabilities: bool = Field(False, description="write CASE.probabilities.nii.gz too, one volume per output")
    uncertainty: bool = Field(False, description="write CASE.uncertainty.nii.gz too, 0 sure to 1 unsure")
    data: ScanSettings = ScanSettings()
    inference: dict[str, Any] = Field({}, description="overrides of the card's inference settings")
    debug: bool = Field(False, description="show the traceback of an error")

    def inference_of(self, card: InferenceSettings) -> InferenceSettings:
        """Return the card's settings, with those in their place that were given by name."""
        return build(InferenceSettings, {**card.model_dump(mode="json"), **self.inference}, "inference")


def read_segment_settings(tree: Mapping[str, Any]) -> tuple[SegmentSettings, Machine]:
    """Turn a tree of plain values into the settings and the machine; refuses (exit 2) the first thing that is wrong."""
    rest = {name: value for name, value in tree.items() if name != "machine"}
    if set(rest) <= set(SegmentSettings.model_fields):  # an unknown name may be one of these, written wrongly
        _check_paths(rest)
    if isinstance(rest.get("model"), str):
        rest["model"] = [rest["model"]]
    settings = build(SegmentSettings, rest, "")
    settings.inference_of(InferenceSettings())
    return settings, build(Machine, tree.get("machine") or {}, "machine")


def _check_paths(tree: Mapping[str, Any]) -> None:
    for name in ("model", "images", "out"):
        if not tree.get(name):
            raise wrong_setting(name, "a path is needed", "none", f"add {name}=PATH, see medseg segment --help")
