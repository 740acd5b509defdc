"""Where the scans of a finished run lie, and what the index knew of them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from medseg.experiment.settings import read_settings
from medseg.files.layouts.values import DataSettings
from medseg.files.listing import folder_of
from medseg.files.plain_yaml import read_yaml
from medseg.ops.phantom_settings import PhantomSettings
from medseg.ops.scoring.settings import GridRule
from medseg.values.error import Refusal

Found = TypeVar("Found")
_REMEDY = "pictures of the report are there without it: case.show(); else run it again where the scans are"


@dataclass(frozen=True, slots=True)
class Place:
    """Folders of a run: its scans, and the index with a record of each of them.

    grid: what happened to predictions on another grid than their scan's.
    """

    data: Path
    index: Path
    grid: GridRule

    def record(self, case: str) -> Path:
        """Return the record of a case; refuses one that the index does not know."""
        path = self.index / "cases" / f"{case}.json"
        if not path.is_file():
            raise Refusal(case, "the index of the run knows the scan", f"no {path}", _REMEDY)
        return path


def place_of(run: Path) -> Place:
    """Find what a run was made from: its index in the store, and its scans.

    Relative folders in settings.yaml are taken from where the command was started. Refuses a run whose store or scans
    are gone: it was cleaned, or the folder was copied elsewhere.
    """
    settings, machine = _told(run, "settings.yaml", lambda text: read_settings(read_yaml(text)))
    stores = [Path(os.path.normpath(start / machine.store)) for start in _starts(run, Path(machine.runs).parts)]
    made = next((found for store in stores if _holds(found := _made(run, store))), None)
    if made is None:
        value = f"none of the run's in {' or '.join(map(str, dict.fromkeys(stores)))}"
        raise Refusal(str(run), "the store still holds the index of the run", value, _REMEDY)
    data = made["phantom"] / "data" if isinstance(settings.data, PhantomSettings) else _folder(settings.data)
    if not data.is_dir():
        raise Refusal(str(run), "the scans are where they were", f"no folder {data}", _REMEDY)
    return Place(data, made["index"], settings.score.grid)


def _folder(data: DataSettings) -> Path:
    return folder_of(Path(data.root or "."))


def _made(run: Path, store: Path) -> dict[str, Path]:
    """Return the folders of the stages that were done once, by the keys that the run noted."""
    return _told(run, "stages.json", lambda text: _folders(json.loads(text)["tasks"], store))


def _folders(tasks: list[dict[str, Any]], store: Path) -> dict[str, Path]:
    return {one["stage"]: store / one["stage"] / one["key"][:32] for one in tasks if not one["case"]}


def _holds(made: Mapping[str, Path]) -> bool:
    return "index" in made and (made["index"] / "scheme.json").is_file()


def _starts(run: Path, steps: Sequence[str]) -> Iterator[Path]:
    """Yield where the command may have been started: where `steps` lead to the run's folder, and here.

    Of a folder whose siblings are reached by `..` only its place is known, so it has another name.
    """
    own = run.resolve().parent.parts
    down = [step for step in steps if step != ".."]
    if not down or list(own[-len(down) :]) == down:
        yield Path(*own[: len(own) - len(down)], *("started" for step in steps if step == ".."))
    yield Path.cwd()


def _told(run: Path, name: str, parse: Callable[[str], Found]) -> Found:
    """Return what `parse` finds in a file of the run; refuses one that is not as medseg wrote it."""
    try:
        return parse(_text(run, name))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        rule, value = f"its {name} is as medseg wrote it", f"{type(error).__name__}: {error}"[:200]
        raise Refusal(str(run), rule, value, _REMEDY) from error


def _text(run: Path, name: str) -> str:
    path = run / name
    if not path.is_file():
        raise Refusal(str(run), f"the folder of a run holds {name}", "none", _REMEDY)
    return path.read_text(encoding="utf-8")
