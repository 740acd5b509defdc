"""Survey a data set: what only shows when all cases are looked at together."""

from __future__ import annotations

from collections.abc import Iterable

from medseg.files.records import CaseRecord, Sight
from medseg.stages.surveying.copies import copies
from medseg.stages.surveying.facts import gather_facts
from medseg.stages.surveying.grids import grids
from medseg.stages.surveying.intensities import intensities
from medseg.stages.surveying.labels import labels
from medseg.stages.surveying.people import people
from medseg.values.finding import SEVERITIES, Finding
from medseg.values.labels import LabelScheme


def survey(records: Iterable[CaseRecord], sights: Iterable[Sight], scheme: LabelScheme) -> tuple[Finding, ...]:
    """Return what was noticed about the set, warnings first; refused cases are left out.

    Both iterables are read once. Memory is about 4 kB a case; the order of the cases changes only the order of names.
    """
    facts = gather_facts(records, sights)
    if not facts:
        return ()
    found = [*copies(facts), *intensities(facts), *grids(facts), *labels(facts, scheme), *people(facts)]
    return tuple(sorted(found, key=lambda one: SEVERITIES.index(one.severity)))
