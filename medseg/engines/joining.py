"""Coming together under torchrun, from the first meeting to the last."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, NoReturn

from medseg.engines.leaving import Company, Living, Notes
from medseg.engines.ranks import ALONE, Ranks, as_current
from medseg.values.error import wrong_setting

MEETING = timedelta(minutes=10)  # until all have come
PATIENCE = timedelta(days=30)  # for the leader's work, e.g. an index of very many scans


def ranks_of(environment: Mapping[str, str]) -> Ranks:
    """Return the place that torchrun gave this process; `ALONE` where it started no second one."""
    if "RANK" not in environment or environment.get("WORLD_SIZE", "1") == "1":
        return ALONE
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    numbers = []
    for name, default in zip(names, ("", "", "0", "1"), strict=True):
        text = environment.get(name, default)
        if not text.isascii() or not text.isdigit():
            raise wrong_setting(name, "is the whole number that torchrun sets", f"'{text}'", "start with torchrun")
        numbers.append(int(text))
    return Ranks(*numbers)


@contextmanager
def joined(ranks: Ranks) -> Iterator[Ranks]:
    """Take part in a run of several processes: `current()` is `ranks` meanwhile, and all leave together.

    Refuses (exit 2) where the others do not come. An error in the block is raised as the `Company.verdict` about it.
    Alone, this does nothing and torch is not imported.
    """
    if ranks.world == 1:
        yield ranks
        return
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # read when torch starts; one process speaks for all
    import torch.distributed as dist

    store = _met(ranks)
    with as_current(ranks):
        company = Company(ranks, [Living.parse(one) for one in ranks.gather(str(Living.me()))], store)
        try:
            yield ranks
            ranks.tell("")  # the leader has done everything
        except BaseException as error:
            _ignore_signals()
            verdict = company.verdict(error)
            if verdict is error:
                raise
            raise verdict from error
    dist.destroy_process_group()


def leave(code: int) -> NoReturn:
    """End this process at once with `code`, its output written: the way out of a run of several processes.

    Python's own way out waits for processes that are gone, and it aborts where a thread of gloo still holds a tensor.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _met(ranks: Ranks) -> Notes:
    """Meet the others, where the environment says; gloo carries what the CPU holds, NCCL what CUDA devices hold."""
    import torch
    import torch.distributed as dist
    from torch.distributed.distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    has_devices = torch.cuda.is_available() and dist.is_nccl_available()
    try:
        shared = next(rendezvous("env://", ranks.rank, ranks.world, timeout=MEETING))[0]
        # torchrun keeps the notes of an attempt that failed when it starts the next one (--max-restarts)
        store: Any = PrefixStore(f"medseg/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", shared)
        backend = "cpu:gloo,cuda:nccl" if has_devices else "gloo"
        dist.init_process_group(backend, store=store, rank=ranks.rank, world_size=ranks.world, timeout=PATIENCE)
    except (RuntimeError, ValueError) as error:
        where = f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"
        rule = f"{ranks.world} processes meet at {where}"
        raise wrong_setting("torchrun", rule, error, "start all of them with one torchrun command") from error
    notes: Notes = store
    return notes


def _ignore_signals() -> None:
    """From now on this process is leaving by itself."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
