"""What people see while work is going on: bars in a terminal, plain lines elsewhere; all of it on standard error."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from medseg.values.progress import Progress, logger

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

SECONDS_BETWEEN_LINES = 10.0


def say(text: str) -> None:
    """Write a result to standard output."""
    print(text, flush=True)  # noqa: T201


class Screen(Protocol):
    """Where news go."""

    def line(self, text: str) -> None:
        """Write one line that stays."""

    def show(self, news: Progress) -> None:
        """Show how far a task is."""


class PlainScreen:
    """Lines of text, for files and pipes: at most one per task every ten seconds, and the last one."""

    def __init__(self) -> None:
        self.started: dict[str, tuple[float, float]] = {}
        self.last: dict[str, float] = {}

    def line(self, text: str) -> None:
        """Write one line at once."""
        print(text, file=sys.stderr, flush=True)  # noqa: T201

    def show(self, news: Progress) -> None:
        """Write a line when the task is complete or has been quiet for ten seconds."""
        now = time.monotonic()
        share = fraction(news)
        start, before = self.started.setdefault(news.task, (now, share))
        done = share >= 1.0
        if not done and now - self.last.get(news.task, start) < SECONDS_BETWEEN_LINES:
            return
        self.last[news.task] = now
        rest = remaining(now - start, share - before, 1.0 - share)
        self.line("  ".join(part for part in (f"  {news.task:12}{amount(news)}", shown(news.facts), rest) if part))
        if done:
            self.started.pop(news.task, None)
            self.last.pop(news.task, None)


class PatientScreen(PlainScreen):
    """Plain lines, but none of a task that is complete within ten seconds: for notebooks, where lines stay."""

    def show(self, news: Progress) -> None:
        """Write a line when the task has been quiet for ten seconds, and when such a one is complete."""
        if fraction(news) >= 1.0 and news.task not in self.last:
            self.started.pop(news.task, None)
        else:
            super().show(news)


class SilentScreen:
    """Nothing at all: for processes that another one speaks for."""

    def line(self, text: str) -> None:
        """Write nothing."""

    def show(self, news: Progress) -> None:
        """Show nothing."""


class BarScreen:
    """Bars that move, with speed, facts and time left."""

    def __init__(self, bars: Bars) -> None:
        self.bars = bars
        self.tasks: dict[str, TaskID] = {}
        self.started: dict[str, tuple[float, float]] = {}

    def line(self, text: str) -> None:
        """Write one line above the bars."""
        self.bars.console.print(text, markup=False, highlight=False)

    def show(self, news: Progress) -> None:
        """Move the task's bar; a complete one goes away, its stage's line stays."""
        share = fraction(news)
        if news.task not in self.tasks:
            self.tasks[news.task] = self.bars.add_task(news.task, total=1.0, amount="", facts="", speed="")
            self.started[news.task] = time.monotonic(), news.done
        start, before = self.started[news.task]
        seconds = time.monotonic() - start
        speed = f"{(news.done - before) / seconds:.3g} {news.unit}/s" if seconds > 1 and news.done > before else ""
        self.bars.update(
            self.tasks[news.task], completed=share, amount=amount(news), facts=shown(news.facts), speed=speed
        )
        if share >= 1.0:
            self.bars.remove_task(self.tasks.pop(news.task))


class _Listener(logging.Handler):
    def __init__(self, screen: Screen) -> None:
        super().__init__(logging.INFO)
        self.screen = screen

    def emit(self, record: logging.LogRecord) -> None:
        news = getattr(record, "progress", None)
        if isinstance(news, Progress):
            self.screen.show(news)


class _Speaker(logging.Handler):
    """Writes what modules say through `logging.getLogger(__name__)` as lines of their own."""

    def __init__(self, screen: Screen) -> None:
        super().__init__(logging.INFO)
        self.screen = screen

    def emit(self, record: logging.LogRecord) -> None:
        from medseg.values.finding import printable  # pydantic: `medseg --help` does without

        head = "warning: " if record.levelno >= logging.WARNING else ""
        self.screen.line(head + printable(record.getMessage()))


@contextmanager
def screen(heard: bool = True) -> Iterator[Screen]:
    """Listen to the progress of the stages and to their notes and warnings, and show them, until the block ends.

    Unless `heard`, all of it is kept back.
    """
    if not heard or not sys.stderr.isatty():
        plain = PlainScreen() if heard else SilentScreen()
        with _listening(plain):
            yield plain
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("  {task.description:12}"),
        BarColumn(bar_width=28),
        TextColumn("{task.fields[amount]}"),
        TextColumn("{task.fields[speed]}", style="dim"),
        TextColumn("{task.fields[facts]}", style="cyan"),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        moving = BarScreen(bars)
        with _listening(moving):
            yield moving


@contextmanager
def patiently() -> Iterator[Screen]:
    """Listen as `screen` does, and show of the progress only what takes long, until the block ends."""
    patient = PatientScreen()
    with _listening(patient):
        yield patient


@contextmanager
def _listening(where: Screen) -> Iterator[None]:
    listener, speaker, package = _Listener(where), _Speaker(where), logging.getLogger("medseg")
    level = package.level
    logger.setLevel(logging.INFO)
    logger.propagate = False
    package.setLevel(logging.INFO)
    logger.addHandler(listener)
    package.addHandler(speaker)
    try:
        yield
    finally:
        logger.removeHandler(listener)
        package.removeHandler(speaker)
        package.setLevel(level)


def fraction(news: Progress) -> float:
    """Return the share that is done, 0..1."""
    if news.fraction is not None:
        return min(1.0, news.fraction)
    return min(1.0, news.done / news.total) if news.total else 0.0


def amount(news: Progress) -> str:
    """Say how much is done, e.g. `12/36 cases`."""
    total = f"/{news.total:g}" if news.total else ""
    return f"{news.done:g}{total} {news.unit}"


def shown(facts: dict[str, float | int | str]) -> str:
    """Show the facts beside a task, e.g. `loss 0.412  dice 0.87`."""
    return "  ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}" for name, value in facts.items()
    )


def remaining(seconds: float, done: float, left: float) -> str:
    """Say how long the rest will take at the speed so far; nothing where that is not known yet."""
    if done <= 0 or left <= 0 or seconds < 1:
        return ""
    return f"{clock(seconds * left / done)} left"


def clock(seconds: float) -> str:
    """Write a duration the short way: `48 s`, `5 min 20 s`, `2 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
