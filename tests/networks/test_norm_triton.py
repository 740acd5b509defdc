"""The Triton kernels: on a CUDA device, and number by number in Triton's interpreter where Triton is installed."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from itertools import product

import numpy as np
import pytest
import torch

from medseg.networks.norm import EPS, SLOPE
from medseg.networks.norm_fused import triton_serves
from tests.networks.test_norm import TOLERANCES, errors, exact, found, given

KINDS = (torch.float32, torch.float16, torch.bfloat16)
SMALL = ((2, 32, 9, 8, 7), (3, 5, 4, 6, 7), (1, 80, 11, 5, 3), (2, 24, 33, 21), (1, 1, 50, 40))


def interpreted() -> None:
    """Compare with double precision, in tiles of the usual size and in small ones with many chunks to be merged."""
    from medseg.networks import norm_triton

    torch.set_num_threads(1)
    for programs, tile, parts in ((1024, 2048, 64), (12, 256, 4)):
        norm_triton._PROGRAMS, norm_triton._TILE, norm_triton._PARTS = programs, tile, parts
        for shape, kind, last in product(SMALL[: 2 if tile == 256 else 3], KINDS, (False, True)):
            x, weight, bias, dy = given(shape, kind, last)
            y, mean, rstd = norm_triton.forward(x, weight, bias, EPS, SLOPE)
            results = [y, *norm_triton.backward(dy, x, y, weight, bias, mean, rstd, SLOPE)]
            assert [one.stride() for one in results] == [one.stride() for one in (x, x, weight, bias)]
            assert max(errors(results, exact(x, weight, bias, dy))) < TOLERANCES[kind], (shape, kind, last)


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed")
def test_the_kernels_compute_the_norm_in_the_interpreter() -> None:
    call = [sys.executable, "-c", f"import {__name__} as test; test.interpreted()"]
    done = subprocess.run(call, env={**os.environ, "TRITON_INTERPRET": "1"}, capture_output=True, text=True)
    if "only 0-dimensional arrays can be converted to Python scalars" in done.stderr:
        pytest.skip(f"the interpreter of this Triton does not work with NumPy {np.__version__}")
    assert done.returncode == 0, done.stderr


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_device_computes_the_norm(kind: torch.dtype, last: bool) -> None:
    pytest.importorskip("triton", reason="Triton is not installed")
    assert triton_serves(torch.device("cuda:0"))
    for shape in (*SMALL, (2, 32, 96, 96, 96), (2, 320, 4, 4, 4)):
        ends = given(shape, kind, last)
        order = torch.channels_last_3d if last and len(shape) == 5 else torch.preserve_format
        there = [one.to("cuda", memory_format=order if one.ndim == 5 else torch.preserve_format) for one in ends]
        results, again = found(*there), found(*there)  # type: ignore[call-arg]
        assert max(errors(results, exact(*ends))) < TOLERANCES[kind], shape
        assert all(torch.equal(a, b) for a, b in zip(results, again, strict=True)), shape
