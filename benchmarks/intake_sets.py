"""The data sets of the intake benchmark, and the same files arranged for nnU-Net by links."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DataSet:
    """Pairs of image and mask by case, and how medseg is told of them where they lie."""

    name: str
    root: Path
    files: Mapping[str, tuple[Path, Path]]
    labels: Mapping[str, int]
    settings: Mapping[str, object]

    @property
    def overrides(self) -> list[str]:
        """The words for the command line."""
        return [f"data.root={self.root}", *(f"data.{name}={_word(value)}" for name, value in self.settings.items())]


def _word(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_word(one)}" for key, one in value.items()) + "}"
    return str(value)


def data_sets(shared: Path, cases: int) -> list[DataSet]:
    """Return hippocampus, and sarcoma once by its PET and once by its CT; at most `cases` of each (0 for all).

    With fewer cases than there are the files are still read where they lie, but medseg is given links too.
    """
    hippocampus = shared / "Task04_Hippocampus"
    pairs = {
        path.name.removesuffix(".nii.gz"): (path, hippocampus / "labelsTr" / path.name)
        for path in sorted((hippocampus / "imagesTr").glob("*.nii.gz"))
    }
    found = [DataSet("hippocampus", hippocampus, pairs, {"Anterior": 1, "Posterior": 2}, {})]
    for kind in ("PET", "CT"):
        folders = sorted((shared / "sarcoma").glob("STS_*"))
        files = {one.name: (one / f"{kind}_image.nii.gz", one / f"{kind}_mask.nii.gz") for one in folders}
        settings = {"channels": {kind: f"{kind}_image"}, "mask": f"{kind}_mask", "labels": {"tumour": 1}}
        found.append(DataSet(f"sarcoma {kind}", shared / "sarcoma", files, {"tumour": 1}, settings))
    return [_shortened(one, cases) if cases else one for one in found]


def _shortened(data: DataSet, cases: int) -> DataSet:
    return DataSet(data.name, data.root, dict(list(data.files.items())[:cases]), data.labels, data.settings)


def arrange(data: DataSet, folder: Path) -> Path:
    """Link the files into nnU-Net's raw format."""
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True)
    for case, (image, mask) in data.files.items():
        (folder / "imagesTr" / f"{case}_0000.nii.gz").symlink_to(image)
        (folder / "labelsTr" / f"{case}.nii.gz").symlink_to(mask)
    describe(folder, data.labels, len(data.files))
    return folder


def describe(folder: Path, labels: Mapping[str, int], cases: int) -> None:
    """Write dataset.json as nnU-Net wants it."""
    text = {
        "channel_names": {"0": "image"},
        "labels": {"background": 0, **labels},
        "numTraining": cases,
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(text, indent=1))
