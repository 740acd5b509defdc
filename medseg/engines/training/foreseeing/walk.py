"""How much a network keeps of a patch, for the backward pass or on its way: found by walks that compute nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


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


def passing(network: nn.Module, image: Sequence[int], dtype: torch.dtype = torch.float32) -> Kept | None:
    """Return what the forward pass of one image `(C, *space)` holds at most at once where nothing is kept.

    The image itself is left out, the answer is not. `network` lies on the meta device; it is asked in eval mode and
    left in the mode it came in. None where it cannot be walked.
    """
    network.to(dtype)
    modes, alive = [(module, module.training) for module in network.modules()], _Alive()
    network.eval()
    try:
        with torch.no_grad(), alive:
            network(torch.empty((1, *image), dtype=dtype, device="meta"))
    except (RuntimeError, NotImplementedError, ValueError, TypeError):
        return None
    finally:
        network.float()
        for module, training in modes:
            module.training = training
    own = torch.Size((1, *image)).numel() * dtype.itemsize
    return Kept(alive.most - own, alive.largest)


class _Alive(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of what operations have made and somebody still holds: the most at once, and the largest one."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.most, self.largest = 0, 0
        self._held: dict[StorageWeakRef, int] = {}

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = operation(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor):
                self._note(tensor)
        return made

    def _note(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        self._held = {held: size for held, size in self._held.items() if not _is_gone(held)}
        self._held[StorageWeakRef(storage)] = storage.nbytes()  # type: ignore[no-untyped-call]
        self.most = max(self.most, sum(self._held.values()))
        self.largest = max(self.largest, storage.nbytes())


def _is_gone(held: StorageWeakRef) -> bool:
    return bool(held.expired())  # type: ignore[no-untyped-call]


def _place(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
