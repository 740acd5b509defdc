"""What only our own networks can do, and the refusal of other ones that are asked for it."""

from __future__ import annotations

from medseg.networks.settings import NetworkSettings
from medseg.values.error import Refusal, wrong_setting
from medseg.values.machine import Machine


def check_abilities(network: NetworkSettings, machine: Machine) -> None:
    """Refuse (exit 2) what `machine` asks of a network that is not ours, by settings alone."""
    if network.kind != "monai":
        return
    if machine.recompute:
        raise no_recompute(network.name)
    if machine.norm == "fused":
        raise no_fused_norm(network.name)


def no_recompute(name: str) -> Refusal:
    """Make the refusal to compute the activations of a network again."""
    rule = "only unet3d and unet2d can compute their activations again"
    return wrong_setting("machine.recompute", rule, name, "set machine.recompute=false")


def no_fused_norm(name: str) -> Refusal:
    """Make the refusal to fuse the norms of a network."""
    rule = "only unet3d and unet2d have a norm that can be fused"
    return wrong_setting("machine.norm", rule, name, "set machine.norm=auto")
