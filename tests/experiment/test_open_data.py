"""A data set opened in Python: what is in it, and the batch that training would take."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import medseg
from medseg.cli.python import quoted
from medseg.experiment.opening.data import Data
from medseg.values.error import Refusal
from tests.cli.tiny_data import make_data, save, scan


def words(folder: Path) -> list[str]:
    store = f"machine.store={quoted(str(folder / 'store'))}"
    network = ["network.width=4", "network.levels=2", "patches.batch=3", "machine.device=cpu", "machine.threads=1"]
    return [store, "data.labels={tumour: 1}", "split.held_out=0.25", *network]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight scans, two of them healthy, and one whose mask has another size."""
    folder = tmp_path_factory.mktemp("set")
    made = make_data(folder)
    image, mask = scan(8)
    save(made / "images" / "case_8.nii.gz", image)
    save(made / "labels" / "case_8.nii.gz", mask[:9])
    return folder


@pytest.fixture(scope="module")
def data(folder: Path) -> Data:
    return medseg.open_data(folder / "data", *words(folder))


def test_every_scan_has_a_row(data: Data) -> None:
    cases = data.cases.set_index("case")
    assert list(cases.index) == [f"case_{number}" for number in range(9)]
    assert cases["cohort"].tolist() == ["tumour"] * 6 + ["healthy"] * 2 + ["refused"]
    voxels = np.count_nonzero(scan(0)[1])
    assert cases.loc["case_0", "tumour_ml"] == pytest.approx(voxels * 2.0 * 2.0 * 2.5 / 1000)
    assert cases.loc["case_0", ["voxels_x", "voxels_y", "voxels_z"]].tolist() == [16, 14, 12]
    assert cases.loc["case_7", "tumour_ml"] == 0
    assert "mask" in cases.loc["case_8", "refused"]
    assert repr(data) == f"9 scans in {data.folder}, 1 refused"


def test_findings_are_listed_with_their_remedy(data: Data) -> None:
    found = data.findings
    assert "case_8" in set(found["case"])
    assert found[found["case"] == "case_8"]["severity"].tolist() == ["refuse"]
    assert all(found["remedy"] != "")


def test_a_scan_comes_with_its_mask(data: Data) -> None:
    found = data.scan("case_0")
    image, mask = scan(0)
    assert found.channels == ("image",)
    assert found.image.voxels.shape == (1, 16, 14, 12)
    assert found.truth.voxels.shape == (1, 16, 14, 12)
    # the stored X axis runs to the patient's left, canonical ones to the right
    assert np.array_equal(found.truth.voxels[0], mask[::-1])
    assert np.array_equal(found.image.voxels[0], image[::-1])
    assert found.show().width > 300
    with pytest.raises(Refusal, match="case_0: channels are image, got T1; name one of them"):
        found.show("T1")


def test_scans_that_are_not_there_or_refused_are_refused(data: Data) -> None:
    with pytest.raises(Refusal, match="case_9: a scan of this set, of which there are 9, got no such scan; did you"):
        data.scan("case_9")
    with pytest.raises(Refusal, match="mask"):
        data.scan("case_8")


def test_thumbnails_show_as_many_as_asked_for(data: Data) -> None:
    assert data.thumbnails()._repr_html_().count("<img") >= 8
    some = data.thumbnails(most=2)._repr_html_()
    assert some.count("<img") == 2
    assert "2 of" in some


def test_fingerprint_and_plan_come_from_training_scans_alone(data: Data) -> None:
    parts = data.split
    assert sorted(case for part in parts.values() for case in part) == [f"case_{number}" for number in range(8)]
    assert sorted(data.fingerprint["cases"]) == sorted(parts["train"])
    assert len(data.plan["patch"]) == 3
    assert data.intensities.set_index("channel").loc["image", "median"] == pytest.approx(100, abs=15)
    assert "in a batch" in data.facts()._repr_html_()


def test_a_batch_shows_what_training_takes(data: Data) -> None:
    batch = data.batch(step=1)
    assert batch.images.shape[:2] == (3, 1)
    assert batch.classes.shape == (3, *batch.images.shape[2:])
    assert batch.show().width > 100
    assert list(batch.patches.columns) == ["case", "place", "changes"]
    assert set(batch.patches["case"]) <= set(data.split["train"])


def test_without_augmentation_the_same_places_come_unchanged(folder: Path, data: Data) -> None:
    plain = medseg.open_data(folder / "data", *words(folder), "augment=none").batch(step=2)
    full = medseg.open_data(folder / "data", *words(folder), "augment=full").batch(step=2)
    assert set(plain.patches["changes"]) == {"unchanged"}
    assert plain.patches[["case", "place"]].equals(full.patches[["case", "place"]])
    assert not np.array_equal(plain.images, full.images)
