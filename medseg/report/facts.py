"""How a result came about, as name and value: split sizes, labels, plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from medseg.report.wording import count
from medseg.values.labels import LabelScheme

Facts = list[tuple[str, str]]
PLANES = ("sagittal", "coronal", "axial")


def gather_facts(split: Mapping[str, Any], scheme: LabelScheme, plan: Mapping[str, Any] | None) -> Facts:
    """List what a reader needs to judge a result; without a plan its part is left out."""
    facts = [
        ("Training", count(len(split["train"]), "scan")),
        ("Validation", f"{count(len(split['validation']), 'scan')}, used to choose the weights"),
        ("Held out", f"{count(len(split['held_out']), 'scan')}, used for nothing but this report"),
        ("Seed of the split", str(split.get("seed", "not recorded"))),
        ("Labels", ", ".join(f"{name} = {value}" for name, value in scheme.labels.items())),
        ("Regions", "; ".join(_region(name, members, scheme) for name, members in scheme.regions.items())),
    ]
    if scheme.ignore is not None:
        facts.append(("Left out", f"voxels with the number {scheme.ignore}, which nobody annotated"))
    return facts + (_planned(plan) if plan else [])


def _region(name: str, members: Iterable[int], scheme: LabelScheme) -> str:
    names = {value: label for label, value in scheme.labels.items()}
    return f"{name} = {' + '.join(names.get(value, str(value)) for value in members)}"


def _planned(plan: Mapping[str, Any]) -> Facts:
    shape = plan["architecture"]
    grid = "isotropic" if len(set(plan["spacing_mm"])) == 1 else "anisotropic"
    plane = "" if plan["plane"] is None else f", {PLANES[plan['plane']]} slices"
    names = [("Channels", ", ".join(plan["channels"]))] if plan.get("channels") else []
    return [
        *names,
        ("Voxels inside the network", f"{_times(f'{mm:.3g}' for mm in plan['spacing_mm'])} mm ({grid})"),
        ("Patch", f"{_times(plan['patch'])} voxels, {plan['batch']} in a batch"),
        ("Network", f"{shape['dimensions']}D{plane}; {count(shape['channels'], 'channel')} in, {shape['outputs']} out"),
        ("Features per level", ", ".join(map(str, shape["features"]))),
    ]


def _times(numbers: Iterable[object]) -> str:
    return " x ".join(map(str, numbers))
