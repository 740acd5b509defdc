"""Instance norm and leaky ReLU as one function of PyTorch, with its gradient written out.

With h = (x - mean) / sqrt(variance + eps), a = weight h + bias and y = a where a > 0, else slope a, the gradients are
dx = weight / sqrt(variance + eps) (g - mean(g) - h mean(g h)) with g = dy where a > 0, else slope dy; dweight is the
sum of g h and dbias that of g. Means run over the space of one sample, sums over space and samples.
"""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from medseg.networks import norm_samples

logger = logging.getLogger(__name__)

Three = tuple[Tensor, Tensor, Tensor]
ORDERS = {4: torch.channels_last, 5: torch.channels_last_3d}
_TOLERANCE = 2.0**-6  # relative: bfloat16 has 8 bits


def norm_act(x: Tensor, weight: Tensor, bias: Tensor, eps: float, slope: float) -> Tensor:
    """Return y `(B, C, *space)` in the type and memory order of x; weight and bias `(C,)` are float32, or all float64.

    x may be of half precision; sums never are. x is channels-last or contiguous; anything else is copied to
    channels-last. The same input gives the same bytes. Triton computes on CUDA, where it works; elsewhere PyTorch does.
    """
    y: Tensor = _NormAct.apply(x.contiguous(memory_format=order_of(x)), weight, bias, eps, slope)  # type: ignore[no-untyped-call]
    return y


def order_of(x: Tensor) -> torch.memory_format:
    """Return the memory order of a tensor that is contiguous in one; channels-last for all others."""
    return torch.contiguous_format if x.is_contiguous() else ORDERS[x.ndim]


class _NormAct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float, slope: float) -> Tensor:
        work = _compiled_forward if torch.compiler.is_compiling() else _forward
        y, mean, rstd = work(x, weight, bias, eps, slope)
        ctx.save_for_backward(x, y, weight, bias, mean, rstd)  # the next layer keeps y anyway
        ctx.slope = slope
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, y, weight, bias, mean, rstd = ctx.saved_tensors
        work = _compiled_backward if torch.compiler.is_compiling() else _backward
        dy = dy.contiguous(memory_format=order_of(x))
        return *work(dy, x, y, weight, bias, mean, rstd, ctx.slope), None, None


def _forward(x: Tensor, weight: Tensor, bias: Tensor, eps: float, slope: float) -> Three:
    """Return y, and the mean and 1 / sqrt(variance + eps) of each sample and channel, `(B, C)`."""
    return _place_of(x).forward(x, weight, bias, eps, slope)  # type: ignore[no-any-return]


def _backward(
    dy: Tensor, x: Tensor, y: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, rstd: Tensor, slope: float
) -> Three:
    """Return the gradients of x, weight and bias; dy has the memory order of x."""
    return _place_of(x).backward(dy, x, y, weight, bias, mean, rstd, slope)  # type: ignore[no-any-return]


def _place_of(x: Tensor) -> Any:
    if not (x.is_cuda and x.dtype != torch.float64 and triton_serves(x.device)):
        return norm_samples
    from medseg.networks import norm_triton  # an import that needs Triton

    return norm_triton


@cache
def triton_serves(device: torch.device) -> bool:
    """Return whether our Triton kernels run on a CUDA device and give there what PyTorch gives; says why if not."""
    try:
        from medseg.networks import norm_triton

        error = _largest_error(norm_triton, device)
    except Exception as reason:  # whatever a missing or broken Triton makes of it
        logger.info("no fused norm on %s: %s: %s", device, type(reason).__name__, reason)
        return False
    if not error < _TOLERANCE:
        logger.warning("the fused norm is off by %.2g on %s and left out: please report this", error, device)
    return error < _TOLERANCE


def _largest_error(ours: Any, device: torch.device) -> float:
    """Return the largest relative error of y and the gradients of a small bfloat16 tensor, channels-last."""
    chance = torch.Generator().manual_seed(0)
    shape, order = (2, 24, 9, 8, 40), ORDERS[5]
    x, dy = (torch.randn(shape, generator=chance).to(device, torch.bfloat16, memory_format=order) for _ in range(2))
    weight, bias = (torch.randn(24, generator=chance).to(device) for _ in range(2))
    y, mean, rstd = ours.forward(x, weight, bias, 1e-5, 0.01)
    found = (y, *ours.backward(dy, x, y, weight, bias, mean, rstd, 0.01))
    with torch.inference_mode(False), torch.enable_grad():
        ends = [one.float().clone().requires_grad_() for one in (x, weight, bias)]
        normed = functional.instance_norm(ends[0], weight=ends[1], bias=ends[2], eps=1e-5)
        wanted = functional.leaky_relu(normed, 0.01)
        slopes = torch.autograd.grad(wanted, ends, dy.float())
    pairs = zip(found, (wanted.detach(), *slopes), strict=True)
    return float(torch.stack([(a.float() - b).norm() / b.norm() for a, b in pairs]).max())


def _opaque(name: str, schema: str, work: Any, shapes: Any) -> Any:
    """Register `work` so that torch.compile calls it as it is; `shapes` returns empty tensors like its results."""
    tags = (torch.Tag.needs_fixed_stride_order,)
    made = torch.library.custom_op(name, work, mutates_args=(), schema=schema, tags=tags)
    made.register_fake(shapes)
    return made


def _forward_shapes(x: Tensor, weight: Tensor, bias: Tensor, eps: float, slope: float) -> Three:
    statistics = weight.new_empty(x.shape[:2])
    return torch.empty_like(x), statistics, torch.empty_like(statistics)


def _backward_shapes(
    dy: Tensor, x: Tensor, y: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, rstd: Tensor, slope: float
) -> Three:
    return torch.empty_like(x), torch.empty_like(weight), torch.empty_like(bias)


_compiled_forward = _opaque(
    "medseg::norm_act",
    "(Tensor x, Tensor weight, Tensor bias, float eps, float slope) -> (Tensor, Tensor, Tensor)",
    _forward,
    _forward_shapes,
)
_compiled_backward = _opaque(
    "medseg::norm_act_backward",
    "(Tensor dy, Tensor x, Tensor y, Tensor weight, Tensor bias, Tensor mean, Tensor rstd, float slope)"
    " -> (Tensor, Tensor, Tensor)",
    _backward,
    _backward_shapes,
)
