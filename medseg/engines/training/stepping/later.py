"""Numbers on their way from the device: nobody waits for them until they are wanted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


class Later:
    """Scalars of one device, copied to the host as float64 while the device goes on."""

    def __init__(self, scalars: Sequence[Tensor]) -> None:
        values = torch.stack([scalar.detach().double() for scalar in scalars])
        self._event: Any = None
        self._values = values.to("cpu", non_blocking=True)  # into pinned memory, so that it does not wait
        if values.is_cuda:
            self._event = torch.cuda.Event()  # type: ignore[no-untyped-call, unused-ignore]
            self._event.record()

    @property
    def arrived(self) -> bool:
        """Whether `read` would not wait."""
        return self._event is None or bool(self._event.query())

    def read(self) -> list[float]:
        """Return the numbers; waits for the work that makes them, and for no later one."""
        if self._event is not None:
            self._event.synchronize()
        numbers: list[float] = self._values.tolist()
        return numbers
