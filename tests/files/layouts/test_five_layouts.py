"""One data set, arranged by links in five layouts, is the same cases."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from medseg.files.layouts.find import DataSettings, Found, find_cases, label_scheme
from medseg.files.records import CaseRecord
from medseg.stages.index import IndexSettings, run
from medseg.values.machine import Machine

DATA = Path(__file__).parents[4] / "shared" / "data" / "Task04_Hippocampus"
LABELS = {"anterior": 1, "posterior": 2}
DESCRIBED = {"0": "background", "1": "Anterior", "2": "Posterior"}
Arrange = Callable[[Path, Sequence[str]], DataSettings]
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data/Task04_Hippocampus")


@cache
def scans() -> dict[str, tuple[Path, Path]]:
    """Return image and mask of every case, under names that BIDS allows too."""
    described = json.loads((DATA / "dataset.json").read_text())
    names = [Path(entry["image"]).name for entry in described["training"]]
    return {
        f"sub-{name[len('hippocampus_') : -len('.nii.gz')]}": (DATA / "imagesTr" / name, DATA / "labelsTr" / name)
        for name in names
    }


def link(place: Path, target: Path) -> None:
    """Make a link, and the folders that it lies in."""
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(target)


def as_msd(root: Path, cases: Sequence[str]) -> DataSettings:
    """Arrange as the Decathlon does."""
    paths = [(f"imagesTr/{case}.nii.gz", f"labelsTr/{case}.nii.gz") for case in cases]
    for case, (image, mask) in zip(cases, paths, strict=True):
        link(root / image, scans()[case][0])
        link(root / mask, scans()[case][1])
    pairs = [{"image": f"./{image}", "label": f"./{mask}"} for image, mask in paths]
    description = {"modality": {"0": "MRI"}, "labels": DESCRIBED, "training": pairs}
    (root / "dataset.json").write_text(json.dumps(description))
    return DataSettings()


def as_nnunet(root: Path, cases: Sequence[str]) -> DataSettings:
    """Arrange as nnU-Net's version 2 does."""
    for case in cases:
        link(root / f"imagesTr/{case}_0000.nii.gz", scans()[case][0])
        link(root / f"labelsTr/{case}.nii.gz", scans()[case][1])
    labels = {name: int(number) for number, name in DESCRIBED.items()}
    description = {"channel_names": {"0": "MRI"}, "labels": labels, "file_ending": ".nii.gz"}
    (root / "dataset.json").write_text(json.dumps({**description, "numTraining": len(cases)}))
    return DataSettings()


def as_pairs(root: Path, cases: Sequence[str]) -> DataSettings:
    """Arrange as two folders."""
    for case in cases:
        link(root / f"images/{case}.nii.gz", scans()[case][0])
        link(root / f"labels/{case}.nii.gz", scans()[case][1])
    return DataSettings(channels={"MRI": "*"}, labels=LABELS)


def as_csv(root: Path, cases: Sequence[str]) -> DataSettings:
    """Arrange as a table: a path relative to it, and an absolute one."""
    rows = []
    for case in cases:
        image, mask = scans()[case]
        link(root / "scans" / image.name, image)
        rows.append(f"{case};scans/{image.name};{mask}")
    (root / "cases.csv").write_text("\n".join(["case;MRI;label", *rows]) + "\n")
    return DataSettings(labels=LABELS)


def as_bids(root: Path, cases: Sequence[str]) -> DataSettings:
    """Arrange as raw data and a derivative."""
    for case in cases:
        link(root / f"{case}/anat/{case}_T1w.nii.gz", scans()[case][0])
        link(root / f"derivatives/manual/{case}/anat/{case}_label-hippocampus_dseg.nii.gz", scans()[case][1])
    (root / "dataset_description.json").write_text('{"Name": "Hippocampus", "BIDSVersion": "1.10.0"}')
    return DataSettings(channels={"MRI": "T1w"}, labels=LABELS)


LAYOUTS: dict[str, Arrange] = {
    "msd": as_msd,
    "nnunet": as_nnunet,
    "pairs": as_pairs,
    "csv": as_csv,
    "bids": as_bids,
}


def resolved(root: Path, found: Found) -> dict[str, tuple[Any, ...]]:
    """Return what was found with the files that links lead to."""
    return {
        case.case: (
            case.subject,
            {
                name: ((root / file.path).resolve(), file.component, file.volumes)
                for name, file in case.channels.items()
            },
            (root / case.mask).resolve() if case.mask else None,
        )
        for case in found.cases
    }


@pytest.mark.parametrize("layout", LAYOUTS)
def test_all_cases_are_found_in_every_layout(tmp_path: Path, layout: str) -> None:
    expected = {
        case: (case, {"MRI": (image.resolve(), 0, 1)}, mask.resolve()) for case, (image, mask) in scans().items()
    }
    assert len(expected) == 150
    settings = LAYOUTS[layout](tmp_path, list(expected))
    found = find_cases(tmp_path, settings)
    assert (found.layout, found.channels) == (layout, ("MRI",))
    assert resolved(tmp_path, found) == expected
    assert list(expected) == [case.case for case in found.cases]
    scheme = label_scheme(settings, found)
    assert (scheme.labels, scheme.tumour, scheme.ignore) == (LABELS, "foreground", None)


def without_paths(folder: Path, layout: str) -> list[dict[str, Any]]:
    """Return the records of an index, paths left out."""
    table = json.loads((folder / "cases.json").read_text())
    assert (table["layout"], table["channels"]) == (layout, ["MRI"])
    for record in table["cases"]:
        CaseRecord.model_validate_json(json.dumps(record))
        for file in [*record["channels"].values(), record["mask"]]:
            assert file.pop("path")
    cases: list[dict[str, Any]] = table["cases"]
    return cases


def test_the_index_of_every_layout_is_the_same(tmp_path: Path) -> None:
    cases = list(scans())[:12]
    indices = {}
    for layout, arrange in LAYOUTS.items():
        root, out = tmp_path / layout / "data", tmp_path / layout / "out"
        root.mkdir(parents=True)
        out.mkdir()
        settings = IndexSettings(data=arrange(root, cases))
        data = root / "cases.csv" if layout == "csv" else root
        run(settings, {"data": data}, out, Machine(threads=2, store=str(tmp_path / layout / "store")))
        indices[layout] = without_paths(out, layout)
    assert [record["case"] for record in indices["msd"]] == cases
    assert all(record["refused"] is None and record["labels"] for record in indices["msd"])
    for layout in LAYOUTS:
        assert indices[layout] == indices["msd"], layout
