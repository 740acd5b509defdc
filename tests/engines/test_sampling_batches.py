"""The row of batches, with and without a thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from itertools import islice

import numpy as np
import pytest
import torch

from medseg.engines.sampling.batches import ahead, batches
from medseg.engines.sampling.cut import Batch
from medseg.engines.sampling.settings import AugmentSettings, NoiseSettings, PatchSettings
from medseg.files.prepared import PreparedCase
from medseg.values.plan import Architecture, Plan

PLAN = Plan(
    spacing_mm=(1.0, 1.0, 1.0),
    patch=(8, 8, 8),
    batch=3,
    plane=None,
    architecture=Architecture(
        dimensions=3, channels=1, outputs=2, features=(4,), strides=((1, 1, 1),), kernels=((3, 3, 3),)
    ),
)


def some_batches(first_step: int = 1) -> Iterator[Batch]:
    generator = np.random.default_rng(0)
    cases = []
    for number in range(3):
        image = generator.standard_normal((1, 12, 11, 10)).astype(np.float32)
        classes = (image[0] > 1).astype(np.uint8)
        seeds = {1: np.argwhere(classes).astype(np.int32)}
        cases.append(PreparedCase(str(number), image, classes, seeds, (1.0, 1.0, 1.0), {}))
    noisy = AugmentSettings(noise=NoiseSettings(probability=0.5))
    return batches(0, cases, PLAN, PatchSettings(), noisy, torch.device("cpu"), first_step)


def same(one: list[Batch], two: list[Batch]) -> bool:
    pairs = zip(one, two, strict=True)
    return all(torch.equal(a.images, b.images) and torch.equal(a.classes, b.classes) for a, b in pairs)


def worker_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "batches"]


def test_a_thread_changes_nothing_and_is_gone_after_closing() -> None:
    plain = list(islice(some_batches(), 8))
    with closing(ahead(some_batches())) as source:
        threaded = list(islice(source, 8))
        assert worker_threads()
    assert same(plain, threaded)
    assert not worker_threads()


def test_batches_can_begin_at_any_step() -> None:
    assert same(list(islice(some_batches(), 6))[3:], list(islice(some_batches(4), 3)))


def test_a_short_source_ends_and_an_error_comes_through() -> None:
    assert list(ahead(iter([1, 2, 3, 4, 5]))) == [1, 2, 3, 4, 5]

    def failing() -> Iterator[int]:
        yield 1
        raise OSError("disk is gone")

    source = ahead(failing())
    assert next(source) == 1
    with pytest.raises(OSError, match="disk is gone"):
        next(source)
    assert not worker_threads()


def test_the_thread_is_never_more_than_its_depth_ahead() -> None:
    made: list[int] = []

    def counting() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            yield number

    with closing(ahead(counting(), depth=2)) as source:
        for taken in islice(source, 10):
            assert len(made) <= taken + 3
