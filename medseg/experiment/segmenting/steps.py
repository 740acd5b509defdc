"""The three steps of one scan: read and prepared, segmented, written; whatever fails in one is the scan's own."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np

from medseg.engines.inference.segmenting import Segmented
from medseg.experiment.formats import Format
from medseg.experiment.runner import reason
from medseg.experiment.segmenting import writing
from medseg.experiment.segmenting.keeping import Keeper
from medseg.experiment.segmenting.sparing import Foreign
from medseg.files.layouts.find import FoundCase
from medseg.files.segmented import SegmentedScan, record_path
from medseg.pipeline.meter import Meter
from medseg.stages.segmenting.finishing import Finished, finish
from medseg.stages.segmenting.segmenter import Ready, Segmenter
from medseg.values.digests import digest_of_file
from medseg.values.error import Refusal
from medseg.values.finding import Finding


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """A scan on its way. `record` is there as soon as its end is known: kept from before, refused or failed."""

    case: FoundCase
    made_from: str = ""
    ready: Ready | None = None
    segmented: Segmented | None = None
    record: SegmentedScan | None = None
    guard: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    peak_memory_mb: float = 0.0


class ScanSteps:
    """Steps of scans whose paths lie below `keeper.scans`, to masks in `keeper.out`.

    `again` is told the name of each case of which there is a mask that was made otherwise.
    """

    def __init__(self, segmenter: Segmenter, keeper: Keeper, write: Format, again: Callable[[str], None]) -> None:
        self.segmenter, self.keeper, self.format, self.again = segmenter, keeper, write, again

    def begin(self, cases: Sequence[FoundCase]) -> None:
        """Read the weights while the first scan is read, unless everything may be done already."""
        if not all(record_path(self.keeper.out, case.case).is_file() for case in cases):
            self.segmenter.open()

    def read(self, case: FoundCase) -> Held:
        """Find out whether the scan is done already; else read it, hold it against training scans and prepare it."""
        return self._attempt(Held(case), self._read)

    def compute(self, held: Held) -> Held:
        """Segment a scan that is ready. What is wrong with the model itself is raised."""
        if held.ready is None or held.record is not None:
            return held
        self.segmenter.open()
        return self._attempt(held, self._compute)

    def write(self, held: Held) -> SegmentedScan:
        """Write what came of a scan, and return its record."""
        foreign = Foreign(self.keeper.out, held.case.case)
        done = self._attempt(held, partial(self._write, foreign))
        if done.record is None:
            raise RuntimeError("a scan came to its end without a record")
        return done.record if done.record.status == "done" else self._write_failure(foreign, done.record)

    def _read(self, held: Held) -> Held:
        case = held.case
        writing.check_name(case.case)
        held = replace(held, made_from=self.keeper.made_from(case))
        kept = self.keeper.kept(case.case, held.made_from)
        if kept is not None:
            return replace(held, record=kept)
        if self.keeper.was_made_otherwise(case.case, held.made_from):
            self.again(case.case)
        ready = self.segmenter.ready(case, self.keeper.scans)
        held = replace(held, ready=ready, guard=ready.findings, notes=ready.notes)
        warned = [finding for finding in ready.findings if finding.severity != "note"]
        if warned and self.keeper.recipe.guard == "refuse":
            return replace(held, ready=None, record=_ended(held, "refused", _unlike(warned)))
        return held

    def _compute(self, held: Held) -> Held:
        if held.ready is None:
            raise RuntimeError("a scan is made ready first")
        meter = Meter()
        segmented = self.segmenter.segment(held.ready)
        ready = replace(held.ready, image=np.zeros((0, 0, 0, 0), np.float32))  # the network has seen it
        notes = (*held.notes, *segmented.notes)
        peak = meter.read()["peak_memory_mb"]
        return replace(held, ready=ready, segmented=segmented, notes=notes, peak_memory_mb=peak)

    def _write(self, foreign: Foreign, held: Held) -> Held:
        if held.record is not None:
            return held
        if held.ready is None or held.segmented is None:
            raise RuntimeError("a scan is segmented first")
        start = time.monotonic()
        case, out, labels = held.case, self.keeper.out, self.segmenter.model.card.scheme.labels
        finished = finish(held.ready, held.segmented, self.segmenter.model.card)
        first = next(iter(case.channels[name] for name in self.segmenter.model.names if name in case.channels))
        scan = self.keeper.scans / first.path
        softmax = self.segmenter.model.card.activation == "softmax"
        foreign.set_aside()
        name = writing.write_label_map(out, case.case, finished.mask, labels, self.format, scan)
        maps = writing.write_maps(out, case.case, held.segmented, held.ready.placement, softmax)
        notes = (*held.notes, *foreign.notes(name))
        if self.format == "dicom_seg" and not name.endswith(".dcm"):
            notes = (*notes, "written as NIfTI, as the scan is no DICOM series")
        writing.clear(out, case.case, (name, *maps))
        seconds = held.seconds + time.monotonic() - start
        record = self._record(replace(held, notes=notes, seconds=seconds), finished, name)
        writing.write_record(out, record)
        return replace(held, record=record)

    def _record(self, held: Held, finished: Finished, mask: str) -> SegmentedScan:
        return SegmentedScan(
            case=held.case.case,
            status="done",
            mask=mask,
            mask_sha256=digest_of_file(self.keeper.out / mask),
            made_from=held.made_from,
            labels=self.segmenter.model.card.scheme.labels,
            volume_ml=finished.volume_ml,
            confidence=finished.confidence,
            guard=held.guard,
            notes=held.notes,
            seconds=round(held.seconds, 3),
            peak_memory_mb=held.peak_memory_mb,
            picture=finished.picture,
        )

    def _write_failure(self, foreign: Foreign, record: SegmentedScan) -> SegmentedScan:
        """Put the reason in the place of an earlier mask; without room for it, it stands in the list of all scans."""
        out = self.keeper.out
        with suppress(Refusal, OSError):
            writing.check_name(record.case)
            record = record.model_copy(update={"notes": (*record.notes, *foreign.notes())})
            writing.clear(out, record.case, foreign.names())
            writing.write_record(out, record)
        return record

    def _attempt(self, held: Held, work: Callable[[Held], Held]) -> Held:
        """Do a step and add its seconds; an error ends the scan with its reason, but a wrong setting the command."""
        start = time.monotonic()
        try:
            done = work(held)
        except Refusal as refusal:
            if refusal.exit_code == 2:
                raise
            done = self._failed(held, refusal)
        except Exception as error:  # whatever one scan makes a reader, a network or a writer raise
            done = self._failed(held, error)
        return replace(done, seconds=done.seconds + time.monotonic() - start)

    def _failed(self, held: Held, error: Exception) -> Held:
        why = reason(error).replace(f"{self.keeper.scans}/", "")
        return replace(held, ready=None, segmented=None, record=_ended(held, "failed", why))


def _ended(held: Held, status: Literal["failed", "refused"], why: str) -> SegmentedScan:
    return SegmentedScan(
        case=held.case.case,
        status=status,
        reason=why,
        made_from=held.made_from,
        guard=held.guard,
        notes=held.notes,
        seconds=round(held.seconds, 3),
    )


def _unlike(warned: Sequence[Finding]) -> str:
    first, more = warned[0], len(warned) - 1
    others = f" ({more} more finding{'s' if more > 1 else ''})" if more else ""
    remedy = "look whether the model is meant for such scans; guard=warn segments it all the same"
    return f"{first.rule}, got {first.value}{others}; {remedy}"
