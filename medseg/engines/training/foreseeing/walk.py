"""How much a network keeps of a patch for the backward pass: found by a walk over shapes that computes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks


@dataclass(frozen=True, slots=True)
class Kept:
    """Bytes of activations: all that are kept together, and the largest single one."""

    together: int
    largest: int


def walk(network: nn.Module, image: Sequence[int], dtype: torch.dtype = torch.float32) -> Kept | None:
    """Return what the forward pass of one image `(C, *space)` keeps, computed in `dtype`.

    `network` lies on the meta device, in training mode, in float32. None where it cannot be walked, as when it looks at
    values.
    """
    network.to(dtype)
    weights = {_place(tensor) for tensor in (*network.parameters(), *network.buffers())}
    kept: dict[int, Tensor] = {}

    def note(tensor: Tensor) -> Tensor:
        if _place(tensor) not in weights:
            kept[_place(tensor)] = tensor  # held, so that no other takes its place in memory
        return tensor

    try:
        with saved_tensors_hooks(note, lambda tensor: tensor):
            network(torch.empty((1, *image), dtype=dtype, device="meta"))
    except (RuntimeError, NotImplementedError, ValueError, TypeError):
        return None
    finally:
        network.float()
    sizes = [tensor.untyped_storage().nbytes() for tensor in kept.values()]
    return Kept(sum(sizes), max(sizes, default=0))


def _place(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
