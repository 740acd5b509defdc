"""A data set for Python programs and notebooks: what is in it, and what training would see of it."""

from __future__ import annotations

import difflib
import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medseg.experiment.opening.case_rows import case_row
from medseg.experiment.opening.scan import Scan
from medseg.experiment.opening.walking import Walk
from medseg.files.listing import folder_of
from medseg.files.records import CaseRecord, SchemeRecord, Sight, read_cases, read_scheme, read_sights
from medseg.report.facts import gather_facts
from medseg.report.notebook.frames import frame
from medseg.report.notebook.shown import Shown, shown, table
from medseg.stages.check import findings_of
from medseg.values.error import Refusal

if TYPE_CHECKING:
    from pandas import DataFrame

    from medseg.experiment.opening.batch import Batch

FINDING = ("case", "severity", "rule", "value", "remedy")
PERCENTILES = ("percentile_0.5", "median", "percentile_99.5")
_KEY = "percentiles_0.5_50_99.5"


class Data:
    """A data set as an experiment would take it. Every scan has been looked at once; nothing is written beside them."""

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        chain = walk.to("index")
        self._index = chain.outcome.stages["index"].folder
        if chain.outcome.data is None:
            raise RuntimeError("the index names its data")
        self.folder: Path = folder_of(chain.outcome.data.path)
        self._records = {one.case: one for one in read_cases(self._index / "cases.json")}

    @property
    def scheme(self) -> SchemeRecord:
        """Labels with their numbers, regions, and which region is the tumour."""
        return read_scheme(self._index / "scheme.json")

    @property
    def cases(self) -> DataFrame:
        """A pandas table, a row per scan: grid, channels, volumes of labels in ml, lesions, and why it was refused."""
        return frame([case_row(one, self._sights.get(one.case), self.scheme) for one in self._records.values()])

    @property
    def findings(self) -> DataFrame:
        """A pandas table of what was noticed about scans and about the set (case ""), and what to do about it."""
        about_set = json.loads((self._index / "dataset.json").read_text(encoding="utf-8"))
        rows = [{"case": "", **one} for one in about_set]
        rows += [{"case": r.case, **found.model_dump()} for r in self._records.values() for found in findings_of(r)]
        return frame([{name: row[name] for name in FINDING} for row in rows], FINDING)

    @property
    def split(self) -> dict[str, list[str]]:
        """Which scans train, validate and are held out."""
        return {part: self._split[part] for part in ("train", "validation", "held_out")}

    @property
    def fingerprint(self) -> dict[str, Any]:
        """What the training scans show: spacing, shapes, voxels per label, intensities."""
        return self._of_fingerprint("fingerprint.json")

    @property
    def plan(self) -> dict[str, Any]:
        """What follows from it: grid, patch, batch, and the depth of the network."""
        return self._of_fingerprint("plan.json")

    @property
    def intensities(self) -> DataFrame:
        """A pandas table of the fingerprint, a row per channel: what its values are inside the body."""
        found = self.fingerprint["intensity_inside_body"]
        rows = [
            {"channel": name, "mean": one["mean"], "sd": one["sd"], **dict(zip(PERCENTILES, one[_KEY], strict=True))}
            for name, one in found.items()
        ]
        return frame(rows)

    def facts(self) -> Shown:
        """Show the split, the labels and the plan as a table."""
        return table(("what", "value"), gather_facts(self._split, self.scheme.scheme, self.plan))

    def scan(self, case: str) -> Scan:
        """Return a scan by its name; refuses an unknown one, and one that the index refused."""
        record = self._records.get(case)
        if record is None:
            near = difflib.get_close_matches(case, self._records, n=3, cutoff=0.5)
            remedy = f"did you mean {' or '.join(near)}?" if near else "data.cases names them all"
            raise Refusal(case, f"a scan of this set, of which there are {len(self._records)}", "no such scan", remedy)
        if record.refused is not None:
            one = record.refused
            raise Refusal(one.subject, one.rule, one.value, one.remedy)
        return Scan(record, self.scheme.scheme, self.folder)

    def thumbnails(self, most: int = 60) -> Shown:
        """Show a small picture of each scan that could be read, its middle slice or that with most of the mask."""
        sights = [one for one in self._sights.values() if one.picture]
        note = f"{most} of {len(sights)} scans" if len(sights) > most else ""
        pictures = [
            {"source": f"data:image/webp;base64,{one.picture}", "name": one.case, "remark": self._remark(one.case)}
            for one in sights[:most]
        ]
        return shown(pictures=pictures, note=note)

    def batch(self, step: int = 1) -> Batch:
        """Return the batch that training would take at a step: what augmentation does. Nothing is trained."""
        from medseg.experiment.opening.batch import Batch  # torch: only this does not do without

        return Batch(*self._walk.batch(step))

    def __repr__(self) -> str:
        refused = sum(one.refused is not None for one in self._records.values())
        return f"{len(self._records)} scans in {self.folder}, {refused} refused"

    @cached_property
    def _sights(self) -> dict[str, Sight]:
        return {one.case: one for one in read_sights(self._index / "sights.jsonl")}

    def _remark(self, case: str) -> str:
        record: CaseRecord = self._records[case]
        if record.refused is not None:
            return "refused"
        return self.scheme.tumour if record.tumour_voxels else f"no {self.scheme.tumour}"

    def _of_fingerprint(self, name: str) -> dict[str, Any]:
        return self._read("fingerprint", name)

    @property
    def _split(self) -> dict[str, Any]:
        return self._read("split", "split.json")

    def _read(self, stage: str, name: str) -> dict[str, Any]:
        path = self._walk.to(stage).outcome.stages[stage].folder / name
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found
