"""Where cases lie: decided from sizes alone, refused by name, and of no influence on a single byte."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from medseg.engines.sampling.supplying.batches import batches
from medseg.engines.sampling.supplying.residence import Room, choose, settle, size_of
from medseg.engines.sampling.supplying.supply import Supply, supplied
from medseg.values.error import Refusal
from medseg.values.machine import Machine
from tests.engines.batch_cases import CPU, case_of, one_thread, same, sampler_of, written

__all__ = ["one_thread"]

GB = 1_000_000_000
GPU = Room(host=100 * GB, device=80 * GB)


@pytest.mark.parametrize(
    ("size", "room", "workers", "place"),
    [
        (35, GPU, 0, "device"),
        (72, GPU, 0, "device"),
        (73, GPU, 0, "host"),
        (35, GPU, 2, "host"),
        (81, GPU, 0, "mapped"),
        (81, GPU, 2, "mapped"),
        (1, Room(host=100 * GB, device=0), 0, "host"),
        (1, Room(host=100 * GB), 0, "mapped"),
        (1, Room(host=100 * GB), 2, "mapped"),
    ],
)
def test_the_first_place_with_room_is_taken(size: int, room: Room, workers: int, place: str) -> None:
    assert choose("auto", size * GB, room, workers).place == place


@pytest.mark.parametrize("wanted", ["device", "host", "mapped"])
def test_a_place_that_was_asked_for_is_taken(wanted: str) -> None:
    assert choose(wanted, 3 * GB, GPU).place == wanted  # type: ignore[arg-type]
    assert choose(wanted, 3 * GB, Room(host=10 * GB)).place == wanted  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wanted", "room", "value"),
    [
        ("device", GPU, "90 GB of prepared cases fit in memory of the device, where 72 GB are free"),
        ("host", Room(host=50 * GB), "90 GB of prepared cases fit in memory of the computer, where 40 GB are free"),
        ("device", Room(host=50 * GB), "90 GB of prepared cases fit in memory of the device, where 40 GB are free"),
    ],
)
def test_a_place_that_is_too_small_is_refused(wanted: str, room: Room, value: str) -> None:
    with pytest.raises(Refusal, match=f"machine.data: {value} for them, got {wanted}; set machine.data=auto") as caught:
        choose(wanted, 90 * GB, room)  # type: ignore[arg-type]
    assert caught.value.exit_code == 2


def test_processes_cannot_cut_what_lies_on_the_device() -> None:
    with pytest.raises(Refusal, match=r"machine.workers: processes cannot cut .*; set machine.workers=0, or") as caught:
        choose("device", GB, GPU, workers=2)
    assert caught.value.exit_code == 2


def test_the_size_is_that_of_the_arrays() -> None:
    case = case_of(0)
    assert size_of([case, case]) == 2 * (case.image.size * 4 + case.classes.size)


@pytest.mark.parametrize("place", ["device", "host", "mapped"])
def test_batches_are_the_same_bytes_wherever_cases_lie(tmp_path: Path, place: str) -> None:
    cases = written(tmp_path)
    plain = list(islice(batches(sampler_of(cases), CPU), 10))
    machine = Machine.model_validate({"device": "cpu", "data": place})
    with supplied(sampler_of(cases), Supply(machine, CPU)) as source:
        assert same(plain, list(islice(source, 10)))


def test_settled_cases_hold_the_same_numbers_and_are_left_alone(tmp_path: Path) -> None:
    cases = written(tmp_path)
    settled = settle(cases, "host", CPU)
    assert settled.block is not None
    settled.block.close()
    for case, moved in zip(cases, settled.cases, strict=True):
        assert np.array_equal(case.image, moved.image)
        assert np.array_equal(case.classes, moved.classes)
        assert (moved.image.dtype, moved.classes.dtype, moved.case) == (np.float32, np.uint8, case.case)
        with pytest.raises(ValueError, match="read-only"):
            moved.image[0] = 0
    on_device = settle(cases, "device", CPU).cases[0].image
    assert isinstance(on_device, torch.Tensor)
    on_device.zero_()
    assert cases[0].image.any()
