"""torch.compile, refused in plain words where there is no compiler for the device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from medseg.values.error import wrong_setting

Work = TypeVar("Work", bound=Callable[..., Any])


def compiled(work: Work) -> Work:
    """Return `work` compiled for the shapes that it is called with; compiling happens in its first calls.

    The compiler is told whether to be deterministic, as PyTorch is at this moment.
    """
    mode, warn = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(mode, warn_only=warn)
    return cast(Work, torch.compile(work, dynamic=False))


def demand_compiler(device: torch.device) -> None:
    """Refuse `machine.compile` where a function of one line cannot be compiled for the device."""
    try:
        compiled(_trial)(torch.ones(8, device=device))
    except Exception as error:  # whatever a missing or broken compiler makes of it
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        remedy = "install one (g++ for a CPU, Triton for CUDA), or set machine.compile=false"
        raise wrong_setting("machine.compile", f"there is a compiler for {device.type}", reason, remedy) from error


def _trial(x: Tensor) -> Tensor:
    return x.sin() + 1
