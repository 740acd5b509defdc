"""The list of all scans of a command: segment.json while they are done, and segment.html at the end."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medseg.experiment.segmenting.place import LISTING, PAGE
from medseg.files.segmented import SegmentedScan, read_record
from medseg.pipeline.store import explain, write_whole
from medseg.report.review import review_queue, warnings
from medseg.report.segment_page import segment_page
from medseg.values.error import wrong_setting

_LEAST_PAUSE = 5.0
_SHARE = 0.05  # of the time at most goes into writing the list again and again
_MOST_PICTURES = 1000  # the first of the queue; a page of them has about 15 MB


class Listing:
    """What became of the scans so far. `head` is what segment.json says of model and settings."""

    def __init__(self, out: Path, head: Mapping[str, Any]) -> None:
        self.out, self.head = out, dict(head)
        self.records: dict[str, SegmentedScan] = {}
        self._next = time.monotonic() + _LEAST_PAUSE

    def add(self, record: SegmentedScan) -> None:
        """Add what became of a scan; the list on disk follows within seconds."""
        self.records[record.case] = record.model_copy(update={"picture": ""})
        start = time.monotonic()
        if start >= self._next:
            self.write()
            spent = time.monotonic() - start
            self._next = time.monotonic() + max(_LEAST_PAUSE, spent / _SHARE)

    def count(self, *statuses: str) -> int:
        """Count the scans that ended so."""
        return sum(record.status in statuses for record in self.records.values())

    @property
    def page(self) -> Path:
        """Where segment.html lies."""
        return self.out / PAGE

    @property
    def unlike(self) -> int:
        """How many segmented scans are unlike the training scans."""
        return sum(record.status == "done" and bool(warnings(record)) for record in self.records.values())

    def write(self) -> None:
        """Write segment.json: the cases in the order in which they were done, and the queue of those to look at."""
        cases = {
            case: record.model_dump(mode="json", exclude={"case", "picture"}) for case, record in self.records.items()
        }
        review = [record.case for record in review_queue(self.records.values())]
        self._write(LISTING, json.dumps({**self.head, "cases": cases, "review": review}, indent=1) + "\n")

    def write_page(self, title: str, facts: Mapping[str, str]) -> None:
        """Write segment.html, with pictures of those scans that are to be looked at first."""
        queue = review_queue(self.records.values())
        first = [self._pictured(record) for record in queue[:_MOST_PICTURES]]
        self._write(PAGE, segment_page(title, [*first, *queue[_MOST_PICTURES:]], facts))

    def _pictured(self, record: SegmentedScan) -> SegmentedScan:
        """Return a record with the picture that lies on the disk, unless that is of an earlier command."""
        kept = read_record(self.out, record.case)
        is_same = kept is not None and (kept.status, kept.made_from) == (record.status, record.made_from)
        return record.model_copy(update={"picture": kept.picture}) if kept is not None and is_same else record

    def _write(self, name: str, text: str) -> None:
        try:
            write_whole(self.out / name, text)
        except OSError as error:
            value = f"{self.out / name} ({error.strerror})"
            raise wrong_setting("out", "the list of the scans must be writable", value, "free some space") from error


def changed_since(out: Path, head: Mapping[str, Any]) -> str:
    """Say what differs from the last command in this folder, as far as masks depend on it; "" where nothing does."""
    try:
        before = json.loads((out / LISTING).read_text(encoding="utf-8"))
        return _difference(before, head)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return ""


def _difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    old, new = (
        {"settings": one["settings"], "inputs": one["model"]["sha256"], "code": one["model"]["medseg"]}
        for one in (before, now)
    )
    return "" if old == new else explain(old, new)
