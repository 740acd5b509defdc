"""Doing, or foretelling, one task after the other: the only place that looks into the store."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from medseg.pipeline.code import digest_of_code
from medseg.pipeline.memo import MEMO
from medseg.pipeline.store import Finished, Source, Store, Task, write_whole
from medseg.values.digests import digest_of
from medseg.values.error import Refusal
from medseg.values.machine import Machine
from medseg.values.progress import tell
from medseg.values.settings import Settings

CASE_FAILURES = (Refusal, MemoryError, ArithmeticError, ValueError, RuntimeError, LookupError)


@dataclass(frozen=True, slots=True)
class Line:
    """What became of one task, a line of stages.json. `status` is run, reused or failed, in a plan: run or reused."""

    stage: str
    case: str
    key: str
    status: str
    because: str
    seconds: float = 0.0
    peak_memory_mb: float = 0.0


@dataclass(frozen=True, slots=True)
class Each:
    """What became of the cases of a stage: finished ones, and why others failed; in a plan some may be neither."""

    done: dict[str, Finished]
    failed: dict[str, str]


class Unfinished(Exception):
    """A plan meets a task that has not been done, so what depends on it is not known yet."""


class Do(Protocol):
    """Give me the finished task: by finding it, or by doing it."""

    def __call__(self, stage: str, settings: Settings, inputs: Mapping[str, Source], case: str = "") -> Finished:
        """Return the finished task of `stage` (over one case, where `case` is given)."""

    def each(self, stage: str, settings: Settings, tasks: Mapping[str, Mapping[str, Source]]) -> Each:
        """Return what became of a stage over many cases, whose inputs `tasks` has by case."""

    def agreed(self, work: Callable[[], str]) -> str:
        """Return the text that `work` gives, the same one wherever this experiment is done."""

    def keep_text(self, text: str) -> Source:
        """Return a text as an input of later tasks."""


Listener = Callable[[Line], None]


class Runner:
    """Does what is not in the store yet; every task adds a line to `lines`.

    `before` holds what is called once before the first task of a stage that has to be done, with its case.
    """

    def __init__(self, store: Store, machine: Machine, facts: Mapping[str, Any], listener: Listener) -> None:
        self.store, self.machine, self.facts, self.listener = store, machine, facts, listener
        self.lines: list[Line] = []
        self.before: dict[str, Callable[[str], None]] = {}

    def __call__(self, stage: str, settings: Settings, inputs: Mapping[str, Source], case: str = "") -> Finished:
        """Return the finished task, doing it where needed; what the stage raises is noted and raised again."""
        task = self.task(stage, settings, inputs, case)
        found = self.store.find(task)
        because = "" if found else self.store.because(task)
        if found is None and stage in self.before:
            self.before.pop(stage)(case)
        try:
            finished = found or self.store.make(task, self.work(stage, settings, inputs), self.facts)
        except Exception as error:
            self.note(Line(stage, case, task.key, "failed", reason(error)))
            raise
        seconds, peak = finished.manifest["seconds"], finished.manifest["peak_memory_mb"]
        self.note(Line(stage, case, task.key, "reused" if found else "run", because, seconds, peak))
        return finished

    def each(self, stage: str, settings: Settings, tasks: Mapping[str, Mapping[str, Source]]) -> Each:
        """Do a stage for each case; a case that fails is noted and stops nothing.

        A wrong setting is wrong for every case, so it is raised.
        """
        found = Each({}, {})
        for number, (case, inputs) in enumerate(tasks.items(), start=1):
            try:
                found.done[case] = self(stage, settings, inputs, case)
            except CASE_FAILURES as error:
                if isinstance(error, Refusal) and error.exit_code == 2:
                    raise
                found.failed[case] = reason(error)
            tell(stage, number, len(tasks), "cases")
        return found

    def agreed(self, work: Callable[[], str]) -> str:
        """Return the text that `work` gives."""
        return work()

    def keep_text(self, text: str) -> Source:
        """Keep a text (why a case failed) where later tasks can read it as an input."""
        source = _text_source(self.store, text)
        source.path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(source.path, text)
        return source

    def task(self, stage: str, settings: Settings, inputs: Mapping[str, Source], case: str = "") -> Task:
        """Return the task of a stage, over one case where `case` is given."""
        return _task(stage, settings, inputs, case, self.store.root / MEMO)

    def work(self, stage: str, settings: Settings, inputs: Mapping[str, Source]) -> Callable[[Path], None]:
        """Return what fills a draft folder with the result of a stage."""

        def work(draft: Path) -> None:
            module = importlib.import_module(f"medseg.stages.{stage}")
            try:
                module.run(settings, {name: source.path for name, source in inputs.items()}, draft, self.machine)
            except OSError as error:
                raise _unwritable(error, draft) from error

        return work

    def note(self, line: Line) -> None:
        """Keep what became of a task, and tell it."""
        self.lines.append(line)
        self.listener(line)


class Foreteller:
    """Looks up what a run would do, and does nothing."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.lines: list[Line] = []

    def __call__(self, stage: str, settings: Settings, inputs: Mapping[str, Source], case: str = "") -> Finished:
        """Return the finished task where it is in the store; raises Unfinished where it would have to be done."""
        memory = self.store.root / MEMO  # a plan makes no store
        task = _task(stage, settings, inputs, case, memory if memory.is_file() else None)
        found = self.store.find(task)
        because = "" if found else self.store.because(task)
        seconds = found.manifest["seconds"] if found else 0.0
        self.lines.append(Line(stage, case, task.key, "reused" if found else "run", because, seconds))
        if found is None:
            raise Unfinished(stage)
        return found

    def each(self, stage: str, settings: Settings, tasks: Mapping[str, Mapping[str, Source]]) -> Each:
        """Return the cases that are in the store."""
        found = Each({}, {})
        for case, inputs in tasks.items():
            with suppress(Unfinished):
                found.done[case] = self(stage, settings, inputs, case)
        return found

    def agreed(self, work: Callable[[], str]) -> str:
        """Return the text that `work` gives."""
        return work()

    def keep_text(self, text: str) -> Source:
        """Return the input that the text would be; nothing is written."""
        return _text_source(self.store, text)


def reason(error: Exception) -> str:
    """Say in one line why a task failed."""
    return str(error) if isinstance(error, Refusal) else f"{type(error).__name__}: {error}"


def _text_source(store: Store, text: str) -> Source:
    digest = digest_of(text)
    return Source(store.root / "texts" / f"{digest[:32]}.txt", digest)


def _task(stage: str, settings: Settings, inputs: Mapping[str, Source], case: str, memory: Path | None) -> Task:
    code = digest_of_code(f"medseg.stages.{stage}", memory=memory)
    return Task(stage, case, code, settings.model_dump(mode="json"), inputs)


def _unwritable(error: OSError, draft: Path) -> Refusal:
    what = error.strerror or str(error)
    return Refusal(
        str(error.filename or draft),
        "the file must be readable, or there must be room to write it",
        what,
        "free some space, or set machine.store and machine.runs to a folder with more",
        exit_code=1,
    )
