"""Stage index: look at every file of every case once, and say which cases can be used and why others cannot."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
from pydantic import field_validator

from medseg.files.layouts import DataSettings, Found, FoundCase, find_cases, label_scheme
from medseg.files.nifti import read_mask
from medseg.files.records import CaseRecord, SchemeRecord, write_record
from medseg.stages.examination import examine
from medseg.values.error import Refusal
from medseg.values.labels import LabelScheme
from medseg.values.machine import Machine
from medseg.values.progress import tell
from medseg.values.settings import Settings

_MOST_CASES_AT_ONCE = 4


class IndexSettings(Settings):
    """The data settings without their root: where the data lies is no part of what is found in it."""

    data: DataSettings

    @field_validator("data")
    @classmethod
    def _without_root(cls, data: DataSettings) -> DataSettings:
        if data.root is not None:
            raise ValueError("the index is given its root as an input, not as a setting")
        return data


def run(settings: IndexSettings, inputs: Mapping[str, Path], out: Path, machine: Machine) -> None:
    """Write scheme.json, cases.json (every case; a refused one with its reason) and cases/ID.json of accepted cases.

    Reads every file of `inputs["data"]` that belongs to a case; at most four cases are in memory.
    Refuses (`Refusal`) a data set without any case that can be used.
    """
    root = inputs["data"]
    found = find_cases(root, settings.data)
    named = settings.data.labels or found.labels
    scheme = label_scheme(settings.data, found if named else replace(found, labels=_labels_in_masks(found, root)))
    names = SchemeRecord(labels=dict(scheme.labels), regions=dict(scheme.regions), tumour=scheme.tumour)
    write_record(out / "scheme.json", names)
    records = list(_examined(found, scheme, root, machine))
    _write_accepted(out / "cases", records)
    table = {
        "layout": found.layout,
        "channels": list(found.channels),
        "cases": [record.model_dump(mode="json") for record in records],
    }
    text = json.dumps(table, indent=1, ensure_ascii=False, allow_nan=False)
    (out / "cases.json").write_text(text + "\n", encoding="utf-8")
    _refuse_if_nothing_is_left(records)


def _examined(found: Found, scheme: LabelScheme, root: Path, machine: Machine) -> Iterator[CaseRecord]:
    """Yield the records in the order of the cases, whichever thread is done first."""

    def look(case: FoundCase) -> CaseRecord:
        return examine(case, found.channels, scheme, root)

    workers = max(1, min(_MOST_CASES_AT_ONCE, machine.threads or os.cpu_count() or 1))
    pool = ThreadPoolExecutor(workers, thread_name_prefix="index")
    refused = 0
    try:
        for done, record in enumerate(pool.map(look, found.cases), start=1):
            refused += record.refused is not None
            tell("index", done, len(found.cases), "cases", refused=refused)
            yield record
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _labels_in_masks(found: Found, root: Path) -> dict[str, int]:
    """Name the numbers that the masks hold `label_1`, `label_2` ..., where neither settings nor data set name any.

    A mask that cannot be read adds none; its case is refused later, with the reason.
    """
    numbers: set[int] = set()
    for case in found.cases:
        with suppress(Refusal):
            numbers |= set(np.unique(read_mask(root / case.mask).voxels).tolist()) if case.mask else set()
    return {f"label_{number}": number for number in sorted(numbers - {0})}


def _write_accepted(folder: Path, records: list[CaseRecord]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("*.json"):
        stale.unlink()
    for record in records:
        if record.refused is None:
            write_record(folder / f"{record.case}.json", record)


def _refuse_if_nothing_is_left(records: list[CaseRecord]) -> None:
    reasons = [record.refused for record in records if record.refused is not None]
    if len(reasons) < len(records):
        return
    rule, count = Counter(reason.rule for reason in reasons).most_common(1)[0]
    first = next(reason for reason in reasons if reason.rule == rule)
    value = f"none of {len(records)}; {count} of them: {first.subject}: {rule}, got {first.value}"
    raise Refusal("data.root", "at least one case can be used", value, first.remedy)
