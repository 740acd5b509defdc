"""The thread that works ahead: it changes nothing, keeps its distance, and is gone afterwards."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from contextlib import closing
from itertools import islice

import pytest
import torch

from medseg.engines.sampling.supplying.ahead import ahead
from medseg.engines.sampling.supplying.batches import batches
from tests.engines.batch_cases import CPU, case_of, one_thread, same, sampler_of

__all__ = ["one_thread"]


def worker_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "batches"]


def test_a_thread_changes_nothing_and_is_gone_after_closing() -> None:
    sampler = sampler_of([case_of(0), case_of(1)])
    plain = list(islice(batches(sampler, CPU), 8))
    with closing(ahead(batches(sampler, CPU), device=CPU)) as source:
        threaded = list(islice(source, 8))
        assert worker_threads()
    assert same(plain, threaded)
    assert not worker_threads()


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


def test_closing_closes_the_source() -> None:
    ended: list[bool] = []

    def source() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            ended.append(True)

    with closing(ahead(source())) as items:
        next(items)
    assert ended == [True]


def test_an_item_that_was_taken_is_not_kept() -> None:
    """A batch on a device is large: it must be gone when its step is over, not when the next one comes."""

    def source() -> Iterator[torch.Tensor]:
        while True:
            yield torch.zeros(4)

    with closing(ahead(source(), depth=1)) as items:
        item = next(items)
        seen = weakref.ref(item)
        del item
        assert seen() is None


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_a_stream_of_its_own_changes_nothing_on_cuda() -> None:
    device = torch.device("cuda")
    sampler = sampler_of([case_of(0), case_of(1)])
    plain = list(islice(batches(sampler, device), 30))
    with closing(ahead(batches(sampler, device), device=device)) as source:
        for expected, batch in zip(plain, source, strict=False):
            assert torch.equal(expected.images, batch.images)
            assert torch.equal(expected.classes, batch.classes)
