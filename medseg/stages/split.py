"""Split the subjects into training, validation and held-out: by subject, never by slice, in every stratum alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import BaseModel, Field, model_validator

from medseg.files.records import CaseRecord
from medseg.stages.subjects import Stratum, Subjects, copied, gather, parts_of, strata
from medseg.values.error import Refusal, wrong_setting
from medseg.values.machine import Machine
from medseg.values.settings import Settings
from medseg.values.streams import stream


class SplitSettings(Settings):
    """Shares of subjects. `held_out` may also be the path of a text file with one case per line.

    With `folds` of 2 or more the subjects that are not held out are dealt into folds and `fold` is the validation set.
    With `held_out_sites` all subjects seen at one of these sites are held out, and a share in `held_out` is not used; a
    file of cases adds to them.
    """

    held_out: float | str = Field(0.2, description="share of the subjects, 0 for none, or a file of cases")
    held_out_sites: tuple[str, ...] = Field(
        (), description="all subjects of these sites are held out, in place of a share"
    )
    validation: float = Field(0.15, ge=0, lt=1, description="share of the subjects that are not held out")
    folds: int = Field(0, ge=0, description="0 for one split by shares")
    fold: int = Field(0, ge=0)
    stratify: tuple[Stratum, ...] = Field(
        ("tumour", "group"), description="what every part keeps in proportion: tumour (or healthy), group, site"
    )
    follow: bool = Field(True, description="keep the parts that the data set itself names")

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
    """Divide accepted cases by subject; every part keeps the proportions of `settings.stratify`.

    Subjects who share the content of a channel file are one subject, so that no copy of a scan lies in two parts.
    Held out are, as whole subjects: `named` cases, cases of `held_out_sites`, and cases that the data set calls so;
    only where there are none of these, a share of the subjects that the data set puts in no part. Validation cases are
    those that the data set calls so, and where there are none, a share of all that is not held out; folds are always
    dealt from all that is not held out. What is left is for training.
    A subject's place depends on its own name and the seed, so a new subject hardly moves the others.
    Refuses (exit 2) unknown sites; refuses a subject that the data set puts in two parts, and a part that is asked for
    and would stay empty.
    """
    subjects = gather(sorted(cases, key=lambda one: one.case))
    parts = parts_of(subjects) if settings.follow else {}
    held_out = _held_out(subjects, settings, seed, named, parts)
    rest = {name: group for name, group in subjects.items() if name not in held_out}
    validation = _validation(rest, settings, seed, parts)
    train = set(rest) - validation
    sizes = {"training": len(train), "validation": len(validation), "held-out": len(held_out)}
    _check(settings, named is not None, subjects, parts, sizes)

    def names(chosen: set[str]) -> tuple[str, ...]:
        return tuple(sorted(case.case for name in chosen for case in subjects[name]))

    return Split(train=names(train), validation=names(validation), held_out=names(held_out), seed=seed)


def _held_out(
    subjects: Subjects, settings: SplitSettings, seed: int, named: frozenset[str] | None, parts: Mapping[str, str]
) -> set[str]:
    chosen = {name for name, part in parts.items() if part == "held_out"}
    if settings.held_out_sites:
        chosen |= _at_sites(subjects, frozenset(settings.held_out_sites))
    if named is not None:
        return chosen | {name for name, group in subjects.items() if any(case.case in named for case in group)}
    if chosen or isinstance(settings.held_out, str):
        return chosen
    free = {name: group for name, group in subjects.items() if name not in parts}
    return _take(free, settings.held_out, settings, seed, "held_out")


def _at_sites(subjects: Subjects, sites: frozenset[str]) -> set[str]:
    known = {case.site for group in subjects.values() for case in group} - {None}
    unknown = sorted(sites - known)
    if unknown:
        rule = f"sites are among {', '.join(sorted(map(str, known))) or 'none: no case has a site'}"
        remedy = "name known ones, or tell by data.site where a case's site stands"
        raise wrong_setting("split.held_out_sites", rule, ", ".join(unknown), remedy)
    return {name for name, group in subjects.items() if any(case.site in sites for case in group)}


def _validation(rest: Subjects, settings: SplitSettings, seed: int, parts: Mapping[str, str]) -> set[str]:
    if settings.folds:
        ranked = [name for stratum in strata(rest, settings.stratify) for name in _ranked(stratum, seed, "fold")]
        return {name for place, name in enumerate(ranked) if place % settings.folds == settings.fold}
    named = {name for name in rest if parts.get(name) == "validation"}
    return named or _take(rest, settings.validation, settings, seed, "validation")


def _take(subjects: Subjects, share: float, settings: SplitSettings, seed: int, part: str) -> set[str]:
    """Take `share` of the subjects, from each stratum its part (largest remainders first), at least one in all."""
    if share == 0 or not subjects:
        return set()
    alike = strata(subjects, settings.stratify)
    wanted = max(1, round(share * len(subjects)))
    exact = [wanted * len(stratum) / len(subjects) for stratum in alike]
    counts = [int(number) for number in exact]
    by_remainder = sorted(range(len(alike)), key=lambda place: (counts[place] - exact[place], place))
    for place in by_remainder[: wanted - sum(counts)]:
        counts[place] += 1
    return {name for stratum, count in zip(alike, counts, strict=True) for name in _ranked(stratum, seed, part)[:count]}


def _ranked(names: Iterable[str], seed: int, part: str) -> list[str]:
    return sorted(names, key=lambda name: (stream(seed, "split", part, name).random(), name))


def _check(
    settings: SplitSettings, named: bool, subjects: Subjects, parts: Mapping[str, str], sizes: Mapping[str, int]
) -> None:
    wanted = {
        "training": True,
        "validation": settings.validation > 0 or settings.folds > 0,
        "held-out": named or settings.held_out != 0 or bool(settings.held_out_sites),
    }
    if all(sizes[part] or not asked for part, asked in wanted.items()):
        return
    notes = [f"{part} {size}" for part, size in sizes.items()]
    copies = copied(subjects)
    if copies:
        notes.append(f"of the same files: {', '.join(copies[:3])}")
    if parts:
        notes.append(f"the data set names the parts of {len(parts)}")
    raise Refusal(
        "split",
        f"this split needs at least {sum(wanted.values())} subjects, one in each part",
        f"{len(subjects)} ({', '.join(notes)})",
        "add subjects, or lower split.held_out, split.validation or split.folds"
        + (", or set split.follow=false" if parts else ""),
    )


def _read_names(path: Path, accepted: Iterable[CaseRecord]) -> frozenset[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise wrong_setting("split.held_out", "is a text file in UTF-8", error.reason, "save it as such") from None
    names = frozenset(line.strip() for line in text.splitlines() if line.strip())
    unknown = sorted(names - {case.case for case in accepted})
    if unknown:
        raise wrong_setting(
            "split.held_out",
            "every line names an accepted case",
            ", ".join(unknown[:5]),
            "take the names from cases.json of the index",
        )
    return names
