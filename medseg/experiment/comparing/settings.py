"""What `medseg compare` is told: the runs, where the comparison goes, and what is compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from medseg.experiment.reading import build
from medseg.values.error import wrong_setting
from medseg.values.settings import Settings


class CompareSettings(Settings):
    """Runs on the same scans, told apart. `debug` is for people."""

    runs: tuple[str, ...] = Field(description="folders of runs, or that `evaluate` wrote, as [A,B]; patterns like a_*")
    out: str = Field(description="folder of compare.json and compare.html")
    cases: Literal["same", "common"] = Field("same", description="common leaves out scans that some run has not scored")
    measure: str = Field("dice", description="the measure of sentences and charts, a column of scores.csv")
    regions: tuple[str, ...] = Field((), description="regions that are compared; empty: all that every run has")
    reference: str = Field("", description="the run that all others are compared with; empty: all pairs")
    group: Literal["seeds", "none"] = Field(
        "seeds", description="seeds takes runs together that differ only in seed or split.fold"
    )
    seed: int = Field(0, ge=0, description="draws the resamples of the confidence intervals")
    debug: bool = Field(False, description="show the traceback of an error")


def read_compare_settings(tree: Mapping[str, Any]) -> CompareSettings:
    """Turn a tree of plain values into settings; refuses (exit 2) the first thing that is wrong in it."""
    rest = dict(tree)
    if set(rest) <= set(CompareSettings.model_fields):  # an unknown name may be one of these, written wrongly
        for name in ("runs", "out"):
            if not rest.get(name):
                raise wrong_setting(name, "a path is needed", "none", f"add {name}=, see medseg compare --help")
    for name in ("runs", "regions"):
        if isinstance(rest.get(name), str):
            rest[name] = rest[name].split(",")
        if isinstance(rest.get(name), list):  # a folder may be called 2026
            rest[name] = [str(one) for one in rest[name]]
    return build(CompareSettings, rest, "")
