"""The plan of a training that starts from a package: the levels of the package's network, on the new data's grid."""

from __future__ import annotations

from math import prod
from pathlib import Path

from medseg.networks.settings import NetworkSettings
from medseg.values.plan import Architecture, Plan


def adopted(plan: Plan, network: NetworkSettings, package: Path, sized: bool) -> Plan:
    """Return the plan with the levels (features, strides, kernels) of the package's network, so that its weights fit.

    package: a folder with a card.json.  sized: the patch was given and stays as it is; one that was planned is rounded
    to what the network divides. Grid, batch, channels and outputs stay those of the new data. Where the settings ask
    for a network of another kind, width or depth than the package's, the plan is returned as it is.
    """
    from medseg.engines.packages.package import read_card  # imports torch
    from medseg.networks.build import check_patch

    card = read_card(package)
    if _layout(network) != _layout(card.network):
        return plan
    theirs, own = card.plan.architecture, plan.architecture
    architecture = theirs.model_copy(update={"channels": own.channels, "outputs": own.outputs})
    patch = plan.patch if sized else _rounded(plan.patch, plan.plane, network, architecture)
    check_patch(network, architecture, patch)
    return plan.model_copy(update={"architecture": architecture, "patch": patch})


def _layout(network: NetworkSettings) -> dict[str, object]:
    """Return the settings that decide the shapes of the weights."""
    return network.model_dump(exclude={"dropout", "deep_supervision"})


def _rounded(
    patch: tuple[int, int, int], plane: int | None, network: NetworkSettings, architecture: Architecture
) -> tuple[int, int, int]:
    """Round to the nearest multiples that suit the network, with two of them along the longest axis at least."""
    sizes, axes = list(patch), [axis for axis in range(3) if axis != plane]
    steps = dict(zip(axes, _multiples(network, architecture), strict=True))
    for axis, step in steps.items():
        sizes[axis] = max(1, int(sizes[axis] / step + 0.5)) * step
    if all(sizes[axis] == step for axis, step in steps.items()):
        sizes[max(axes, key=lambda axis: patch[axis])] *= 2
    x, y, z = sizes
    return x, y, z


def _multiples(network: NetworkSettings, architecture: Architecture) -> tuple[int, ...]:
    if network.kind == "monai":
        from medseg.networks.monai import multiples_of

        return multiples_of(network, architecture)
    return tuple(prod(steps) for steps in zip(*architecture.strides, strict=True))
