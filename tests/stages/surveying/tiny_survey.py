"""Records and sights of a sound data set, by hand, so that tests can plant one fault at a time."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from medseg.files.records import CaseRecord, ChannelSight, FileRecord, Reason, SchemeRecord, Sight, write_record
from medseg.ops.sighting import PERCENTILES, miniature
from medseg.stages.surveying.survey import survey
from medseg.values.digests import digest_of
from medseg.values.finding import Finding
from medseg.values.labels import LabelScheme

SCHEME = LabelScheme({"core": 1, "oedema": 2}, {"tumour": (1, 2)}, "tumour")
CT, PET = (-1000.0, 3000.0), (0.0, 20.0)


@dataclass
class Scan:
    """One case; change what is to be wrong, then `record` and `sight` it."""

    number: int
    subject: str = ""
    site: str | None = None
    group: str | None = None
    ranges: dict[str, tuple[float, float]] = field(default_factory=lambda: {"flair": (0.0, 1000.0)})
    spacing: tuple[float, float, float] = (1.0, 1.0, 3.0)
    shape: tuple[int, int, int] = (64, 64, 30)
    labels: dict[str, int] = field(default_factory=lambda: {"1": 4000, "2": 9000})
    annotated: tuple[str, ...] | None = None
    lesions_ml: tuple[float, ...] = (30.0, 9.0)
    contents: dict[str, str] = field(default_factory=dict)
    mask: str | None = ""
    looks_like: int | None = None
    noise: float = 0.0
    affine: Any = None
    findings: tuple[Finding, ...] = ()

    @property
    def case(self) -> str:
        return f"case_{self.number:03d}"

    def record(self) -> CaseRecord:
        files = {
            name: FileRecord(
                path=f"{self.case}/{name}.nii.gz", sha256=digest_of(self.contents.get(name, [self.case, name]))
            )
            for name in self.ranges
        }
        mask = (
            None
            if self.mask is None
            else FileRecord(path=f"{self.case}/seg.nii.gz", sha256=digest_of(self.mask or self.case))
        )
        affine = np.diag([*self.spacing, 1.0]) if self.affine is None else np.asarray(self.affine, float)
        worst = next((one for one in self.findings if one.severity == "refuse"), None)
        reason = worst and Reason(subject=worst.file or "", rule=worst.rule, value=worst.value, remedy=worst.remedy)
        return CaseRecord(
            case=self.case,
            subject=self.subject or self.case,
            site=self.site,
            group=self.group,
            channels=files,
            mask=mask,
            annotated=self.annotated,
            shape=self.shape,
            affine=tuple(tuple(float(a) for a in row) for row in affine),  # type: ignore[misc]
            spacing_mm=self.spacing,
            labels=self.labels,
            tumour_voxels=sum(self.labels.values()),
            findings=self.findings,
            refused=reason,
        )

    def sight(self, picture: str = "") -> Sight:
        voxels = np.random.default_rng(self.number if self.looks_like is None else self.looks_like).normal(
            size=(16, 16, 16)
        )
        voxels += self.noise * np.random.default_rng(self.number + 10_000).normal(size=voxels.shape)
        small = base64.b64encode(miniature(voxels).astype("<f2").tobytes()).decode()
        voxel_ml = float(np.prod(self.spacing)) / 1000
        return Sight(
            case=self.case,
            channels={name: self._channel(name, *ends) for name, ends in self.ranges.items()},
            lesions_ml=self.lesions_ml if self.labels else (),
            lesion_count=len(self.lesions_ml) if self.labels else 0,
            label_ml={
                name: self.labels[str(n)] * voxel_ml for name, n in SCHEME.labels.items() if str(n) in self.labels
            },
            miniatures=dict.fromkeys(self.ranges, small),
            picture=picture,
        )

    def _channel(self, name: str, low: float, high: float) -> ChannelSight:
        """Skewed where a channel starts at 0 (MRI, PET), with two peaks where it does not (CT)."""
        rng = np.random.default_rng([self.number, len(name)])
        share = rng.gamma(0.6, 0.12, 3000) if low == 0 else np.where(rng.random(3000) < 0.5, 0.02, 0.26)
        voxels = low + (high - low) * np.clip(share + rng.normal(0, 0.004, 3000), 0, 1)
        voxels[:2] = low, high
        values = tuple(float(one) for one in np.percentile(voxels, PERCENTILES))
        return ChannelSight(percentiles=values, mean=float(voxels.mean()), sd=float(voxels.std()), zeros=0.0)


def sound(number: int = 30, **changes: Any) -> list[Scan]:
    """A set without any fault; some scans are healthy."""
    scans = [Scan(place, **changes) for place in range(number)]
    for scan in scans[::5]:
        scan.labels = {}
    return scans


def surveyed(scans: Sequence[Scan], scheme: LabelScheme = SCHEME) -> list[Finding]:
    return list(survey((one.record() for one in scans), (one.sight() for one in scans if not one.findings), scheme))


def warnings(scans: Sequence[Scan]) -> dict[str, tuple[str, ...]]:
    """The warnings about a set: rule -> cases."""
    return {one.rule: one.cases for one in surveyed(scans) if one.severity == "warn"}


def write_index(folder: Path, scans: Sequence[Scan], pictures: Mapping[str, str], head: str = "pairs") -> Path:
    """Write the folder of the stage index, as that stage does."""
    import json

    folder.mkdir(parents=True)
    write_record(
        folder / "scheme.json",
        SchemeRecord(labels=dict(SCHEME.labels), regions=dict(SCHEME.regions), tumour=SCHEME.tumour),
    )
    records = ",\n".join(scan.record().model_dump_json() for scan in scans)
    channels = list(scans[0].ranges)
    (folder / "cases.json").write_text(
        json.dumps({"layout": head, "channels": channels})[:-1] + ', "cases": [\n' + records + "\n]}\n",
        encoding="utf-8",
    )
    seen = [scan.sight(pictures[scan.case]) for scan in scans if scan.case in pictures]
    (folder / "sights.jsonl").write_text("".join(one.model_dump_json() + "\n" for one in seen), encoding="utf-8")
    dataset = [one.model_dump(mode="json") for one in surveyed(scans)]
    (folder / "dataset.json").write_text(json.dumps(dataset), encoding="utf-8")
    return folder
