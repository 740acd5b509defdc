"""The package to start from is named by its folder and known by its content."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from medseg.experiment.start import card_source, package_source
from medseg.values.error import Refusal


def package(folder: Path, card: str = "{}", weights: bytes = b"w") -> Path:
    folder.mkdir(parents=True)
    (folder / "card.json").write_text(card, encoding="utf-8")
    (folder / "weights.safetensors").write_bytes(weights)
    return folder


def test_a_package_or_the_run_that_holds_it_is_found_and_may_move(tmp_path: Path) -> None:
    package(tmp_path / "runs/old/model")
    run, own = tmp_path / "runs/old", tmp_path / "runs/new"
    found = package_source(str(run), own)
    assert found.path == run / "model"
    assert package_source(str(run / "model"), own) == found
    shutil.move(run / "model", tmp_path / "elsewhere")
    assert package_source(str(tmp_path / "elsewhere"), own).digest == found.digest


def test_card_and_weights_both_count(tmp_path: Path) -> None:
    own = tmp_path / "run"
    first = package_source(str(package(tmp_path / "one")), own)
    other_weights = package_source(str(package(tmp_path / "two", weights=b"v")), own)
    other_card = package_source(str(package(tmp_path / "three", card="[]")), own)
    assert len({first.digest, other_weights.digest, other_card.digest}) == 3
    assert card_source(first).digest == card_source(other_weights).digest != card_source(other_card).digest


@pytest.mark.parametrize("missing", ["card.json", "weights.safetensors", "."])
def test_a_folder_without_a_whole_package_is_refused(tmp_path: Path, missing: str) -> None:
    folder = package(tmp_path / "model")
    shutil.rmtree(folder) if missing == "." else (folder / missing).unlink()
    rule = (
        "training.start_from: a folder with card.json and weights.safetensors, or of a run that holds model/, is needed"
        f", got {folder}; check the path"
    )
    with pytest.raises(Refusal, match=f"^{re.escape(rule)}$") as caught:
        package_source(str(folder), tmp_path / "run")
    assert caught.value.exit_code == 2


def test_a_run_does_not_start_from_itself(tmp_path: Path) -> None:
    package(tmp_path / "runs/mine/model")
    rule = (
        r"training\.start_from: a package that this run does not replace is needed, .*; give the new run another name="
    )
    with pytest.raises(Refusal, match=rule):
        package_source(str(tmp_path / "runs/mine"), tmp_path / "runs/mine")
