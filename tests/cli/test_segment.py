"""`medseg segment` as people start it: masks of sound scans, reasons of the others, and going on where it stopped."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from medseg.files.segmented import SegmentedScan
from medseg.values.plan import Architecture, Plan
from tests.cli.segment_data import (
    AFFINE,
    CPU,
    SHAPE,
    bytes_of,
    labels,
    listed,
    make_model,
    make_scans,
    save,
    segment,
    voxels,
)

BROKEN = {"a2": "gzip", "a5": "volume", "a8": "finite"}


def break_three(folder: Path) -> None:
    """Cut one of the scans short, give one a second volume and one a NaN."""
    whole = (folder / "a2.nii.gz").read_bytes()
    (folder / "a2.nii.gz").write_bytes(whole[: len(whole) // 2])
    save(folder / "a5.nii.gz", np.stack([voxels(5), voxels(6)], axis=-1))
    image = voxels(8)
    image[3, 3, 3] = np.nan
    save(folder / "a8.nii.gz", image)


def times(out: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in out.glob("a*")}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("package"))


def test_seven_masks_three_reasons_and_nothing_is_done_twice(tmp_path: Path, model: Path) -> None:
    names = make_scans(tmp_path / "scans", 10)
    break_three(tmp_path / "scans")
    words = (f"model={model}", f"images={tmp_path / 'scans'}", f"out={tmp_path / 'out'}")
    code, output, errors = segment(*words)
    out = tmp_path / "out"
    assert code == 1
    assert output == f"{out / 'segment.html'}\n"
    sound = [name for name in names if name not in BROKEN]
    assert sorted(bytes_of(out)) == [f"{name}.nii.gz" for name in sound]
    found = listed(out)
    assert list(found["cases"]) == names
    for name in sound:
        mask = nibabel.load(out / f"{name}.nii.gz")
        assert mask.shape == SHAPE
        assert np.array_equal(mask.affine, AFFINE)
        numbers = np.asarray(mask.dataobj)
        record = SegmentedScan.model_validate_json((out / f"{name}.json").read_text(encoding="utf-8"))
        assert record.labels == {"tumour": 1}
        assert record.volume_ml == {"tumour": pytest.approx(np.count_nonzero(numbers == 1) / 1000)}
        assert record.picture
        assert found["cases"][name]["status"] == "done"
        assert "picture" not in found["cases"][name]
    assert any(labels(out / f"{name}.nii.gz").any() for name in sound), "a model that finds nothing proves nothing"
    told = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert [line.split(": ")[1] for line in told] == list(BROKEN)
    for line, (name, word) in zip(told, BROKEN.items(), strict=True):
        assert word in line
        assert "; " in line, "a remedy is given"
        assert str(tmp_path) not in found["cases"][name]["reason"]
        assert json.loads((out / f"{name}.json").read_text(encoding="utf-8"))["status"] == "failed"
    assert sorted(found["review"][:3]) == list(BROKEN)
    assert sorted(found["review"]) == names
    page = (out / "segment.html").read_text(encoding="utf-8")
    assert all(name in page for name in names)

    before = times(out)
    code, _, errors = segment(*words)
    after = times(out)
    assert code == 1, "what failed is tried again, and fails again"
    assert {name for name in before if before[name] != after[name]} == {f"{name}.json" for name in BROKEN}
    assert "made again" not in errors

    code, _, errors = segment(*words, "inference.overlap=0.25")
    assert "masks are made again, because of inference.overlap 0.5 -> 0.25; the first one is a0" in errors
    assert errors.count("made again") == 1
    changed = times(out)
    assert all(changed[f"{name}.nii.gz"] != before[f"{name}.nii.gz"] for name in sound)


TELLING = """
import logging, sys
from medseg.cli.main import main

class Told(logging.Handler):
    def emit(self, record):
        if record.progress.task == "segment":
            print(int(record.progress.done), flush=True)

logging.getLogger("medseg.progress").addHandler(Told())
sys.exit(main(sys.argv[1:]))
"""


def kill_after(scans: int, *words: str) -> None:
    """Segment in a process of its own and kill it, without any warning, once it tells of so many scans."""
    command = [sys.executable, "-c", TELLING, "segment", *words, *CPU]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= scans:
                process.kill()
                break
    assert process.returncode == -signal.SIGKILL


def test_killed_twice_on_the_way_gives_the_bytes_of_an_undisturbed_run(tmp_path: Path, model: Path) -> None:
    names = make_scans(tmp_path / "scans", 6, (36, 34, 32))
    words = [f"model={model}", f"images={tmp_path / 'scans'}"]
    assert segment(*words, f"out={tmp_path / 'calm'}")[0] == 0
    out = tmp_path / "out"
    for done in (1, 3):
        kill_after(done, *words, f"out={out}")
        assert done <= len(list(out.glob("a*.json"))) < len(names)
        assert all(labels(path).shape == (36, 34, 32) for path in out.glob("a*.nii.gz")), "no half of a mask"
    kept = times(out)
    (out / ".a5.nii.gz.123.456.part").write_bytes(b"half a mask")
    (out / "a5.json.0123456789abcdef.draft").write_bytes(b"half a record")
    code, _, errors = segment(*words, f"out={out}")
    assert code == 0, errors
    assert bytes_of(out) == bytes_of(tmp_path / "calm")
    first = [name for name in kept if name.endswith(".json")]
    assert {name: times(out)[name] for name in first} == {name: kept[name] for name in first}
    assert not [path for path in out.iterdir() if path.name.endswith((".part", ".draft"))]
    assert listed(out)["review"] == listed(tmp_path / "calm")["review"]
    made = [
        {case: one["made_from"] for case, one in listed(place)["cases"].items()} for place in (out, tmp_path / "calm")
    ]
    assert made[0] == made[1]


def test_a_mask_that_was_changed_or_lost_is_made_again(tmp_path: Path, model: Path) -> None:
    make_scans(tmp_path / "scans", 2)
    words = (f"model={model}", f"images={tmp_path / 'scans'}", f"out={tmp_path / 'out'}", "guard=off")
    assert segment(*words)[0] == 0
    out = tmp_path / "out"
    whole = bytes_of(out)
    (out / "a0.nii.gz").write_bytes(whole["a0.nii.gz"][:40])
    (out / "a1.json").unlink()
    assert segment(*words)[0] == 0
    aside = out / "a0.set-aside.nii.gz"
    assert bytes_of(out) == {**whole, aside.name: whole["a0.nii.gz"][:40]}
    aside.unlink()
    save(tmp_path / "scans" / "a0.nii.gz", voxels(7))
    code, _, errors = segment(*words)
    assert code == 0
    assert "made again, because of other scans; the first one is a0" in errors
    assert bytes_of(out)["a1.nii.gz"] == whole["a1.nii.gz"]


def test_a_scan_is_segmented_alike_however_its_axes_are_stored(tmp_path: Path, model: Path) -> None:
    image = voxels(1)
    save(tmp_path / "scans" / "plain.nii.gz", image)
    turned = np.flip(image.transpose(2, 0, 1), axis=(0, 2))
    to_plain = np.zeros((4, 4))  # voxel of the turned scan -> voxel of the plain one
    to_plain[[2, 0, 1, 3], [0, 1, 2, 3]] = -1, 1, -1, 1
    to_plain[[2, 1], 3] = SHAPE[2] - 1, SHAPE[1] - 1
    save(tmp_path / "scans" / "turned.nii.gz", np.ascontiguousarray(turned), AFFINE @ to_plain)
    assert segment(f"model={model}", f"images={tmp_path / 'scans'}", f"out={tmp_path / 'out'}")[0] == 0
    plain, other = (nibabel.load(tmp_path / "out" / f"{name}.nii.gz") for name in ("plain", "turned"))
    assert np.array_equal(other.affine, AFFINE @ to_plain)
    back = np.flip(np.asarray(other.dataobj), axis=(0, 2)).transpose(1, 2, 0)
    assert np.asarray(plain.dataobj).any()
    assert np.array_equal(back, np.asarray(plain.dataobj))


def test_a_file_a_table_and_a_folder_give_the_same_mask(tmp_path: Path, model: Path) -> None:
    make_scans(tmp_path / "scans", 1)
    table = tmp_path / "list.csv"
    table.write_text("case,image\nfirst,scans/a0.nii.gz\n", encoding="utf-8")
    for name, images in (("file", "scans/a0.nii.gz"), ("folder", "scans"), ("table", "list.csv")):
        code, _, errors = segment(f"model={model}", f"images={tmp_path / images}", f"out={tmp_path / name}")
        assert code == 0, errors
    one = (tmp_path / "file" / "a0.nii.gz").read_bytes()
    assert (tmp_path / "folder" / "a0.nii.gz").read_bytes() == one
    assert (tmp_path / "table" / "first.nii.gz").read_bytes() == one


def two_channels(folder: Path, **others: Any) -> Path:
    levels = {"strides": ((1, 1, 1), (2, 2, 2)), "kernels": ((3, 3, 3),) * 2, "features": (4, 8)}
    architecture = Architecture(dimensions=3, channels=2, outputs=2, **levels)
    plan = Plan(
        spacing_mm=(1.0, 1.0, 1.0),
        patch=(8, 8, 8),
        batch=1,
        plane=None,
        architecture=architecture,
        channels=("T1", "T2"),
    )
    return make_model(folder, plan=plan, **others)


def test_channels_go_by_their_names_and_one_may_lack_only_where_the_model_has_learned_that(tmp_path: Path) -> None:
    model = two_channels(tmp_path / "model")
    for name, number in (("p1_0000", 1), ("p1_0001", 2), ("p2_0000", 3)):
        save(tmp_path / "numbered" / f"{name}.nii.gz", voxels(number))
    save(tmp_path / "folders" / "p1" / "p1_t2.nii.gz", voxels(2))
    save(tmp_path / "folders" / "p1" / "p1_t1.nii.gz", voxels(1))
    words = (f"model={model}", f"out={tmp_path / 'out'}")
    code, _, errors = segment(*words, f"images={tmp_path / 'numbered'}")
    assert code == 1
    assert "error: p2: has a file for each channel of the model: T1, T2, got none for T2; " in errors
    assert listed(tmp_path / "out")["cases"]["p1"]["status"] == "done"
    mask = (tmp_path / "out" / "p1.nii.gz").read_bytes()
    assert segment(f"model={model}", f"out={tmp_path / 'again'}", f"images={tmp_path / 'folders'}")[0] == 0
    assert (tmp_path / "again" / "p1.nii.gz").read_bytes() == mask
    able = two_channels(tmp_path / "able", missing_channels=True)
    code, _, errors = segment(f"model={able}", f"out={tmp_path / 'out'}", f"images={tmp_path / 'numbered'}")
    assert code == 0, errors
    assert "because of input model/card.json changed" in errors
    found = listed(tmp_path / "out")["cases"]
    assert found["p2"]["notes"] == ["there is no channel T2: it is 0 everywhere"]
    assert (tmp_path / "out" / "p1.nii.gz").read_bytes() == mask


def test_maps_lie_beside_the_mask_and_the_folds_are_averaged(tmp_path: Path, model: Path) -> None:
    make_scans(tmp_path / "scans", 1)
    other = make_model(tmp_path / "other" / "model")  # the folder of a run
    both = f"model=[{model},{other.parent}]"
    words = (f"images={tmp_path / 'scans'}", "probabilities=true", "uncertainty=true", "inference.postprocess=none")
    assert segment(f"model={model}", *words, f"out={tmp_path / 'one'}")[0] == 0
    assert segment(both, *words, f"out={tmp_path / 'two'}")[0] == 0
    probabilities, twice = (labels(tmp_path / name / "a0.probabilities.nii.gz") for name in ("one", "two"))
    assert probabilities.shape == (*SHAPE, 2)
    assert np.allclose(probabilities.sum(-1), 1, atol=2e-3)
    assert np.allclose(probabilities, twice, atol=2e-3), "the same weights twice"
    mask = labels(tmp_path / "one" / "a0.nii.gz")
    sure = np.abs(probabilities[..., 0] - probabilities[..., 1]) > 0.01
    assert np.array_equal((probabilities[..., 1] > 0.5)[sure], (mask == 1)[sure])
    uncertainty = labels(tmp_path / "one" / "a0.uncertainty.nii.gz")
    assert uncertainty.shape == SHAPE
    assert np.corrcoef(uncertainty.ravel(), np.abs(probabilities[..., 0] - 0.5).ravel())[0, 1] < -0.9
    assert segment(f"model={model}", f"images={tmp_path / 'scans'}", f"out={tmp_path / 'one'}")[0] == 0
    assert sorted(path.name for path in (tmp_path / "one").glob("a0*")) == ["a0.json", "a0.nii.gz"]


def test_another_format_takes_the_place_of_the_first(tmp_path: Path, model: Path) -> None:
    make_scans(tmp_path / "scans", 1)
    words = (f"model={model}", f"images={tmp_path / 'scans'}", f"out={tmp_path / 'out'}")
    assert segment(*words)[0] == 0
    mask = labels(tmp_path / "out" / "a0.nii.gz")
    assert segment(*words, "machine.write=nrrd")[0] == 0
    assert sorted(path.name for path in (tmp_path / "out").glob("a0*")) == ["a0.json", "a0.nrrd"]
    import SimpleITK

    written = SimpleITK.ReadImage(str(tmp_path / "out" / "a0.nrrd"))
    assert np.array_equal(SimpleITK.GetArrayFromImage(written).transpose(2, 1, 0), mask)


WRONG = [
    ([], "error: model: a path is needed, got none; "),
    (["model=M"], "error: images: a path is needed, got none; "),
    (["model=nowhere", "images=scans", "out=out"], "error: model: a folder with card.json, or of a run"),
    (["model=M", "images=nowhere", "out=out"], "error: images: a scan, a folder of scans or a table that exists"),
    (["model=M", "images=empty", "out=out"], "error: images: holds scans, got "),
    (["model=M", "images=scans", "out=/proc/x"], "error: out: the folder of the masks must be writable, got /proc/x"),
    (["model=M", "images=scans", "out=scans"], "error: out: masks go to another folder than the scans"),
    (["model=M", "images=scans/a0.nii.gz", "out=scans"], "error: out: masks go to another folder than the scans"),
    (["model=M", "images=scans", "out=masks"], "error: out: a folder that is new, or that segment has made"),
    (["modle=M", "images=scans", "out=out"], "error: modle: unknown setting, got 'modle'; did you mean 'model'?"),
    (["model=M", "images=scans", "out=out", "gard=off"], "error: gard: unknown setting, got 'gard'; did you mean"),
    (["model=M", "images=scans", "out=out", "inference.overlapp=0.5"], "error: inference.overlapp: unknown setting"),
    (["model=M", "images=scans", "out=out", "inference.overlap=2"], "error: inference.overlap: "),
    (["model=M", "images=scans", "out=out", "machine.tempo=2"], "error: machine.tempo: unknown setting"),
    (["model=M", "images=scans", "out=out", "data.channels={PET: x}"], "error: data.channels.PET: is one of channel0"),
    (["model=M", "images=scans", "out=out", "guard=loud"], "error: guard: "),
    (["model=M", "images=[scans]", "out=out"], "error: images: a text is needed, got [\"scans\"]; a scan, a folder of"),
    (
        ["model=M", "images=scans", "out=out", "inference.postprocess={minimum_mm3: {tumor: 9}}"],
        "error: inference.postprocess.minimum_mm3: names regions of ['tumour'], got tumor; did you mean 'tumour'?",
    ),
    (["model=M", "images=scans", "out=out", "-m"], "error: segment: scans are segmented by the settings"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "message"), WRONG, ids=[" ".join(words) or "nothing" for words, _ in WRONG])
def test_wrong_settings_end_with_2_and_one_line(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    make_scans(tmp_path / "scans", 1)
    make_scans(tmp_path / "masks", 1)
    (tmp_path / "empty").mkdir()
    code, output, errors = segment(*(word.replace("model=M", f"model={model}") for word in words))
    lines = [line for line in errors.splitlines() if line.startswith("error:")]
    assert (code, output, len(lines)) == (2, "", 1), errors
    assert lines[0].startswith(message), lines[0]
    assert "Undefined" not in lines[0]
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").glob("*.nii.gz"))


def test_what_is_not_done_is_said(tmp_path: Path, model: Path) -> None:
    make_scans(tmp_path / "scans", 1)
    make_scans(tmp_path / "scans" / "more", 1)
    words = (f"model={model}", f"images={tmp_path / 'scans'}", f"out={tmp_path / 'out'}", "inference.mirror=true")
    code, _, errors = segment(*words)
    assert code == 0, errors
    assert f"warning: what belongs to no case in {tmp_path / 'scans'} is passed over: more\n" in errors
    assert "warning: the model was trained without mirror images, so inference.mirror=true changes nothing" in errors


def test_one_command_at_a_time_works_in_a_folder(tmp_path: Path, model: Path) -> None:
    make_scans(tmp_path / "scans", 1)
    words = (f"model={model}", f"images={tmp_path / 'scans'}", f"out={tmp_path / 'out'}")
    assert segment(*words)[0] == 0
    with (tmp_path / "out" / ".medseg-segment").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        code, _, errors = segment(*words)
    assert code == 2
    assert "error: out: one command at a time works in a folder" in errors


def test_a_scan_that_is_named_like_the_list_is_refused_alone(tmp_path: Path, model: Path) -> None:
    make_scans(tmp_path / "scans", 1)
    os.rename(tmp_path / "scans" / "a0.nii.gz", tmp_path / "scans" / "segment.nii.gz")
    save(tmp_path / "scans" / "b.nii.gz", voxels(1))
    code, _, errors = segment(f"model={model}", f"images={tmp_path / 'scans'}", f"out={tmp_path / 'out'}")
    assert code == 1
    assert "error: segment: files of a scan have names of their own" in errors
    assert listed(tmp_path / "out")["cases"]["segment"]["status"] == "failed"
    assert (tmp_path / "out" / "b.nii.gz").is_file()
