"""Whose scans they are and where they come from: subjects, sites, groups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal

from medseg.report.wording import count
from medseg.stages.surveying.facts import CaseFacts, listed
from medseg.values.finding import Finding

_SHOWN = 12


def people(facts: Sequence[CaseFacts]) -> list[Finding]:
    """Return how scans are shared out over subjects, sites and groups."""
    return [*_subjects(facts), *_origin(facts, "site"), *_origin(facts, "group")]


def _subjects(facts: Sequence[CaseFacts]) -> Iterator[Finding]:
    scans = Counter(one.subject for one in facts)
    several = {subject: number for subject, number in scans.items() if number > 1}
    value = f"{count(len(facts), 'scan')} of {count(len(scans), 'subject')}"
    remedy = "nothing; if names hide whose scan it is, set data.subject"
    if several:
        most = max(several.values())
        value += f", {len(several)} of them with several (up to {most}): {listed(list(several))}"
        remedy = "nothing, a split keeps all scans of a subject together"
    cases = tuple(one.case for one in facts if one.subject in several)
    yield Finding(severity="note", rule="scans per subject", value=value, remedy=remedy, cases=cases)


def _origin(facts: Sequence[CaseFacts], kind: Literal["site", "group"]) -> Iterator[Finding]:
    """Count the scans of each site or group; nothing where no case names one."""
    named = {one.case: one.site if kind == "site" else one.group for one in facts}
    numbers = Counter(name for name in named.values() if name is not None)
    if not numbers:
        return
    table = ", ".join(f"{name} {number}" for name, number in numbers.most_common(_SHOWN))
    more = f" and {len(numbers) - _SHOWN} more" if len(numbers) > _SHOWN else ""
    yield Finding(severity="note", rule=f"scans per {kind}", value=f"{table}{more}", remedy="nothing to do")
    nameless = tuple(case for case, name in named.items() if name is None)
    if nameless:
        yield Finding(
            severity="warn",
            rule=f"every scan has a {kind}",
            value=f"none for {count(len(nameless), 'scan')}: {listed(nameless)}",
            remedy=f"name it where data.{kind} looks for it",
            cases=nameless,
        )
