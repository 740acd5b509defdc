"""The processes that train together: shares, sums, messages, and who speaks at the end, with real processes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch.distributed import HashStore

from medseg.engines.device import computing, device_of
from medseg.engines.joining import joined, ranks_of
from medseg.engines.leaving import Company, Living, Silent
from medseg.engines.ranks import ALONE, Lost, Ranks, as_current, current
from medseg.values.error import Refusal, wrong_setting
from medseg.values.machine import Machine

HEAD = """
import json, os, signal
from medseg.engines.device import computing, device_of
from medseg.engines.joining import joined, leave, ranks_of
from medseg.engines.ranks import current
with joined(ranks_of(os.environ)) as ranks:
    import torch
"""


@contextmanager
def started(world: int, body: str) -> Iterator[list[subprocess.Popen[str]]]:
    """Run `body` in so many processes, where `ranks` is each one's place."""
    script = HEAD + textwrap.indent(textwrap.dedent(body), "    ") + "\nleave(0)\n"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(world)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": str(world)},
        )
        for rank in range(world)
    ]  # fmt: skip
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.communicate()


@pytest.mark.parametrize("world", [1, 2, 3, 7])
@pytest.mark.parametrize("count", [0, 1, 5, 21])
def test_what_is_dealt_is_all_of_it_in_order_and_evenly(world: int, count: int) -> None:
    shares = [Ranks(rank, world).deal(range(count)) for rank in range(world)]
    assert [item for share in shares for item in share] == list(range(count))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_alone_nothing_is_changed_or_copied() -> None:
    values, network = torch.ones(3), torch.nn.Linear(2, 2)
    assert ALONE.add(values) is values
    assert ALONE.wrap(network) is network
    assert ALONE.tell("text") == "text"
    assert ALONE.gather("text") == ("text",)
    with joined(ALONE) as ranks:
        assert ranks is current() is ALONE


def test_torchrun_says_who_is_who() -> None:
    assert ranks_of({}) == ALONE
    assert ranks_of({"RANK": "0", "WORLD_SIZE": "1"}) == ALONE
    given = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4"}
    assert ranks_of(given) == Ranks(5, 8, 1, 4)
    with pytest.raises(Refusal, match=r"RANK: is the whole number that torchrun sets, got 'two'; start with torchrun"):
        ranks_of({"RANK": "two", "WORLD_SIZE": "8"})


def test_a_batch_with_too_few_patches_is_refused() -> None:
    Ranks(0, 4).demand_patches(4)
    rule = r"patches.batch: each of the 4 processes needs a patch of every batch, got 3; set patches.batch=4 or more"
    with pytest.raises(Refusal, match=rule) as refused:
        Ranks(0, 4).demand_patches(3)
    assert refused.value.exit_code == 2


def test_processes_share_the_cores_of_their_computer() -> None:
    former, cores = torch.get_num_threads(), len(os.sched_getaffinity(0))
    with as_current(Ranks(5, 8, 1, cores)), computing(Machine(device="cpu")):
        assert torch.get_num_threads() == 1
    with as_current(Ranks(5, 8, 1, 4 * cores)), computing(Machine(device="cpu", threads=3)):
        assert torch.get_num_threads() == 3
    assert torch.get_num_threads() == former
    assert current() is ALONE


def test_processes_of_one_computer_cannot_share_a_named_device() -> None:
    rule = r"machine.device: each of the 2 processes on a computer takes a CUDA device of its own, got cuda:1; set"
    with as_current(Ranks(1, 2, 1, 2)), pytest.raises(Refusal, match=rule) as refused:
        device_of(Machine(device="cuda:1"))
    assert refused.value.exit_code == 2


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 1, reason="needs a CUDA device")
def test_each_process_takes_its_own_device() -> None:
    last = torch.cuda.device_count() - 1
    with as_current(Ranks(9, 16, last, 8)):
        assert device_of(Machine()) == device_of(Machine(device="cuda")) == torch.device("cuda", last)
        with computing(Machine()):
            assert torch.cuda.current_device() == last
    with as_current(Ranks(9, 16, last + 1, 8)), pytest.raises(Refusal, match=r"machine.device: the device exists"):
        device_of(Machine())


def test_sums_messages_and_gradients_are_the_same_everywhere() -> None:
    body = """
    values = torch.tensor([0.1 * 3**ranks.rank, ranks.rank], dtype=torch.float64)
    total = ranks.add(values)
    assert values[1] == ranks.rank
    texts = ranks.gather("é" * 1000 * ranks.rank)
    network = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 1))
    unused = torch.nn.Parameter(torch.zeros(2))
    network.register_parameter("unused", unused)
    wrapped = ranks.wrap(network)
    for number in range(2):
        network.zero_grad()
        wrapped(torch.full((1, 2), float(ranks.rank + number))).sum().backward()
    found = {
        "current": current() is ranks,
        "total": total.numpy().tobytes().hex(),
        "texts": [len(text) for text in texts],
        "told": [ranks.tell(f"from {ranks.rank}"), ranks.tell("")],
        "weights": [value.detach().numpy().tobytes().hex() for value in network.parameters()],
        "gradient": network[0].weight.grad.tolist(),
        "expected": (network[1].weight.T * torch.ones(1, 2) * 1.5).tolist(),
        "names": list(network.state_dict()),
    }
    print(json.dumps(found))
    """
    with started(2, body) as processes:
        told = [process.communicate(timeout=120) for process in processes]
    outputs = [output for output, _ in told]
    assert outputs[0], told[0][1]
    assert outputs[0] == outputs[1]
    found = json.loads(outputs[0])
    assert found["current"]
    total = torch.tensor([0.1 + 0.1 * 3, 1.0], dtype=torch.float64)
    assert torch.allclose(torch.frombuffer(bytearray.fromhex(found["total"]), dtype=torch.float64), total, rtol=1e-15)
    assert found["texts"] == [0, 1000]
    assert found["told"] == ["from 0", ""]
    assert torch.allclose(torch.tensor(found["gradient"]), torch.tensor(found["expected"]), atol=1e-6)
    assert found["names"] == ["unused", "0.weight", "0.bias", "1.weight", "1.bias"]


def test_a_lost_process_is_noticed_by_all_and_told_as_such() -> None:
    body = """
    if ranks.rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    try:
        ranks.add(torch.ones(1)) if ranks.rank else ranks.tell("")
    except Exception as error:
        print(error, flush=True)
        os._exit(error.exit_code)
    """
    with started(3, body) as processes:
        ended = [(process.communicate(timeout=60)[0], process.returncode) for process in processes]
    assert ended[1] == ("", -signal.SIGKILL)
    for output, code in (ended[0], ended[2]):
        assert output.startswith("torchrun: another process of this run was lost, got "), output
        assert output.rstrip().endswith("; the same command continues from here"), output
        assert code == 1


def test_living_knows_an_ended_process() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        me = Living.me()
        other = Living.parse(str(Living(me.machine, me.space, process.pid)))
        elsewhere = Living("another machine", me.space, process.pid)
        assert not me.gone
        assert not other.gone
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # ended, and not yet buried by its parent
        assert other.gone
    assert other.gone
    assert not elsewhere.gone


def company(rank: int, store: HashStore, *, leader_is_gone: bool = False) -> Company:
    """Return a company of two, whose other process is this one too, or one that has ended."""
    me = Living.me()
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        ended = Living(me.machine, me.space, process.pid)
    return Company(Ranks(rank, 2), [ended if leader_is_gone else me, me], store)


def test_the_leader_speaks_and_the_other_one_ends_silently() -> None:
    store, refusal = HashStore(), wrong_setting("a", "b", "c", "d")
    assert company(0, store).verdict(refusal) is refusal
    silent = company(1, store).verdict(refusal)
    assert isinstance(silent, Silent)
    assert silent.reason is refusal
    assert isinstance(company(1, store).verdict(Lost("gone")), Silent)
    assert isinstance(company(1, store).verdict(KeyboardInterrupt()), Silent)


def test_what_only_one_process_has_met_it_says_itself() -> None:
    store, error = HashStore(), MemoryError("no memory on this device")
    assert company(1, store).verdict(error) is error
    assert isinstance(company(0, store).verdict(Lost("the other one")), Silent)


def test_a_lost_leader_is_told_once() -> None:
    store = HashStore()
    lost = company(1, store, leader_is_gone=True).verdict(KeyboardInterrupt())
    assert isinstance(lost, Lost)
    assert "rank 0 of 2 has ended" in str(lost)
    assert isinstance(company(1, store, leader_is_gone=True).verdict(Lost("gone")), Silent)


def test_a_stop_after_a_loss_is_told_as_the_loss() -> None:
    gone, stop = company(1, HashStore(), leader_is_gone=True).processes[0], KeyboardInterrupt()
    assert company(0, HashStore()).verdict(stop) is stop
    with_loss = Company(Ranks(0, 2), [Living.me(), gone], HashStore())
    assert isinstance(with_loss.verdict(stop), Lost)
