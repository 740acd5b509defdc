"""From a state, settings and a machine to the steps of a training; what does not go together is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from medseg.engines.device import layout_of
from medseg.engines.ranks import ALONE, Ranks
from medseg.engines.training.keeping.state import State
from medseg.engines.training.limits import check_graphs
from medseg.engines.training.settings import TrainingSettings
from medseg.engines.training.stepping.compiling import compiled, demand_compiler
from medseg.engines.training.stepping.gradients import Division, Gradients
from medseg.engines.training.stepping.precision import first_scale, precision_of
from medseg.engines.training.stepping.recording import Recording
from medseg.engines.training.stepping.step import Learning, Stepper
from medseg.networks.abilities import no_recompute
from medseg.networks.unet import UNet
from medseg.ops.losses import Logits, Loss
from medseg.values.error import wrong_setting
from medseg.values.machine import Machine


@dataclass(frozen=True, slots=True)
class Means:
    """What a training is computed with; none of it changes the mathematics.

    `patches` counts those of the global batch over all processes; None where this process gets all of them.
    """

    machine: Machine
    ranks: Ranks = ALONE
    patches: int | None = None


def build_stepper(state: State, loss: Loss, settings: TrainingSettings, seed: int, means: Means) -> Stepper:
    """Return what takes the steps; `state` lies on its device, restored from its checkpoint if there is one.

    Its network keeps its names in checkpoints, whatever it is wrapped in here.
    Refuses what the network or the device cannot do, naming the setting to change.
    """
    machine, network = means.machine, state.network
    device = next(network.parameters()).device
    dtype = precision_of(settings, device)
    check_division(network, means)
    check_graphs(machine, device.type, means.ranks.world)
    _set_recompute(network, machine.recompute)
    if dtype == torch.float16 and not state.scaler:
        state.scaler.update(first_scale(device))
    forward: Callable[[Tensor], Logits] = means.ranks.wrap(network)
    sums = loss.sums
    if machine.compile:
        demand_compiler(device)
        forward, sums = compiled(forward), compiled(sums)
    division = Division(means.ranks, means.patches, machine.microbatch)
    gradients = Gradients(network, forward, loss, sums, dtype, layout_of(machine, network), division)
    learning = Learning(state, gradients, settings.clip)
    return Stepper(state, Recording(learning) if machine.cuda_graphs else learning, settings, seed)


def check_division(network: nn.Module, means: Means) -> None:
    """Refuse to divide the batches of a network that would notice: one with batch norm, or with dropout of its own."""
    machine, world = means.machine, means.ranks.world
    if machine.microbatch is None and world == 1:
        return
    for name, module in network.named_modules():
        drops = isinstance(module, _DropoutNd) and module.p > 0
        if isinstance(module, _BatchNorm) or drops:
            rule = "the network treats every patch by itself where a batch is divided"
            remedy = "train in one process with machine.microbatch=null, or take network=unet3d or unet2d"
            raise wrong_setting("network", rule, f"{type(module).__name__} ({name})", remedy)


def _set_recompute(network: nn.Module, recompute: bool) -> None:
    if isinstance(network, UNet):
        network.recompute = recompute
    elif recompute:
        raise no_recompute(type(network).__name__)
