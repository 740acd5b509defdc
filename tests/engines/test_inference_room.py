"""Memory that runs out: smaller batches, files instead of memory, and what is refused."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from medseg.engines.device import computing
from medseg.engines.inference.batching import batch_size, out_of_memory
from medseg.engines.inference.frame import Room
from medseg.engines.inference.scratch import Scratch, scratch_folder
from medseg.engines.inference.settings import InferenceSettings
from medseg.values.error import Refusal
from medseg.values.machine import Machine
from tests.engines.window_cases import CPU, Blur, Counting, PerVoxel, frame, noise, whole

FULL = [
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory: you tried to ..."),
    RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("GET was unable to find an engine to execute this computation"),
]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    with computing(Machine(device="cpu", threads=1)):
        yield


@pytest.mark.parametrize("error", FULL, ids=range(len(FULL)))
def test_when_memory_runs_out_the_batch_is_halved_and_the_run_goes_on(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    image, given, chosen = noise(1, 20, 12, 12), frame((8, 8, 8)), InferenceSettings()
    expected, _ = whole([Blur(3)], image, given, chosen)
    network = Counting(Blur(3), 3, error)
    with caplog.at_level(logging.WARNING):
        found, _ = whole([network], image, given, chosen)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert network.sizes == [1, 3, 3, 3, 3, 3]
    assert [record.getMessage() for record in caplog.records] == [
        "memory of cpu ran out at 15 windows at once: fewer are taken"
    ]


def test_a_single_window_that_does_not_fit_is_refused() -> None:
    image, given = noise(1, 20, 12, 12), frame((8, 8, 8))
    rule = "memory of cpu: the network's work on one window fits into the memory, got no more memory; "
    with pytest.raises(Refusal, match=rule + "end other programs, or train with a smaller patches.size"):
        whole([Counting(Blur(3), 0, MemoryError())], image, given, InferenceSettings())
    told = RuntimeError("GET was unable to find an engine to execute this computation\nmore")
    with pytest.raises(Refusal, match="into the memory, got GET was unable to find an engine to execute this compu"):
        whole([Counting(Blur(3), 0, told)], image, given, InferenceSettings())


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    image, given = noise(1, 20, 12, 12), frame((8, 8, 8))
    with pytest.raises(RuntimeError, match="sizes do not match"):
        whole([Counting(Blur(3), 3, RuntimeError("sizes do not match"))], image, given, InferenceSettings())
    assert all(map(out_of_memory, FULL))


def test_batches_are_as_large_as_memory_and_use_allow() -> None:
    window = 4 * 8**3
    one = window + 4 * 256 * 8**3
    assert [batch_size((8, 8, 8), window, left, CPU) for left in (-5, 0, one - 1, one, 3.5 * one)] == [1, 1, 1, 1, 3]
    assert batch_size((8, 8, 8), window, 1e15, CPU) == 512
    assert batch_size((128, 128, 128), window, 1e15, CPU) == 1
    assert batch_size((128, 128, 128), window, 1e15, torch.device("cuda")) == 4


def test_a_slab_larger_than_the_room_lies_in_files_and_that_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    image, given, chosen = noise(1, 24, 40, 40), frame((12, 12, 12), mirror_axes=(0,)), InferenceSettings(mirror=True)
    scores, doubt = whole([Blur(3)], image, given, chosen)
    assert doubt is not None
    assert not caplog.records
    in_files = whole([Blur(3)], image, given, chosen, Room(CPU, 100_000))
    np.testing.assert_allclose(in_files[0], scores, atol=1e-5)
    np.testing.assert_allclose(in_files[1], doubt, atol=1e-5)
    (record,) = caplog.records
    said = f"they lie in temporary files in {scratch_folder()}; a higher machine.memory_gb avoids that"
    assert record.getMessage().endswith(said)


def test_scratch_files_hold_what_was_written_when_their_memory_is_given_back() -> None:
    scratch, values = Scratch(), torch.from_numpy(noise(3, 100, 200))
    one, other = scratch.tensor((3, 100, 200)), scratch.tensor((5,))
    assert not one.any()
    for count in range(1, 4):
        one += values
        other += 1
        scratch.rest()
        np.testing.assert_allclose(one, count * values, rtol=1e-6)
        assert other.tolist() == [count] * 5
    del scratch, other
    np.testing.assert_allclose(one, 3 * values, rtol=1e-6)


def test_scratch_files_have_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    assert scratch_folder() == tmp_path
    tensor = Scratch().tensor((4, 5))
    tensor += 1
    assert list(tmp_path.iterdir()) == []
    assert float(tensor.sum()) == 20


def test_scratch_files_that_the_disk_cannot_hold_are_refused() -> None:
    with pytest.raises(Refusal, match=r"MB of blended scores can be laid here for a while, got .*; free space"):
        Scratch().tensor((1 << 58,))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="this computer has no CUDA device")
@pytest.mark.parametrize("plane", [None, 0, 2])
@pytest.mark.parametrize("budget", [1, 100_000, 1 << 30])
@pytest.mark.parametrize("mirror", [False, True])
def test_a_cuda_device_says_the_same_wherever_the_slab_lies(plane: int | None, budget: int, mirror: bool) -> None:
    image, given = noise(1, 40, 30, 21), frame((8, 8, 8), plane)
    chosen = InferenceSettings(mirror=mirror, precision="float32", overlap=0.7)
    expected, doubt = whole([PerVoxel()], image, given, chosen)
    scores, other_doubt = whole([PerVoxel()], image, given, chosen, Room(torch.device("cuda"), budget))
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    if mirror:
        np.testing.assert_allclose(other_doubt, doubt, atol=1e-5)
    else:
        assert other_doubt is None
