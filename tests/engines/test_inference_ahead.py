"""Planes on their way to the host while a device is at work on what comes next."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from medseg.engines.inference.batching import cut, one_ahead
from medseg.engines.inference.blending import Canvas
from medseg.engines.inference.foreseeing import layout_of
from medseg.engines.inference.ground import Ground
from medseg.engines.inference.layout import Window
from medseg.engines.inference.settings import InferenceSettings
from medseg.engines.inference.stream import complete_planes
from tests.engines.window_cases import CPU, PerVoxel, frame, noise, whole


@pytest.mark.parametrize("plane", [None, 0])
def test_planes_are_the_same_wherever_windows_are_computed_and_blended(plane: int | None) -> None:
    image, given_frame, chosen = noise(2, 20, 9, 10), frame((8, 4, 8), plane), InferenceSettings()
    layout, cuda = layout_of(given_frame, image.shape[1:], chosen), torch.device("cuda")
    expected, _ = whole([PerVoxel()], image, given_frame, chosen)

    def results() -> Iterator[tuple[list[Window], torch.Tensor]]:
        windows = layout.windows()
        while batch := list(islice(windows, 3)):
            x = cut(image, batch, given_frame, pinned=False)
            found = PerVoxel()(x).softmax(1)
            yield batch, found if plane is None else found.unsqueeze(plane + 2)

    for device, ground in ((CPU, CPU), (cuda, CPU), (cuda, cuda)):  # the tensors are on the CPU all the time
        canvas, planes = Canvas(layout, 2, Ground(CPU)), 0
        for start, arrival in complete_planes(results(), canvas, ground, device):
            values = arrival.take()
            assert start == planes
            planes += values.shape[canvas.axis + 1]
            np.testing.assert_array_equal(values, expected.take(range(start, planes), canvas.axis + 1))
        assert planes == image.shape[canvas.axis + 1]


class Copies(TorchDispatchMode):
    """Count the copies from one device to another: on CUDA the host waits for each."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = [one.device for one in args if isinstance(one, torch.Tensor)]
        found = func(*args, **(kwargs or {}))
        self.count += bool(given) and isinstance(found, torch.Tensor) and found.device not in given
        return found


def test_painting_on_a_device_brings_nothing_there_window_by_window() -> None:
    meta, given_frame = torch.device("meta"), frame((8, 4, 8))
    counts = []
    for length in (20, 40):
        layout = layout_of(given_frame, (length, 9, 10), InferenceSettings())
        canvas = Canvas(layout, 2, Ground(meta))
        windows = list(layout.windows())
        with Copies() as copies:
            for window in windows[: len(windows) // 2]:
                canvas.paint(window, torch.empty((2, 8, 4, 8), device=meta))
            before = copies.count
            for window in windows[len(windows) // 2 :]:
                canvas.paint(window, torch.empty((2, 8, 4, 8), device=meta))
        counts.append(copies.count - before)
        assert before > 0
    assert counts == [0, 0]


def test_one_ahead_yields_everything_in_order_and_late() -> None:
    begun: list[int] = []

    def begin(count: int) -> Any:
        for number in range(count):
            begun.append(number)
            yield number

    assert [(item, len(begun)) for item in one_ahead(begin(4))] == [(0, 2), (1, 3), (2, 4), (3, 4)]
    assert list(one_ahead(begin(1))) == [0]
    assert list(one_ahead(begin(0))) == []
