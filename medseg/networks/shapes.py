"""Networks without memory: built on PyTorch's meta device, where weights have a shape and no values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


@contextmanager
def shapes_alone() -> Iterator[None]:
    """Build networks within the block on the meta device: names and shapes are all they have."""
    with torch.device("meta"), _Shapes():
        yield


# Without values there is nothing to draw; on the meta device these would import PyTorch's compiler, 65 MB and a second.
_DRAWING = (torch.Tensor.normal_, torch.Tensor.uniform_, torch.Tensor.random_)


class _Shapes(TorchFunctionMode):
    """Draws nothing, and makes rows of numbers in memory: MONAI's SwinUNETR reads its dropout rates from one."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func in _DRAWING:
            return args[0]
        given = dict(kwargs or {})
        if func is torch.linspace:
            given.setdefault("device", "cpu")
        return func(*args, **given)
