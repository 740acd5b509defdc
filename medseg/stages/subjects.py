"""Whose scans belong together, and which subjects are alike: what a split must not part, and what it keeps even."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from medseg.files.records import CaseRecord
from medseg.values.error import Refusal

Stratum = Literal["tumour", "group", "site"]
Subjects = Mapping[str, Sequence[CaseRecord]]


def gather(cases: Iterable[CaseRecord]) -> dict[str, list[CaseRecord]]:
    """Return the cases of every subject, in the order given.

    Subjects with a channel file of the same content are one, under the first of their names: a copy of a scan under
    another name is no other patient. Masks may be equal, since empty ones all are.
    """
    cases = list(cases)
    first: dict[str, str] = {case.subject: case.subject for case in cases}
    owners: dict[str, str] = {}
    for case in cases:
        for file in case.channels.values():
            one, other = _first(first, case.subject), _first(first, owners.setdefault(file.sha256, case.subject))
            first[max(one, other)] = min(one, other)
    subjects: dict[str, list[CaseRecord]] = {}
    for case in cases:
        subjects.setdefault(_first(first, case.subject), []).append(case)
    return subjects


def copied(subjects: Subjects) -> list[str]:
    """Return, of every subject that several names were gathered under, these names, as one text."""
    names = (sorted({case.subject for case in group}) for group in subjects.values())
    return [" = ".join(several) for several in names if len(several) > 1]


def parts_of(subjects: Subjects) -> dict[str, str]:
    """Return the part of every subject that the data set names one for; refuses a subject in two."""
    parts: dict[str, str] = {}
    for name, group in subjects.items():
        named = {case.part: case.case for case in reversed(group) if case.part is not None}
        if len(named) > 1:
            value = ", ".join(f"{case} in {part}" for part, case in sorted(named.items()))
            remedy = "mend the parts that the data set names, or set split.follow=false"
            raise Refusal(f"subject {name}", "all scans of a subject are in one part (copies are one)", value, remedy)
        for part in named:
            parts[name] = part
    return parts


def strata(subjects: Subjects, kinds: Sequence[Stratum]) -> list[list[str]]:
    """Return the subjects that are alike in all of `kinds`, as one list each, those with a tumour first.

    A subject has a tumour if any of its scans does. One that was seen in several groups or sites is alike to those
    seen in just the same.
    """
    alike: dict[tuple[object, ...], list[str]] = {}
    for name, group in subjects.items():
        alike.setdefault(tuple(_kind(group, kind) for kind in kinds), []).append(name)
    return [alike[key] for key in sorted(alike, key=repr)]


def _kind(group: Sequence[CaseRecord], kind: Stratum) -> object:
    if kind == "tumour":
        return 0 if any(case.tumour_voxels for case in group) else 1
    values = {case.group if kind == "group" else case.site for case in group}
    return tuple(sorted(value for value in values if value is not None))


def _first(first: dict[str, str], name: str) -> str:
    """Follow the names to the first one, and shorten the way for the next time."""
    while first[name] != name:
        first[name] = first[first[name]]
        name = first[name]
    return name
