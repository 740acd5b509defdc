"""Stage index: look at every file of every case once, and say which cases can be used and why others cannot."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from math import prod
from pathlib import Path
from typing import TextIO

from pydantic import field_validator

from medseg.files.layouts.find import DataSettings, Found, FoundCase, label_scheme
from medseg.files.listing import Listing, folder_of, list_scans
from medseg.files.reading import Reading
from medseg.files.records import SchemeRecord, read_cases, read_sights, write_record
from medseg.files.scans import read_heading, scan_mask
from medseg.ops.sighting import count_numbers
from medseg.pipeline.code import digest_of_code
from medseg.pipeline.memo import MEMO, opened
from medseg.stages.intake.checks import Rules
from medseg.stages.intake.examination import Examined
from medseg.stages.intake.looking import Looks
from medseg.stages.surveying.survey import survey
from medseg.values.error import Refusal
from medseg.values.machine import Machine
from medseg.values.progress import tell
from medseg.values.settings import Settings


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
    """Write scheme.json, cases.json, sights.jsonl, dataset.json, and cases/ID.json of accepted cases.

    cases.json holds every case with its findings; a refused one has a reason. sights.jsonl: a line per case that could
    be read, in the same order. dataset.json: findings about the set. Reads every scan that `inputs["listing"]` names
    (made here if there is none) below `inputs["data"]`; a case whose files, rules and code are those of an earlier
    look is taken from the memo in `machine.store`. Some cases per worker are in memory, however many there are.
    """
    root = folder_of(inputs["data"])
    found, digests = _listed(settings, inputs)
    rules = _rules(settings.data, found, root, machine)
    scheme = rules.scheme
    names = SchemeRecord(
        labels=dict(scheme.labels), regions=dict(scheme.regions), tumour=scheme.tumour, ignore=scheme.ignore
    )
    write_record(out / "scheme.json", names)
    memory = Path(machine.store) / MEMO
    code = digest_of_code("medseg.stages.intake.examination", memory=memory)
    with opened(memory) as memo:
        looks = Looks(digests, rules, root, memo, code)
        _write_looks(out, found, looks.all(found.cases, machine.readers))
    findings = survey(read_cases(out / "cases.json"), read_sights(out / "sights.jsonl"), scheme)
    _write_json(out / "dataset.json", [finding.model_dump(mode="json") for finding in findings])


def _listed(settings: IndexSettings, inputs: Mapping[str, Path]) -> tuple[Found, dict[str, str]]:
    if "listing" in inputs:
        listing = Listing.model_validate_json(inputs["listing"].read_text(encoding="utf-8"))
    else:
        listing = list_scans(inputs["data"], settings.data)
    return listing.found, listing.digests


def _rules(data: DataSettings, found: Found, root: Path, machine: Machine) -> Rules:
    named = data.labels or found.labels
    told = found if named else replace(found, labels=_labels_in_masks(found, root, data.reading, machine))
    return Rules(
        channels=found.channels,
        scheme=label_scheme(data, told),
        reading=data.reading,
        zeros_for_missing=data.missing_channel == "zeros",
        resample_channels=data.resample_channels,
    )


def _write_looks(out: Path, found: Found, looks: Iterator[Examined]) -> None:
    """Write what is known of each case as it comes; the record of its own leaves the findings out."""
    folder = out / "cases"
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("*.json"):
        stale.unlink()
    refused = 0
    with (out / "cases.json").open("w", encoding="utf-8") as table, (out / "sights.jsonl").open("w") as sights:
        head = {"layout": found.layout, "channels": list(found.channels)}
        table.write(json.dumps(head, ensure_ascii=False)[:-1] + ', "cases": [')
        for done, look in enumerate(looks, start=1):
            _write_look(table, sights, look, first=done == 1)
            bare = look.record.model_copy(update={"findings": ()})
            if bare.refused is None:
                write_record(folder / f"{bare.case}.json", bare)
            refused += bare.refused is not None
            tell("index", done, len(found.cases), "cases", refused=refused)
        table.write("\n]}\n")


def _write_look(table: TextIO, sights: TextIO, look: Examined, first: bool) -> None:
    table.write(("\n" if first else ",\n") + look.record.model_dump_json())
    if look.sight is not None:
        sights.write(look.sight.model_dump_json() + "\n")


def _labels_in_masks(found: Found, root: Path, reading: Reading, machine: Machine) -> dict[str, int]:
    """Name the numbers that the masks hold `label_1`, `label_2` ..., where neither settings nor data set name any.

    A mask that cannot be read adds none; its case is refused later, with the reason. Where there is no number at all, a
    label is named all the same, so that every case is looked at and what is wrong is said of the right file.
    """
    numbers: set[int] = set()
    with ThreadPoolExecutor(machine.readers, thread_name_prefix="labels") as pool:
        for done, present in enumerate(pool.map(partial(_numbers, root, reading), found.cases), start=1):
            numbers |= present
            tell("labels", done, len(found.cases), "masks")
    return {f"label_{number}": number for number in sorted(numbers - {0}) or [1]}


def _numbers(root: Path, reading: Reading, case: FoundCase) -> set[int]:
    """Return the numbers in the mask of a case; a mask far larger than its image is not unpacked for them."""
    first = next(iter(case.channels.values()), None)
    if case.mask is None or first is None:
        return set()
    with suppress(Refusal, MemoryError):
        limit = prod(read_heading(root / first.path, reading).grid)
        return set(count_numbers(scan_mask(root / case.mask, reading, limit, as_stored=True).volume.voxels, ()))
    return set()


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
