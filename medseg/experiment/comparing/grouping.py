"""Runs that differ only in their seed or fold belong together: what they differ by is chance."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from medseg.experiment.comparing.reading import Json, ScoredRun
from medseg.ops.comparing.sides import Member, Side

# What two runs may differ in and still be the same experiment: names, machines, pages, and what chance depends on.
_FOR_PEOPLE = ("name", "debug", "machine", "report")
_CHANCE = (("seed",), ("split", "fold"))
_CHANCE_IN_NAME = re.compile(r"(?<![a-z])(seed|split\.fold|fold)[-_=]?\d+[-_,. ]*", re.IGNORECASE)
_LOOSE_END = re.compile(r"([-_=,. ]|seed|split\.fold|fold|\d)+$", re.IGNORECASE)


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """One run, or several that differ only in seed or fold, under one name."""

    name: str
    runs: tuple[ScoredRun, ...]

    @property
    def side(self) -> Side:
        """The group as it is compared."""
        return Side(self.name, tuple(_member(run) for run in self.runs))

    @property
    def known_as(self) -> frozenset[str]:
        """What it can be called: its name, and names and folders of its runs."""
        return frozenset(
            {self.name, *(name for run in self.runs for name in (run.name, run.folder.name, str(run.folder)))}
        )


def group_runs(runs: Sequence[ScoredRun], together: bool) -> list[Group]:
    """Return groups in the order in which their first runs were named; without `together`, each run is one.

    Runs whose settings are not recorded stand alone, and so do runs of one experiment in which a seed and fold comes
    twice: that is a repetition. Where all runs would be one group, there is nothing to compare it with, and each stands
    alone.
    """
    kin: dict[str, list[ScoredRun]] = {}
    for place, run in enumerate(runs):
        kin.setdefault(_kind(run, place), []).append(run)
    parted = [part for own in kin.values() for part in _without_repetition(own)]
    if not together or len(parted) < 2:
        parted = [[run] for run in runs]
    return _named(parted)


def one_experiment(runs: Sequence[ScoredRun]) -> Group | None:
    """Return all runs as one group where they differ only in seed or fold, else None."""
    kinds = {_kind(run, place) for place, run in enumerate(runs)}
    return _named([runs])[0] if len(kinds) == 1 and len(_without_repetition(runs)) == 1 else None


def chance_of(run: ScoredRun) -> tuple[int | None, int | None]:
    """Return seed and fold of a run, None where they are not recorded, and no fold where data was split once."""
    seed, fold = (_at(run.settings or {}, path) for path in _CHANCE)
    return seed, fold if _at(run.settings or {}, ("split", "folds")) else None


def differing_settings(groups: Sequence[Group]) -> list[tuple[str, list[str]]]:
    """Return each setting in which groups differ, by its dotted name, with its value in each of them.

    Seeds, folds, names and machines are left out, and so are groups whose settings are not recorded: "not recorded".
    """
    trees = [None if (tree := group.runs[0].settings) is None else dict(_leaves(_essence(tree))) for group in groups]
    told = [tree for tree in trees if tree is not None]
    paths = sorted({path for tree in told for path in tree if any(tree[path] != other.get(path) for other in told)})
    return [(path, ["not recorded" if t is None else str(t.get(path, "not there")) for t in trees]) for path in paths]


def _kind(run: ScoredRun, place: int) -> str:
    return f"alone {place}" if run.settings is None else repr(sorted(_leaves(_essence(run.settings)), key=str))


def _essence(settings: Json) -> dict[str, Any]:
    """Return the settings without what is for people and without what chance depends on."""
    tree = {name: value for name, value in settings.items() if name not in (*_FOR_PEOPLE, "seed")}
    if isinstance(tree.get("split"), Mapping):
        tree["split"] = {name: value for name, value in tree["split"].items() if name != "fold"}
    return tree


def _without_repetition(runs: Sequence[ScoredRun]) -> list[list[ScoredRun]]:
    different = {chance_of(run) for run in runs}
    return [list(runs)] if len(different) == len(runs) else [[run] for run in runs]


def _named(parted: Sequence[Sequence[ScoredRun]]) -> list[Group]:
    names = [_name(runs) for runs in parted]
    return [
        Group(name if names.count(name) == 1 else f"{name} ({names[: place + 1].count(name)})", tuple(runs))
        for place, (name, runs) in enumerate(zip(names, parted, strict=True))
    ]


def _name(runs: Sequence[ScoredRun]) -> str:
    """Name runs by what their names have in common, and count their seeds and folds."""
    if len(runs) == 1:
        return runs[0].name
    bare = {_CHANCE_IN_NAME.sub("", run.name) for run in runs}
    common = bare.pop() if len(bare) == 1 else _LOOSE_END.sub("", _beginning([run.name for run in runs]))
    seeds, folds = (len({chance_of(run)[place] for run in runs}) for place in (0, 1))
    words = [f"{number} {noun}" for number, noun in ((seeds, "seeds"), (folds, "folds")) if number > 1]
    return f"{common.strip('-_,. ') or f'{runs[0].name} to {runs[-1].name}'} ({' and '.join(words)})"


def _beginning(names: Sequence[str]) -> str:
    """Return the letters with which all names begin."""
    alike = takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False))
    return "".join(letters[0] for letters in alike)


def _member(run: ScoredRun) -> Member:
    seed, fold = chance_of(run)
    return Member(run.scores, seed or 0, fold)


def _at(tree: Any, path: Sequence[str]) -> int | None:
    for step in path:
        tree = tree.get(step) if isinstance(tree, Mapping) else None
    return tree if isinstance(tree, int) else None


def _leaves(tree: Any, path: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(tree, Mapping) and tree:
        for name, value in tree.items():
            yield from _leaves(value, f"{path}.{name}" if path else str(name))
    else:
        yield path, tree
