"""A report says of every scan what is unlike the training scans, and only then."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from medseg.files.nifti.writing import write_image
from medseg.files.records import read_case
from medseg.files.scans import read_image
from medseg.ops.guard import familiar_of
from medseg.ops.preparing import PrepareSettings
from medseg.report.settings import ReportSettings
from medseg.stages.look import look_at
from medseg.stages.report import run
from medseg.values.machine import Machine
from medseg.values.volume import Volume
from tests.report.tiny_run import Tiny, make_inputs

UNLIKE = "noticed about the scan: unlike the training scans:"


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Nine scans alike, the last of them segmented badly, and a card that knows the first eight."""
    folder = tmp_path_factory.mktemp("guard")
    made = make_inputs(folder, [*(Tiny(f"t{i}", shift=0) for i in range(8)), Tiny("poor", shift=4)])
    prepare = PrepareSettings()
    looks = [look_at(read_case(made[f"cases/t{i}"]), made["data"], prepare, 0, None) for i in range(8)]
    familiar = familiar_of([look.signature for look in looks])
    card = {"familiar": familiar.model_dump(mode="json"), "prepare": prepare.model_dump(mode="json")}
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")
    return made | {"card": folder / "card.json"}


def page(inputs: dict[str, Path], out: Path) -> str:
    out.mkdir()
    run(ReportSettings(), inputs, out, Machine())
    return (out / "report.html").read_text(encoding="utf-8")


def test_a_bad_scan_like_the_others_is_called_misplaced_and_no_more(inputs: dict[str, Path], tmp_path: Path) -> None:
    text = page(inputs, tmp_path / "out")
    assert "1 scan did badly, with a Dice below 0.5: poor (" in text
    assert UNLIKE not in text


def test_a_bad_scan_with_other_intensities_is_said_to_be_unlike(inputs: dict[str, Path], tmp_path: Path) -> None:
    path = inputs["data"] / "poor" / "image.nii.gz"
    image, kept = read_image(path), path.read_bytes()
    write_image(path, Volume(image.voxels * 1000, image.affine))
    try:
        assert UNLIKE in page(inputs, tmp_path / "out")
        without = {name: one for name, one in inputs.items() if name != "card"}
        assert UNLIKE not in page(without, tmp_path / "plain")
    finally:
        path.write_bytes(kept)


def test_a_scan_that_did_well_is_said_to_be_unlike_in_the_table_of_all_scans(
    inputs: dict[str, Path], tmp_path: Path
) -> None:
    path = inputs["data"] / "t3" / "image.nii.gz"
    image, kept = read_image(path), path.read_bytes()
    write_image(path, Volume(image.voxels * 1000, image.affine))
    try:
        text = page(inputs, tmp_path / "out")
    finally:
        path.write_bytes(kept)
    assert UNLIKE not in text, "it is not among those that did badly"
    (line,) = re.findall(r'<tr data-case="t3".*?</tr>', text)
    assert "<td>unlike the training scans</td>" in line
    assert line.count("Dice of tumour 1.000; unlike the training scans") == 1, "the viewer says so too"
    assert text.count("unlike the training scans") == 2
