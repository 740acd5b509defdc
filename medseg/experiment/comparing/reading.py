"""Read what is compared: the rows of a run, or of a folder that `evaluate` wrote, and how they were scored."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medseg.files.plain_yaml import read_yaml
from medseg.ops.comparing.sides import Scores
from medseg.ops.scoring.settings import ScoreSettings
from medseg.report.scores import TEXTS, Row, read_scores
from medseg.values.error import Refusal, wrong_setting

SCORES, SUMMARY, SETTINGS, EVALUATED = "scores.csv", "summary.json", "settings.yaml", "evaluate.json"
# Which grids are taken decides what can be scored, not what it is worth.
_NOT_A_RULE = {"grid"}
_JOB = re.compile(r"(.*?)-([A-Za-z_][\w.]*=.*)", re.DOTALL)  # a job of a sweep: its experiment, its settings
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class ScoredRun:
    """A run under a name of its own: its rows, the region that is the tumour, why predictions failed, by case.

    `scoring` are the settings of the scores and `settings` all of the run's; None where they are not recorded.
    """

    name: str
    folder: Path
    scores: Scores
    tumour: str
    failed: Mapping[str, str]
    scoring: Json | None
    settings: Json | None

    @property
    def cases(self) -> frozenset[str]:
        """The scans that were scored."""
        return frozenset(case for case, _ in self.scores)

    @property
    def regions(self) -> tuple[str, ...]:
        """The regions, in the order of the rows."""
        return tuple(dict.fromkeys(region for _, region in self.scores))


def read_runs(folders: Sequence[Path]) -> list[ScoredRun]:
    """Read all runs, each under the shortest end of its path that is no other's; one named twice gets a number.

    Refuses (exit 2) a folder without scores, and (exit 1) scores that cannot be read, have a row twice or hold NaN.
    """
    homes = [_home(folder) for folder in folders]
    return [_read(folder, name) for folder, name in zip(homes, _names(homes), strict=True)]


def _home(folder: Path) -> Path:
    """Return the folder of the run where its report is named."""
    above = folder.absolute().parent
    return folder.parent if folder.name == "report" and (above / SETTINGS).is_file() else folder


def _read(folder: Path, name: str) -> ScoredRun:
    place = _place(folder)
    summary, settings = _json(place / SUMMARY), _yaml(folder / SETTINGS)
    rows = _rows(place / SCORES)
    failed = {str(row["case"]): str(row["reason"]) for row in rows if row.get("reason")}
    scoring = _scoring(settings, place / EVALUATED)
    if not isinstance(summary.get("tumour"), str):
        raise _unreadable(place / SUMMARY, "the region of the tumour is named", "none")
    return ScoredRun(name, folder, _by_cell(place / SCORES, rows), summary["tumour"], failed, scoring, settings)


def _place(folder: Path) -> Path:
    """Return where the scores lie; refuses a folder without any."""
    for place in (folder / "report", folder):
        if (place / SCORES).is_file() and (place / SUMMARY).is_file():
            return place
    remedy = "name a run that has come to its report, or the out=DIR of `medseg evaluate`"
    if (folder / SETTINGS).is_file():
        remedy = f"finish it: medseg run --config-dir {folder} --config-name settings"
    raise wrong_setting("runs", f"{SCORES} and {SUMMARY} lie in each folder or in its report", folder, remedy)


def _rows(path: Path) -> list[Row]:
    try:
        rows = read_scores(path)
    except (OSError, ValueError, TypeError, AttributeError, csv.Error) as error:
        raise _unreadable(path, "each line is a row of texts and numbers in their columns", error) from None
    if not rows:
        raise _unreadable(path, "there is a row of scores", "none")
    for number, row in enumerate(rows, start=1):
        if not row.get("case") or not row.get("region"):
            raise _unreadable(path, "each row names case and region", f"row {number} without")
        for column, value in row.items():
            if column not in TEXTS and not _is_number(value):
                raise _unreadable(path, "measures are finite numbers, or empty", f"{column} {value} of {row['case']}")
    return rows


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, (int, float)) and math.isfinite(value))


def _by_cell(path: Path, rows: Iterable[Row]) -> Scores:
    cells: dict[tuple[str, str], Row] = {}
    for row in rows:
        key = str(row["case"]), str(row["region"])
        if key in cells:
            raise _unreadable(path, "there is one row for each case and region", f"two for {key[1]} of {key[0]}")
        cells[key] = row
    return cells


def _scoring(settings: Json | None, evaluated: Path) -> Json | None:
    """Return how the scores were made, with the defaults of what is not named."""
    told = settings.get("score") if settings is not None else None
    if told is None and evaluated.is_file():
        told = _json(evaluated).get("settings")
    if not isinstance(told, Mapping):
        return None
    known = ScoreSettings().model_dump(mode="json", exclude=_NOT_A_RULE)
    return {name: told.get(name, value) for name, value in known.items()}


def _json(path: Path) -> Json:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise _unreadable(path, "it is JSON", error) from None
    if not isinstance(content, dict):
        raise _unreadable(path, "it is a JSON object", type(content).__name__)
    return content


def _yaml(path: Path) -> Json | None:
    if not path.is_file():
        return None
    try:
        content = read_yaml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _unreadable(path, "it is YAML", error) from None
    if not isinstance(content, dict):
        raise _unreadable(path, "it holds settings", type(content).__name__)
    return content


def _unreadable(path: Path, rule: str, value: object) -> Refusal:
    return Refusal(str(path), rule, str(value)[:200], "score again, or mend the file")


def _without_common_name(names: list[str]) -> list[str]:
    """Leave out what all jobs of a sweep begin with: of `exp-seed=1` and `exp-seed=2` the settings stay."""
    jobs = [_JOB.match(name) for name in names]
    starts = {job[1] for job in jobs if job}
    return [job[2] for job in jobs if job] if all(jobs) and len(starts) == 1 else names


def _names(folders: Sequence[Path]) -> list[str]:
    """Name folders by the shortest ends of their paths that tell all of them apart, without what all begin with."""
    whole = [folder.absolute().parts for folder in folders]
    different = len(set(whole))
    longest = max(map(len, whole))
    ends = ["/".join(parts) for parts in whole]
    for length in range(1, longest + 1):
        ends = ["/".join(parts[-length:]) for parts in whole]
        if len(set(ends)) == different:
            break
    ends = _without_common_name(ends)
    seen: dict[str, int] = {}
    names = []
    for end in ends:
        seen[end] = seen.get(end, 0) + 1
        names.append(end if seen[end] == 1 else f"{end} ({seen[end]})")
    return names
