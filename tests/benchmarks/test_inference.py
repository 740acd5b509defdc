"""The inference benchmark where Hydra, MONAI and peers are missing: what it calls then, and what it measures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from medseg.files.scans import read_mask

ROOT = Path(__file__).resolve().parents[2]


def test_what_lies_under_the_command_segments_as_its_words_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from inference_data import write_model, write_scan
    from inference_own import under_the_command

    write_scan(tmp_path / "images", (18, 17, 16), 2)
    write_model(tmp_path / "model", (4, 8), 16, 2, 3)
    words = [f"{name}={tmp_path / name}" for name in ("model", "images", "out")]
    words += ["inference.mirror=true", "machine.device=cpu", "machine.threads=1"]
    assert under_the_command(words) == 0
    assert read_mask(tmp_path / "out" / "scan.nii.gz").voxels.shape == (1, 18, 17, 16)
    settings = json.loads((tmp_path / "out" / "segment.json").read_text())["settings"]
    assert settings["inference"]["mirror"] is True
