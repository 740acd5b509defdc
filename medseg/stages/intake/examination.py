"""Look at all files of one case: what the index knows of it, what was noticed, and why it is refused if it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from medseg.files.layouts.find import FoundCase
from medseg.files.reading import AS_IT_IS
from medseg.files.records import CaseRecord, FileRecord, Reason, Sight
from medseg.files.scan_values import Heading
from medseg.files.scans import read_heading, scan_image
from medseg.ops.grids import Grid, canonical_grid
from medseg.ops.sighting import count_numbers
from medseg.stages.intake.checks import (
    Rules,
    check_annotated,
    check_complete,
    check_numbers,
    check_place,
    check_volumes,
    check_voxels,
)
from medseg.stages.intake.masks import mask_on_grid
from medseg.stages.intake.sights import Sketch
from medseg.values.error import Refusal
from medseg.values.finding import Finding, finding_of
from medseg.values.volume import Array, FloatArray


@dataclass(frozen=True, slots=True)
class Examined:
    """What is known of a case, and what was seen where a channel of it could be read."""

    record: CaseRecord
    sight: Sight | None


@dataclass
class _Notes:
    """What has been noticed about a case so far; a refusal in one file does not end the look at the others."""

    case: str
    root: Path
    findings: list[Finding] = field(default_factory=list)
    reason: Reason | None = None

    @contextmanager
    def about(self, file: Path | None) -> Iterator[None]:
        """Turn a refusal inside the block into a finding about a file (None: the case). Wrong settings go through."""
        try:
            yield
        except Refusal as refusal:
            if refusal.exit_code == 2:
                raise
            self.refuse(refusal, file)
        except MemoryError:
            remedy = "use a machine with more memory, or cut the scan"
            self.refuse(Refusal(str(file), "the scan fits into memory", "too little of it", remedy), file)

    def add(self, file: Path, findings: Sequence[Finding]) -> None:
        """Add what a reader or a check noticed about a file."""
        self.findings += [one.model_copy(update={"file": file.as_posix()}) for one in findings]

    def refuse(self, refusal: Refusal, file: Path | None) -> None:
        """Add a refusal of a file (None: of the case); the first one is the reason."""
        found = finding_of(refusal, file.as_posix() if file else None)
        found = found.model_copy(update={"value": found.value.replace(f"{self.root}/", "")})
        self.findings.append(found)
        if self.reason is None:
            self.reason = Reason(
                subject=found.file or self.case, rule=found.rule, value=found.value, remedy=found.remedy
            )


def examine(case: FoundCase, digests: Mapping[str, str], rules: Rules, root: Path) -> Examined:
    """Read every file of a case to its end; one bad file does not keep the others from being looked at.

    digests: SHA-256 of each scan of the case, by its path as the case has it. Neither record nor findings depend on
    where `root` lies. One channel and the mask are in memory at a time.
    """
    return _Examination(case, digests, rules, root).look()


def refused(case: FoundCase, digests: Mapping[str, str], rules: Rules, root: Path, refusal: Refusal) -> Examined:
    """Refuse a case without looking at its files."""
    unseen = _Examination(case, digests, rules, root)
    unseen.notes.refuse(refusal, None)
    return Examined(unseen.record(None), None)


class _Examination:
    """One look at one case: headers first, then the mask, then channel after channel."""

    def __init__(self, case: FoundCase, digests: Mapping[str, str], rules: Rules, root: Path) -> None:
        self.case, self.digests, self.rules, self.root = case, digests, rules, root
        self.notes = _Notes(case.case, root)
        self.sketch = Sketch(case.case, rules.scheme)
        self.names = [name for name in rules.channels if name in case.channels]
        self.channels = {name: self._channel_record(name) for name in self.names}
        self.mask = None if case.mask is None else self._file_record(case.mask)
        self.labels: Array | None = None
        self.counts: dict[str, int] = {}

    def look(self) -> Examined:
        """Look at everything once."""
        with self.notes.about(None):
            self.notes.findings += check_complete(self.case, self.rules)
        headings = self._headings()
        first = headings.get(self.names[0]) if self.names else None
        grid = None if first is None else canonical_grid(first.grid, first.affine)
        self._read_mask(grid)
        for name, heading in headings.items():
            self._read_channel(name, canonical_grid(heading.grid, heading.affine), grid)
        return Examined(self.record(first), self.sketch.sight())

    def _headings(self) -> dict[str, Heading]:
        """Read the header of every channel; those that are refused are left out."""
        headings = {}
        for name in self.names:
            file = self.case.channels[name]
            with self.notes.about(file.path):
                heading = read_heading(self.root / file.path, self.rules.reading)
                self.notes.add(file.path, check_volumes(file, heading, self.rules.reading))
                headings[name] = heading
        return headings

    def _read_mask(self, grid: Grid | None) -> None:
        """Read the mask onto the grid of the first channel and check its numbers; without a grid, only its header."""
        if self.case.mask is None or self.mask is None:
            return
        with self.notes.about(self.case.mask):
            if grid is None:
                self.notes.add(self.case.mask, read_heading(self.root / self.case.mask, self.rules.reading).findings)
                return
            image = self.channels[self.names[0]].path
            placed = mask_on_grid(self.root / self.case.mask, grid, self.rules.reading, image, as_stored=True)
            self.notes.add(self.case.mask, placed.findings)
            scheme = self.rules.scheme
            counts = count_numbers(placed.labels, scheme.allowed)
            dropped, noted = check_numbers(self.case.mask.as_posix(), counts, self.rules)
            if dropped:
                placed.labels[np.isin(placed.labels, dropped)] = 0
            self.mask = self.mask.model_copy(update={"reading": placed.applied, "dropped": dropped})
            self.labels = placed.labels
            self.counts = {str(number): counts[number] for number in scheme.values[1:] if number in counts}
            self.sketch.add_labels(self.labels, self.counts, abs(float(np.linalg.det(grid.affine[:3, :3]))) / 1000)
            self.notes.add(self.case.mask, noted + check_annotated(self.case, self.counts, scheme))

    def _read_channel(self, name: str, grid: Grid, first: Grid | None) -> None:
        """Read one channel and hold it to the rules."""
        file = self.case.channels[name]
        with self.notes.about(file.path):
            if first is not None:
                self.notes.add(file.path, check_place(file, grid, first, self.rules.resample_channels))
            scan = scan_image(self.root / file.path, file.component, self.rules.reading, as_stored=True)
            voxels = scan.volume.voxels[0]
            extremes = float(voxels.min()), float(voxels.max())
            self.notes.add(file.path, (*scan.findings, *check_voxels(file, voxels, *extremes)))
            self.channels[name] = self.channels[name].model_copy(update={"reading": scan.applied})
            self.sketch.add_channel(name, scan.volume, *extremes)
            if name == self.names[0]:
                self.sketch.draw(scan.volume, self.labels)

    def _file_record(self, path: Path) -> FileRecord:
        return FileRecord(path=path.as_posix(), sha256=self.digests[path.as_posix()], reading=AS_IT_IS)

    def _channel_record(self, name: str) -> FileRecord:
        file = self.case.channels[name]
        return self._file_record(file.path).model_copy(update={"component": file.component})

    def record(self, first: Heading | None) -> CaseRecord:
        """Return what is known of the case so far."""
        case, scheme = self.case, self.rules.scheme
        return CaseRecord(
            case=case.case,
            subject=case.subject,
            site=case.site,
            group=case.group,
            part=case.part,
            channels=self.channels,
            order=() if len(self.names) == len(self.rules.channels) else self.rules.channels,
            mask=self.mask,
            annotated=case.annotated,
            shape=None if first is None else first.grid,
            affine=None if first is None else _rows(first.affine),
            spacing_mm=None if first is None else _spacing_mm(first.affine),
            labels=self.counts,
            tumour_voxels=sum(self.counts.get(str(number), 0) for number in scheme.regions[scheme.tumour]),
            findings=tuple(self.notes.findings),
            refused=self.notes.reason,
        )


def _rows(affine: FloatArray) -> tuple[tuple[float, float, float, float], ...]:
    return tuple((float(a), float(b), float(c), float(d)) for a, b, c, d in affine)


def _spacing_mm(affine: FloatArray) -> tuple[float, float, float]:
    x, y, z = np.linalg.norm(affine[:3, :3], axis=0)
    return float(x), float(y), float(z)
