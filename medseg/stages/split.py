"""Split the subjects into training, validation and held-out: by subject, never by slice, in every stratum alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import BaseModel, Field, model_validator

from medseg.files.records import CaseRecord
from medseg.values.error import Refusal, wrong_setting
from medseg.values.machine import Machine
from medseg.values.settings import Settings
from medseg.values.streams import stream


class SplitSettings(Settings):
    """Shares of subjects. `held_out` may also be the path of a text file with one case per line.

    With `folds` of 2 or more the subjects that are not held out are dealt into folds and `fold` is the validation set.
    """

    held_out: float | str = Field(0.2, description="share of the subjects, 0 for none, or a file of cases")
    validation: float = Field(0.15, ge=0, lt=1, description="share of the subjects that are not held out")
    folds: int = Field(0, ge=0, description="0 for one split by shares")
    fold: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _in_range(self) -> SplitSettings:
        if isinstance(self.held_out, float) and not 0 <= self.held_out < 1:
            raise wrong_setting("split.held_out", "a share is at least 0 and below 1", self.held_out, "try 0.2")
        if self.folds == 1 or (self.folds and self.fold >= self.folds):
            raise wrong_setting(
                "split.fold",
                "folds are 0, or at least 2 and fold one of 0..folds-1",
                f"fold {self.fold} of {self.folds}",
                "set split.folds=5 split.fold=0, say",
            )
        return self


class SplitStage(Settings):
    """Settings of the stage: the shares and the seed."""

    seed: int
    split: SplitSettings


class Split(BaseModel):
    """Case names of each part, and the subjects behind them."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    held_out: tuple[str, ...]
    seed: int


class _Index(BaseModel):
    cases: tuple[CaseRecord, ...]


def run(settings: SplitStage, inputs: Mapping[str, Path], out: Path, machine: Machine) -> None:
    """Read `index`/cases.json (and the list `held_out`, if given) and write split.json."""
    index = _Index.model_validate_json((inputs["index"] / "cases.json").read_text(encoding="utf-8"))
    accepted = [case for case in index.cases if case.refused is None]
    named = _read_names(inputs["held_out"], accepted) if "held_out" in inputs else None
    split = divide(accepted, settings.split, settings.seed, named)
    (out / "split.json").write_text(split.model_dump_json(indent=1) + "\n", encoding="utf-8")


def divide(
    cases: Iterable[CaseRecord], settings: SplitSettings, seed: int, named: frozenset[str] | None = None
) -> Split:
    """Divide accepted cases by subject; tumour and healthy subjects keep their proportion in each part.

    `named` are cases that are held out whatever `settings.held_out` says; all cases of their subjects go with them.
    A subject's place depends on its own name and the seed, so a new subject hardly moves the others.
    Refuses (exit 2) when a part that is asked for would stay empty.
    """
    subjects: dict[str, list[CaseRecord]] = {}
    for case in sorted(cases, key=lambda one: one.case):
        subjects.setdefault(case.subject, []).append(case)
    held_out = _held_out(subjects, settings, seed, named)
    rest = {name: group for name, group in subjects.items() if name not in held_out}
    validation = _validation(rest, settings, seed)
    train = set(rest) - validation
    _check(settings, named, len(subjects), len(train), len(validation), len(held_out))

    def names(chosen: set[str]) -> tuple[str, ...]:
        return tuple(sorted(case.case for name in chosen for case in subjects[name]))

    return Split(train=names(train), validation=names(validation), held_out=names(held_out), seed=seed)


def _held_out(
    subjects: Mapping[str, list[CaseRecord]], settings: SplitSettings, seed: int, named: frozenset[str] | None
) -> set[str]:
    if named is not None:
        return {name for name, group in subjects.items() if any(case.case in named for case in group)}
    share = settings.held_out if isinstance(settings.held_out, float) else 0.0
    return _take(subjects, share, seed, "held_out")


def _validation(subjects: Mapping[str, list[CaseRecord]], settings: SplitSettings, seed: int) -> set[str]:
    if not settings.folds:
        return _take(subjects, settings.validation, seed, "validation")
    ranked = [name for stratum in _strata(subjects) for name in _ranked(stratum, seed, "fold")]
    return {name for place, name in enumerate(ranked) if place % settings.folds == settings.fold}


def _take(subjects: Mapping[str, list[CaseRecord]], share: float, seed: int, part: str) -> set[str]:
    """Take `share` of the subjects, from each stratum its part (largest remainders first), at least one in all."""
    if share == 0 or not subjects:
        return set()
    strata = _strata(subjects)
    wanted = max(1, round(share * len(subjects)))
    exact = [wanted * len(stratum) / len(subjects) for stratum in strata]
    counts = [int(number) for number in exact]
    by_remainder = sorted(range(len(strata)), key=lambda place: (counts[place] - exact[place], place))
    for place in by_remainder[: wanted - sum(counts)]:
        counts[place] += 1
    return {
        name for stratum, count in zip(strata, counts, strict=True) for name in _ranked(stratum, seed, part)[:count]
    }


def _strata(subjects: Mapping[str, list[CaseRecord]]) -> list[list[str]]:
    tumour = [name for name, group in subjects.items() if any(case.tumour_voxels for case in group)]
    healthy = [name for name in subjects if name not in set(tumour)]
    return [stratum for stratum in (tumour, healthy) if stratum]


def _ranked(names: Iterable[str], seed: int, part: str) -> list[str]:
    return sorted(names, key=lambda name: (stream(seed, "split", part, name).random(), name))


def _check(
    settings: SplitSettings, named: frozenset[str] | None, subjects: int, train: int, validation: int, held_out: int
) -> None:
    wants_validation = settings.validation > 0 or settings.folds > 0
    wants_held_out = named is not None or settings.held_out != 0
    if train and (validation or not wants_validation) and (held_out or not wants_held_out):
        return
    needed = 1 + wants_validation + wants_held_out
    raise Refusal(
        "split",
        f"this split needs at least {needed} subjects, one in each part",
        f"{subjects} (training {train}, validation {validation}, held-out {held_out})",
        "add subjects, or lower split.held_out, split.validation or split.folds",
    )


def _read_names(path: Path, accepted: Iterable[CaseRecord]) -> frozenset[str]:
    names = frozenset(line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    unknown = sorted(names - {case.case for case in accepted})
    if unknown:
        raise wrong_setting(
            "split.held_out",
            "every line names an accepted case",
            ", ".join(unknown[:5]),
            "take the names from cases.json of the index",
        )
    return names
