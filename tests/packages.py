"""What training reads of a scan's way to the network, and small model packages, for tests that need one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medseg.engines.inference.settings import InferenceSettings
from medseg.engines.packages.package import Card, save_model
from medseg.files.records import SchemeRecord, write_record
from medseg.networks.build import build_network
from medseg.networks.settings import UNet2D, UNet3D
from medseg.ops.guard import Familiar
from medseg.ops.intensity import ChannelNormalisation
from medseg.ops.preparing import Preparation, PrepareSettings
from medseg.values.plan import Architecture, Plan

TUMOUR = SchemeRecord(labels={"tumour": 1}, regions={"tumour": (1,)}, tumour="tumour")


def preparation(*channels: str, spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> Preparation:
    """Return what z-scores every channel."""
    how = ChannelNormalisation(kind="zscore")
    return Preparation(spacing_mm=spacing_mm, normalisations=dict.fromkeys(channels or ("image",), how))


def write_preparation(folder: Path) -> dict[str, Path]:
    """Write preparation.json and familiar.json of one channel and return them as inputs of training."""
    write_record(folder / "preparation.json", preparation())
    write_record(folder / "familiar.json", Familiar(cases=1))
    return {name: folder / f"{name}.json" for name in ("preparation", "familiar")}


def card(plan: Plan, **others: Any) -> Card:
    """Return the card of a package with the plan's channels, all else at its simplest unless given."""
    names = plan.channels or tuple(f"channel{number}" for number in range(plan.architecture.channels))
    given: dict[str, Any] = {
        "medseg": "0",
        "made_from": "ab",
        "plan": plan,
        "network": UNet3D() if plan.plane is None else UNet2D(),
        "scheme": TUMOUR,
        "activation": "softmax",
        "channels": plan.architecture.channels,
        "channel_names": names,
        "mirror_axes": (),
        "step": 1,
        "steps": 1,
        "validation_dice": None,
        "prepare": PrepareSettings(),
        "preparation": preparation(*names, spacing_mm=plan.spacing_mm),
        "inference": InferenceSettings(),
        "familiar": Familiar(cases=1),
    }
    return Card(**{**given, **others})


def package(folder: Path, seed: int = 0, **others: Any) -> Path:
    """Write a package of random weights: two levels of four features, windows of 8 voxels, background and tumour."""
    architecture = Architecture(
        dimensions=3, channels=1, outputs=2, features=(4, 8), strides=((1, 1, 1), (2, 2, 2)), kernels=((3, 3, 3),) * 2
    )
    plan = Plan(spacing_mm=(1.0, 1.0, 1.0), patch=(8, 8, 8), batch=1, plane=None, architecture=architecture)
    made = card(others.pop("plan", plan), **others)
    network = build_network(made.network, made.plan.architecture, seed, made.plan.patch)
    save_model(folder, network.state_dict(), made)
    return folder
