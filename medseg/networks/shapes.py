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
    with torch.device("meta"), _RowsOfNumbers():
        yield


class _RowsOfNumbers(TorchFunctionMode):
    """Makes rows of numbers in memory all the same: MONAI's SwinUNETR reads its dropout rates from one."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        if func is torch.linspace:
            given.setdefault("device", "cpu")
        return func(*args, **given)
