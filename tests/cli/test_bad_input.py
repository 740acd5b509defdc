"""What people get wrong, each with its exit code and the one line they read."""

from __future__ import annotations

import json
import re
import resource
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.cli.tiny_data import AFFINE, QUICK, make_data, medseg, save, scan

IMAGES, LABELS = "data/images/case_0.nii.gz", "data/labels/case_0.nii.gz"
SHIFT = np.zeros((4, 4))
SHIFT[0, 3] = 3.0


def no_mask(folder: Path) -> None:
    (folder / LABELS).unlink()


def other_shape(folder: Path) -> None:
    save(folder / LABELS, scan(0)[1][:-1])


def other_affine(folder: Path) -> None:
    save(folder / LABELS, scan(0)[1], AFFINE + SHIFT)


def strange_label(folder: Path) -> None:
    mask = scan(0)[1]
    mask[0, 0, 0] = 7
    save(folder / LABELS, mask)


def float_mask(folder: Path) -> None:
    save(folder / LABELS, scan(0)[1].astype(np.float32) * 0.5)


def nan_voxel(folder: Path) -> None:
    image = scan(0)[0]
    image[3, 3, 3] = np.nan
    save(folder / IMAGES, image)


def truncated(folder: Path) -> None:
    whole = (folder / IMAGES).read_bytes()
    (folder / IMAGES).write_bytes(whole[: len(whole) // 2])


BAD_CASES: list[tuple[Callable[[Path], None], str]] = [
    (no_mask, "mask"),
    (other_shape, "shape"),
    (other_affine, "affine|place|grid"),
    (strange_label, "7"),
    (float_mask, "whole numbers|integer"),
    (nan_voxel, "finite"),
    (truncated, "gzip|whole|cut|end"),
]


@pytest.mark.parametrize(("spoil", "words"), BAD_CASES, ids=[spoil.__name__ for spoil, _ in BAD_CASES])
def test_a_bad_case_is_named_with_its_reason_and_the_others_go_on(
    tmp_path: Path, spoil: Callable[[Path], None], words: str
) -> None:
    make_data(tmp_path)
    spoil(tmp_path)
    code, _, errors = medseg(tmp_path, "prepare", *QUICK)
    assert code == 1
    lines = [line for line in errors.splitlines() if line.startswith("error:")]
    assert len(lines) == 1
    assert "case_0" in lines[0]
    assert re.search(words, lines[0]), lines[0]
    assert "; " in lines[0], "a remedy is given"
    provenance = json.loads((tmp_path / "runs" / "tiny" / "provenance.json").read_text())
    assert list(provenance["refused"]) == ["case_0"]
    prepared = [
        task
        for task in json.loads((tmp_path / "runs" / "tiny" / "stages.json").read_text())["tasks"]
        if task["stage"] == "prepare"
    ]
    assert sorted(task["case"] for task in prepared) == [f"case_{number}" for number in range(1, 8)]


TOO_LARGE = "error: patches.size: a patch must fit in the largest training case "


@pytest.mark.parametrize(("data", "extra", "code", "message"), [
    ({"scans": 2, "healthy": 0}, (), 1, "error: split: this split needs at least 3 subjects, one in each part, got 2 "),
    ({"scans": 8, "healthy": 8}, (), 1,
     "error: training set: at least one training scan holds the region 'tumour', got "),
    ({}, ("network=unet2d", "patches.size=[64,64]"), 2,
     TOO_LARGE + "[16, 14], got [64, 64]; lower patches.size, or "),
    ({}, ("patches.size=[64,16,16]",), 2, TOO_LARGE + "[16, 14, 12], "),
    ({}, ("data.tumour=lesion",), 2, "error: data.tumour: the tumour is one of the regions ['tumour'], got lesion; "),
    ({}, ("split.held_out=1.5",), 2, "error: split.held_out: a share is at least 0 and below 1, got 1.5; "),
    ({}, ("machine.store=data/images/case_1.nii.gz/x",), 2, "error: machine.store: the store must be writable, got "),
    ({}, ("prepare.normalise={CT: ct}",), 2, "error: prepare.normalise."),
])  # fmt: skip
def test_a_wrong_whole_ends_with_one_line(
    tmp_path: Path, data: dict[str, int], extra: tuple[str, ...], code: int, message: str
) -> None:
    make_data(tmp_path, **data)
    found, output, errors = medseg(tmp_path, "prepare", *QUICK, *extra)
    lines = [line for line in errors.splitlines() if line.startswith("error:")]
    assert (found, len(lines)) == (code, 1), errors
    assert lines[0].startswith(message), lines[0]
    assert "Traceback" not in errors
    assert output == ""


def test_a_small_2d_patch_may_be_padded_when_asked(tmp_path: Path) -> None:
    make_data(tmp_path)
    code, _, errors = medseg(
        tmp_path, "train", *QUICK, "network=unet2d", "patches.size=[24,24]", "patches.padding=true", "patches.batch=2"
    )
    assert code == 0, errors


def test_a_full_disk_is_one_line_and_the_same_command_goes_on(tmp_path: Path) -> None:
    make_data(tmp_path)

    def nearly_full() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))

    code, _, errors = medseg(tmp_path, "prepare", *QUICK, preexec_fn=nearly_full)
    lines = [line for line in errors.splitlines() if line.startswith("error:")]
    assert code == 1
    assert lines, errors
    assert all("free some space" in line or "room" in line for line in lines), lines
    assert "Traceback" not in errors
    code, _, errors = medseg(tmp_path, "prepare", *QUICK)
    assert code == 0, errors
