"""The doctor's page: what was found about a data set, and a contact sheet of all its scans, worst first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from medseg.files.records import CaseRecord, Sight
from medseg.report.check_wording import command_line, headline
from medseg.report.templates import environment
from medseg.report.wording import BADGES, count, number
from medseg.values.finding import SEVERITIES, Finding
from medseg.values.labels import LabelScheme
from medseg.values.palette import css_of

CLEAN = len(SEVERITIES)
_GROUPS = (
    ("refuse", "Refused", "These scans cannot be used as they are."),
    ("warn", "To look at", "They are used; what was noticed may be a fault."),
    ("note", "Noted", "They are used; something is said of how they were read."),
    ("clean", "Clean", "Nothing was noticed."),
)
_SHOWN = 5
_BUFFERED = 256  # pieces of template per write
Looks = Callable[[], Iterator[tuple[CaseRecord, Sight | None]]]


@dataclass(frozen=True, slots=True)
class Mending:
    """Refused cases that break one rule, with an example of what was found, and what would mend them."""

    rule: str
    value: str
    remedy: str
    override: str | None
    cases: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class CheckContent:
    """What the page shows. `ranks` gives each case the place of its worst severity in `SEVERITIES`, `CLEAN` for none.

    `looks` yields records and sights anew at every call, so that thousands of pictures are never in memory together.
    `words` are the settings as typed, `mendable` the refused cases for which every fault has an override.
    """

    title: str
    layout: str
    channels: Sequence[str]
    scheme: LabelScheme
    dataset: Sequence[Finding]
    mendings: Sequence[Mending]
    mendable: int
    ranks: Mapping[str, int]
    words: Sequence[str]
    looks: Looks


def write_check_page(content: CheckContent, path: Path) -> None:
    """Write the page as one file that needs nothing else; everything in it is escaped."""
    numbers = [sum(rank == place for rank in content.ranks.values()) for place in range(CLEAN + 1)]
    warned_of = sum(finding.severity == "warn" for finding in content.dataset)
    stream = (
        environment()
        .get_template("check.html")
        .stream(
            title=content.title,
            headline=headline(len(content.ranks), numbers[0], numbers[1], warned_of),
            facts=_facts(content),
            dataset=_dataset(content.dataset),
            mendings=[_mending(one) for one in content.mendings],
            mendable=_mendable(content.mendable, numbers[0]),
            command=command_line(content.words, [one.override for one in content.mendings]),
            labels=[(name, css_of(value)) for name, value in content.scheme.labels.items()],
            counts=[(name, title, BADGES[name], n) for (name, title, _), n in zip(_GROUPS, numbers, strict=True)],
            groups=_groups(content, numbers),
            badges=BADGES,
            total=len(content.ranks),
        )
    )
    stream.enable_buffering(_BUFFERED)
    stream.dump(str(path), encoding="utf-8")


def _facts(content: CheckContent) -> str:
    channels = f"{count(len(content.channels), 'channel')} ({', '.join(content.channels)})"
    labels = ", ".join(f"{name} = {value}" for name, value in content.scheme.labels.items())
    return f"Layout {content.layout}; {channels}; labels {labels}."


def _dataset(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    return [
        {"place": place, "finding": one, "cases": len(one.cases), "badge": BADGES[one.severity]}
        for place, one in enumerate(findings)
    ]


def _mending(one: Mending) -> dict[str, Any]:
    more = f" and {len(one.cases) - _SHOWN} more" if len(one.cases) > _SHOWN else ""
    return {"one": one, "number": len(one.cases), "cases": ", ".join(one.cases[:_SHOWN]) + more}


def _mendable(mendable: int, refused: int) -> str:
    whom = "the refused scan" if refused == 1 else f"{mendable} of {refused} refused scans"
    return f"This asks for every repair named above and would let in {whom}."


def _groups(content: CheckContent, numbers: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Yield the groups of tiles, worst first; each is read anew, so only one tile is in memory."""
    marks = _marks(content.dataset)
    for place, (name, title, about) in enumerate(_GROUPS):
        if numbers[place]:
            tiles = _tiles(content, place, marks)
            yield {"name": name, "title": title, "about": about, "number": numbers[place], "tiles": tiles}


def _tiles(content: CheckContent, rank: int, marks: Mapping[str, Sequence[int]]) -> Iterator[dict[str, Any]]:
    for record, sight in content.looks():
        if content.ranks[record.case] == rank:
            own = marks.get(record.case, ())
            named = [(place, content.dataset[place]) for place in own]
            yield {
                "case": record.case,
                "about": _about(record),
                "labels": _volumes(sight),
                "picture": sight.picture if sight else "",
                "findings": sorted(record.findings, key=lambda one: SEVERITIES.index(one.severity)),
                "warned": [{"place": place, "rule": one.rule} for place, one in named if one.severity == "warn"],
                "marks": " ".join(map(str, own)),
            }


def _marks(dataset: Sequence[Finding]) -> dict[str, list[int]]:
    """Tell for each case which findings about the set name it."""
    marks: dict[str, list[int]] = {}
    pairs = sorted((case, place) for place, one in enumerate(dataset) for case in one.cases)
    for case, own in groupby(pairs, key=lambda pair: pair[0]):
        marks[case] = [place for _, place in own]
    return marks


def _about(record: CaseRecord) -> str:
    parts = [f"subject {record.subject}"] if record.subject != record.case else []
    parts += [f"{name} {value}" for name, value in (("site", record.site), ("group", record.group)) if value]
    if record.shape is not None and record.spacing_mm is not None:
        parts.append(f"{_times(record.shape)} voxels of {_times(f'{mm:.3g}' for mm in record.spacing_mm)} mm")
    return ", ".join(parts)


def _volumes(sight: Sight | None) -> str:
    if sight is None or not sight.label_ml:
        return ""
    return ", ".join(f"{name} {number(volume, 'ml')} ml" for name, volume in sight.label_ml.items())


def _times(numbers: Any) -> str:
    return " \N{MULTIPLICATION SIGN} ".join(map(str, numbers))
