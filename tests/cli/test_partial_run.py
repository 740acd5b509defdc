"""A whole experiment on scans that lack a channel, hold ignored voxels, or were annotated in part."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from tests.cli.tiny_data import medseg, save

SETTINGS = (
    "data.root=data", "data.labels={core: 1, rim: 2}", "data.regions={core: [1], rim: [2], tumour: [1, 2]}",
    "data.tumour=tumour", "data.ignore=3", "data.missing_channel=zeros", "name=tiny", "network.width=6",
    "network.levels=2", "patches.size=[16, 16, 12]", "training.steps=100", "training.validate_every=50",
    "training.learning_rate=0.01", "machine.device=cpu", "machine.threads=1",
)  # fmt: skip
COMPARED = ("report/scores.csv", "report/summary.json", "model/weights.safetensors", "model/card.json", "curve.csv")
# case -> part, whether T2 is there, labels that were looked for
CASES: dict[str, tuple[str, bool, str]] = {
    **{f"full_{number}": ("train", True, "") for number in range(3)},
    **{f"dark_{number}": ("train", False, "") for number in range(2)},
    **{f"part_{number}": ("train", True, "core") for number in range(4)},
    "check": ("validation", True, ""),
    "unseen_full": ("held_out", True, ""),
    "unseen_dark": ("held_out", False, "core;rim"),
    "unseen_part": ("held_out", True, "core"),
}


def phantom(number: int, partly: bool) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return both channels (2, 18, 16, 14) and a mask that ignores a slab, in which there is a blob of rim as well."""
    rng = np.random.default_rng(number)
    mask = np.zeros((18, 16, 14), np.uint8)
    x, y, z = (int(rng.integers(1, n)) for n in (5, 7, 5))
    mask[x : x + 7, y : y + 7, z : z + 7] = 2
    mask[x + 2 : x + 5, y + 2 : y + 5, z + 2 : z + 5] = 1
    truth = mask.copy()
    truth[14:17, 3:9, 3:9] = 2
    image = rng.normal(100, 10, (2, *mask.shape)) + 60.0 * (truth == 2) + 130.0 * (truth == 1)
    if partly:
        mask[mask == 2] = 0
    mask[14:] = 3
    return image.astype(np.float32), mask


def make_data(folder: Path) -> None:
    with (folder / "data" / "cases.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["case", "T1", "T2", "label", "split", "annotated"])
        for number, (case, (part, has_t2, annotated)) in enumerate(CASES.items()):
            image, mask = phantom(number, annotated == "core")
            names = [f"scans/{case}_{name}.nii.gz" for name in ("T1", "T2", "label")]
            for name, voxels in zip(names, (*image, mask), strict=True):
                save(folder / "data" / name, voxels)
            table.writerow([case, names[0], names[1] if has_t2 else "", names[2], part, annotated])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("partial")
    (folder / "data").mkdir()
    make_data(folder)
    code, _, errors = medseg(folder, "run", *SETTINGS)
    assert code == 0, errors
    return folder / "runs" / "tiny"


def scores(run: Path) -> dict[tuple[str, str], dict[str, str]]:
    with (run / "report" / "scores.csv").open(encoding="utf-8") as file:
        return {(row["case"], row["region"]): row for row in csv.DictReader(file)}


def test_it_learns_both_labels_and_does_without_a_channel(run: Path) -> None:
    found = scores(run)
    for case in ("unseen_full", "unseen_dark"):
        assert float(found[case, "core"]["dice"]) > 0.6, case
        assert float(found[case, "rim"]["dice"]) > 0.6, case


def test_what_nobody_annotated_is_neither_right_nor_wrong(run: Path) -> None:
    found = scores(run)
    assert float(found["unseen_part", "core"]["dice"]) > 0.6
    assert {found["unseen_part", name]["cohort"] for name in ("core", "rim", "tumour")} == {"unknown"}
    for name in ("rim", "tumour", "healthy", "all"):
        cells = {
            k: v for k, v in found["unseen_part", name].items() if k not in ("case", "subject", "cohort", "region")
        }
        assert set(cells.values()) == {""}
    summary = json.loads((run / "report" / "summary.json").read_text(encoding="utf-8"))
    assert summary["cohorts"]["unknown"] == {"n": 1}
    assert summary["regions"]["rim"]["dice"]["n"] == 2


def test_the_blob_that_is_ignored_is_found_and_costs_nothing(run: Path) -> None:
    """Nobody annotated the slab, so that the network was free to find the rim in it, and finding it is no fault."""
    predicted = np.asarray(nibabel.load(run / "predictions" / "unseen_full.nii.gz").dataobj)
    slab = (predicted[14:17, 3:9, 3:9] == 2).mean()
    row = scores(run)["unseen_full", "rim"]
    outside = np.count_nonzero(predicted[:14] == 2)
    voxel_ml = 2.0 * 2.0 * 2.5 / 1000
    assert slab > 0.3
    assert float(row["volume_predicted_ml"]) == pytest.approx(outside * voxel_ml)


def test_the_card_tells_what_the_network_is_used_to(run: Path) -> None:
    card = json.loads((run / "model" / "card.json").read_text(encoding="utf-8"))
    assert (card["channels"], card["channel_names"], card["missing_channels"]) == (2, ["T1", "T2"], True)
    assert card["scheme"]["ignore"] == 3
    assert "T1, T2" in (run / "report" / "report.html").read_text(encoding="utf-8")


def test_the_same_experiment_gives_the_same_bytes(run: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    make_data(tmp_path)
    code, _, errors = medseg(tmp_path, "run", *SETTINGS)
    assert code == 0, errors
    for name in COMPARED:
        assert (tmp_path / "runs" / "tiny" / name).read_bytes() == (run / name).read_bytes(), name
