"""Opening the trackers that were asked for, before training begins."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from medseg.engines.training.trackers.tracker import Row, Start, Tracker, plain
from medseg.values.error import wrong_setting
from medseg.values.settings import Settings

logger = logging.getLogger(__name__)
NEEDED = {
    "tensorboard": ("tensorboard",),
    "mlflow": ("mlflow", "sqlalchemy", "alembic"),
    "wandb": ("wandb",),
}
NAMING_CASES = "patches.case_weights"
_AT_ONCE = 1000
Open = Callable[[Start], tuple[Tracker, str]]


def require(kinds: Sequence[str], needed: Mapping[str, Sequence[str]] = NEEDED) -> None:
    """Refuse (exit 2) trackers whose `needed` packages are not installed, naming the extra; nothing is imported."""
    for kind in kinds:
        missing = [name for name in needed[kind] if not _installed(name)]
        if missing:
            remedy = f"pip install 'medseg[{kind}]', or take {kind} out of machine.trackers"
            raise wrong_setting("machine.trackers", f"{kind} needs the extra '{kind}'", f"no {missing[0]}", remedy)


def _installed(name: str) -> bool:
    """Tell whether a package is there; a mere folder of its name, such as wandb leaves behind, is none."""
    spec = find_spec(name)
    return spec is not None and spec.origin is not None


def open_trackers(kinds: Sequence[str], start: Start, log: Path) -> dict[str, Tracker]:
    """Open each kind in `start.folder`/KIND, give it the past of this training, and tell where its curves can be seen.

    `log` is the log.jsonl of the training up to `start.step`: what a tracker lost in a crash, or never got because it
    was not asked for, it gets from there. Refuses what is not installed. One that cannot be opened for another reason
    is left out with a warning.
    """
    require(kinds)
    opened = {kind: _opened(kind, replace(start, folder=start.folder / kind), log) for kind in dict.fromkeys(kinds)}
    return {kind: tracker for kind, tracker in opened.items() if tracker is not None}


def flat(settings: Settings) -> dict[str, str | int | float | bool]:
    """Return the settings by dotted name; lists and nulls become text. Those that name cases are left out."""
    facts = _flat("", settings.model_dump(mode="json"))
    return {name: value for name, value in facts if not name.startswith(NAMING_CASES)}


def _flat(path: str, value: Any) -> list[tuple[str, str | int | float | bool]]:
    if isinstance(value, dict) and value:
        return [one for name, inner in value.items() for one in _flat(f"{path}.{name}" if path else name, inner)]
    return [(path, value if isinstance(value, (str, int, float, bool)) else str(value))]


def _opened(kind: str, start: Start, log: Path) -> Tracker | None:
    try:
        start.folder.mkdir(parents=True, exist_ok=True)
        opener: Open = import_module(f"medseg.engines.training.trackers.{kind}").open_tracker
        tracker, where = opener(start)
        _tell_past(tracker, _records(log, start.step))
    except Exception as error:
        logger.warning("the tracker %s could not be opened (%s); training goes on without it", kind, plain(error))
        return None
    logger.info("curves in %s: %s", kind, where)
    return tracker


def _tell_past(tracker: Tracker, records: Iterator[Mapping[str, Any]]) -> None:
    waiting: list[Row] = []
    for record in records:
        if "loss" in record:
            waiting.append(record)
        if waiting and ("validation_dice" in record or len(waiting) == _AT_ONCE):
            tracker.steps(waiting)
            waiting = []
        if "validation_dice" in record:
            tracker.validation(record["step"], record["validation_dice"])
    if waiting:
        tracker.steps(waiting)


def _records(log: Path, step: int) -> Iterator[Mapping[str, Any]]:
    if step == 0:
        return
    with log.open(encoding="utf-8") as file:
        for line in file:  # a text stands for a number that is not finite
            yield {name: float(v) if isinstance(v, str) else v for name, v in json.loads(line).items()}
