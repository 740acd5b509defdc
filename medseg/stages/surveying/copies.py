"""Cases that share content: the same file twice, or images that are nearly the same."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from medseg.ops.set_likeness import Likeness, find_alike
from medseg.report.wording import count
from medseg.stages.surveying.facts import CaseFacts, Content, listed
from medseg.values.finding import Finding

# Measured: two different hippocampus crops correlate by 0.93 at most (11,175 pairs), thigh CTs by 0.90, PETs by 0.87,
# head phantoms by 0.982; a copy with noise of a third of its contrast by 0.999, one with another gamma by 0.998.
ALIKE = 0.995
_CROWD = 0.1  # share of the set that one case may resemble before likeness stops meaning anything
_FEW = 3
_SHOWN = 5
Group = tuple[int, ...]


def copies(facts: Sequence[CaseFacts]) -> list[Finding]:
    """Return findings on copies: exact ones, shared masks, one file as two channels, and near-duplicates."""
    return [*_exact(facts, _same_content(facts)), *_shared_masks(facts), *_same_channels(facts), *_near(facts)]


def _same_content(facts: Sequence[CaseFacts]) -> list[Group]:
    """Group the cases (two or more) of which some channel holds the same file and volume, in order."""
    owners: defaultdict[Content, dict[int, None]] = defaultdict(dict)
    for index, one in enumerate(facts):
        for content in one.contents.values():
            owners[content][index] = None
    return sorted({tuple(group) for group in owners.values() if len(group) > 1})


def _exact(facts: Sequence[CaseFacts], groups: Sequence[Group]) -> Iterator[Finding]:
    leaks = [group for group in groups if len(_subjects(facts, group)) > 1]
    plain = [group for group in groups if len(_subjects(facts, group)) == 1]
    if leaks:
        yield Finding(
            severity="warn",
            rule="no two subjects share a scan",
            value=f"{count(len(leaks), 'scan')} under more than one subject: {_shown(facts, leaks, subjects=True)}",
            remedy="remove the copies or give them one subject (data.subject); until then a split keeps such subjects "
            "together, because a copy on the other side would leak",
            cases=_cases(facts, leaks),
        )
    if plain:
        yield Finding(
            severity="warn",
            rule="every scan is there once",
            value=f"{count(len(plain), 'scan')} more than once, of one subject each: {_shown(facts, plain)}",
            remedy="remove the copies: they count twice in training and in every mean",
            cases=_cases(facts, plain),
        )


def _shared_masks(facts: Sequence[CaseFacts]) -> Iterator[Finding]:
    owners: defaultdict[bytes, list[int]] = defaultdict(list)
    for index, one in enumerate(facts):
        if one.mask is not None and one.labels:
            owners[one.mask].append(index)
    groups = [tuple(group) for group in owners.values() if not all(_share(facts, group[0], one) for one in group)]
    if groups:
        yield Finding(
            severity="warn",
            rule="different images have different masks",
            value=f"{count(len(groups), 'mask')} with labels in more than one case: {_shown(facts, groups)}",
            remedy="find out which image the mask belongs to, and put the right mask beside the others",
            cases=_cases(facts, groups),
        )


def _same_channels(facts: Sequence[CaseFacts]) -> Iterator[Finding]:
    twice = [one for one in facts if len(set(one.contents.values())) < len(one.contents)]
    if twice:
        yield Finding(
            severity="warn",
            rule="the channels of a case are different images",
            value=f"one content as two channels in {count(len(twice), 'case')}: {listed([one.case for one in twice])}",
            remedy="put the right file in place of the copy",
            cases=tuple(one.case for one in twice),
        )


def _near(facts: Sequence[CaseFacts]) -> Iterator[Finding]:
    """Near-duplicates; of one subject they are follow-ups and only noted."""
    miniatures = {index: one.miniature for index, one in enumerate(facts) if one.miniature is not None}
    if len(miniatures) < 2:
        return
    seen = list(miniatures)
    alike = find_alike(np.stack(list(miniatures.values())), ALIKE)
    limit = max(_FEW, _CROWD * len(seen))
    pairs = [(seen[a], seen[b], r) for a, b, r in alike.pairs if max(alike.partners[[a, b]]) <= limit]
    if alike.partners.max() > limit:
        yield _crowded(facts, seen, alike, limit)
    pairs = [(a, b, r) for a, b, r in pairs if not _share(facts, a, b)]
    between = [pair for pair in pairs if facts[pair[0]].subject != facts[pair[1]].subject]
    within = [pair for pair in pairs if facts[pair[0]].subject == facts[pair[1]].subject]
    if between:
        yield _alike(
            facts,
            between,
            "warn",
            "scans of different subjects differ",
            "compare them; if they are copies, remove one or give both one subject (data.subject), else they leak "
            "across the split",
        )
    if within:
        yield _alike(facts, within, "note", "scans of one subject differ", "nothing, a split keeps subjects together")


def _alike(
    facts: Sequence[CaseFacts],
    pairs: Sequence[tuple[int, int, float]],
    severity: str,
    rule: str,
    remedy: str,
) -> Finding:
    closest = sorted(pairs, key=lambda pair: -pair[2])
    named = "; ".join(f"{facts[a].case} and {facts[b].case} ({_digits(r)})" for a, b, r in closest[:_SHOWN])
    more = f"; and {len(pairs) - _SHOWN} more" if len(pairs) > _SHOWN else ""
    return Finding(
        severity="warn" if severity == "warn" else "note",
        rule=rule,
        value=f"{count(len(pairs), 'pair')} of nearly equal images (correlation of miniatures): {named}{more}",
        remedy=remedy,
        cases=_cases(facts, [pair[:2] for pair in closest]),
    )


def _crowded(facts: Sequence[CaseFacts], seen: Sequence[int], alike: Likeness, limit: float) -> Finding:
    many = [facts[seen[index]].case for index in np.flatnonzero(alike.partners > limit)]
    return Finding(
        severity="note",
        rule="near-duplicates can be told by their miniatures",
        value=f"{count(len(many), 'scan')} resemble more than {limit:.0f} others: {listed(many)}",
        remedy="nothing, if these scans are meant to look alike; exact copies are found all the same",
        cases=tuple(many),
    )


def _digits(correlation: float) -> str:
    return f"{correlation:.4f}" if correlation < 0.99995 else "1.0000"


def _share(facts: Sequence[CaseFacts], one: int, other: int) -> bool:
    """Tell whether two cases have a channel's content in common."""
    return one == other or not set(facts[one].contents.values()).isdisjoint(facts[other].contents.values())


def _subjects(facts: Sequence[CaseFacts], group: Iterable[int]) -> set[str]:
    return {facts[index].subject for index in group}


def _shown(facts: Sequence[CaseFacts], groups: Sequence[Group], subjects: bool = False) -> str:
    def name(index: int) -> str:
        one = facts[index]
        return f"{one.case} (subject {one.subject})" if subjects and one.subject != one.case else one.case

    def text(group: Group) -> str:
        more = f" and {len(group) - _SHOWN} more" if len(group) > _SHOWN else ""
        return " = ".join(name(index) for index in group[:_SHOWN]) + more

    texts = [text(group) for group in groups[:_SHOWN]]
    more = f"; and {len(groups) - _SHOWN} more" if len(groups) > _SHOWN else ""
    return "; ".join(texts) + more


def _cases(facts: Sequence[CaseFacts], groups: Iterable[Sequence[int]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(facts[index].case for group in groups for index in group))
