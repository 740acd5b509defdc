"""One experiment done by several processes: the leader does what is done once, cases are dealt out, all train."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from medseg.engines.ranks import Ranks, losses_told
from medseg.experiment.runner import Each, Line, Listener, Runner
from medseg.pipeline.store import Finished, Source, Store
from medseg.values.error import Refusal, wrong_setting
from medseg.values.machine import Machine
from medseg.values.settings import Settings

JOINT = frozenset({"train"})  # stages that all processes enter, in the draft folder of the leader
APPEARING_SECONDS = 90.0  # a network disk may show a new folder to other machines only after a minute
_BEGIN = "begin"


class Together(Runner):
    """A runner in each of several processes, which come to the same tasks in the same order.

    The outcome is the same in all of them. What the leader refuses ends its process, and with it all others.
    """

    def __init__(
        self, store: Store, machine: Machine, facts: Mapping[str, Any], listener: Listener, ranks: Ranks
    ) -> None:
        super().__init__(store, machine, facts, listener)
        self.ranks = ranks

    def __call__(self, stage: str, settings: Settings, inputs: Mapping[str, Source], case: str = "") -> Finished:
        """Return the finished task: one over a case is done here, any other one by the leader, or by all at once."""
        if case:
            return super().__call__(stage, settings, inputs, case)
        if self.ranks.leads:
            finished = super().__call__(stage, settings, inputs)
            self.ranks.tell("")
            return finished
        task = self.task(stage, settings, inputs)
        if self.ranks.tell("") == _BEGIN:
            with losses_told():
                super().work(stage, settings, inputs)(self.store.draft_of(task))
            self.ranks.tell("")
        return self._there(stage, settings, inputs)

    def each(self, stage: str, settings: Settings, tasks: Mapping[str, Mapping[str, Source]]) -> Each:
        """Do this process's share of the cases and learn what became of the others."""
        share = {case: tasks[case] for case in self.ranks.deal(list(tasks))}
        shares = [json.loads(text) for text in self.ranks.gather(self._share(stage, settings, share))]
        for wrong in (one["wrong"] for one in shares if one["wrong"]):
            raise Refusal(**wrong)
        for rank, one in enumerate(shares):
            for line in one["lines"] if rank != self.ranks.rank else ():
                self.note(Line(**line))
        failed = {case: why for one in shares for case, why in one["failed"].items()}
        ended = [case for case in tasks if case not in failed]
        return Each({case: self._there(stage, settings, tasks[case], case) for case in ended}, failed)

    def agreed(self, work: Callable[[], str]) -> str:
        """Return the text that `work` gives to the leader; the others wait for it."""
        return self.ranks.tell(work() if self.ranks.leads else "")

    def work(self, stage: str, settings: Settings, inputs: Mapping[str, Source]) -> Callable[[Path], None]:
        """Return what fills a draft; the leader calls the others to a stage that all of them enter."""
        alone = super().work(stage, settings, inputs)

        def together(draft: Path) -> None:
            self.ranks.tell(_BEGIN)
            with losses_told():
                alone(draft)

        return together if stage in JOINT else alone

    def _share(self, stage: str, settings: Settings, share: Mapping[str, Mapping[str, Source]]) -> str:
        """Do the cases of this process and describe what became of them as JSON."""
        before, failed, wrong = len(self.lines), {}, None
        try:
            failed = super().each(stage, settings, share).failed
        except Refusal as refusal:
            names = ("subject", "rule", "value", "remedy", "exit_code", "override")
            wrong = {name: getattr(refusal, name) for name in names}
        return json.dumps({"lines": [asdict(line) for line in self.lines[before:]], "failed": failed, "wrong": wrong})

    def _there(self, stage: str, settings: Settings, inputs: Mapping[str, Source], case: str = "") -> Finished:
        """Return a task that another process has finished; refuses (exit 2) a store that this machine does not see."""
        task = self.task(stage, settings, inputs, case)
        deadline = time.monotonic() + APPEARING_SECONDS
        while (found := self.store.find(task)) is None:
            if time.monotonic() > deadline:
                value = f"no {stage}/{task.key[:32]} on this machine"
                remedy = "set machine.store to a folder that all machines share"
                raise wrong_setting("machine.store", "all processes of a run see one store", value, remedy)
            time.sleep(0.1)
        return found


def runner_of(ranks: Ranks, machine: Machine, facts: Mapping[str, Any], listener: Listener) -> Runner:
    """Return what does the tasks of an experiment in the machine's store, alone or with the other processes."""
    store = Store(Path(machine.store))
    if ranks.world == 1:
        return Runner(store, machine, facts, listener)
    return Together(store, machine, facts, listener, ranks)
