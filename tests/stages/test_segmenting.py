"""One new scan through a model: what is read, what is refused, and the same answers from Python."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import medseg
from medseg.files.layouts.values import ChannelFile, FoundCase
from medseg.ops.guard import Signature, familiar_of, signature_of
from medseg.ops.orientation import orientation_of, to_canonical
from medseg.ops.preparing import crop_to_body
from medseg.stages.segmenting.models import read_model
from medseg.stages.segmenting.reading import Expected, take_scan
from medseg.stages.segmenting.segmenter import Segmenter
from medseg.values.error import Refusal
from medseg.values.machine import Machine
from medseg.values.volume import Volume
from tests.cli.segment_data import AFFINE, SHAPE, labels, listed, make_model, make_scans, save, segment, voxels

TWO = Expected(("T1", "T2"))


def case(**files: str) -> FoundCase:
    return FoundCase("p1", "p1", {name: ChannelFile(Path(path)) for name, path in files.items()}, None)


def refused(folder: Path, one: FoundCase, expected: Expected) -> str:
    with pytest.raises(Refusal) as caught:
        take_scan(one, folder, expected)
    assert caught.value.exit_code == 1
    return str(caught.value)


def test_channels_come_in_the_order_of_the_model_on_the_grid_of_its_first(tmp_path: Path) -> None:
    t1, t2 = voxels(1), voxels(2)
    save(tmp_path / "t1.nii.gz", t1, AFFINE @ np.diag([-1, 1, 1, 1]))
    save(tmp_path / "t2.nii.gz", np.ascontiguousarray(t2[::-1]), AFFINE)
    taken = take_scan(case(T2="t2.nii.gz", T1="t1.nii.gz"), tmp_path, TWO)
    assert taken.missing == ()
    assert taken.stored.shape == SHAPE
    assert np.array_equal(taken.stored.affine, AFFINE @ np.diag([-1, 1, 1, 1]))
    canonical = to_canonical(Volume(t1[None], AFFINE @ np.diag([-1.0, 1, 1, 1])))
    assert np.array_equal(taken.image.affine, canonical.affine)
    assert np.array_equal(taken.image.voxels[0], canonical.voxels[0])


def test_a_lacking_channel_is_refused_unless_the_model_can_do_without(tmp_path: Path) -> None:
    save(tmp_path / "t2.nii.gz", voxels(2))
    message = refused(tmp_path, case(T2="t2.nii.gz", other="t2.nii.gz"), TWO)
    assert message.startswith("p1: has a file for each channel of the model: T1, T2, got none for T1, but other; ")
    assert message.endswith("data.channels='{T1: PATTERN}'")
    message = refused(tmp_path, case(p1_0000="imagesTs/p1_0000.nii.gz", p2_0000="imagesTs/p2_0000.nii.gz"), TWO)
    assert message.endswith("if the scans in imagesTs are several cases, name that folder as images")
    taken = take_scan(case(T2="t2.nii.gz"), tmp_path, replace(TWO, may_lack=True))
    assert taken.missing == (0,)
    assert not taken.image.voxels[0].any()
    assert np.array_equal(taken.image.voxels[1], voxels(2))
    assert taken.notes == ("there is no channel T1: it is 0 everywhere",)
    assert "none for T1, T2" in refused(tmp_path, case(), replace(TWO, may_lack=True))


def test_volumes_of_one_file_are_channels_and_other_numbers_of_them_are_refused(tmp_path: Path) -> None:
    both = np.stack([voxels(1), voxels(2)], axis=-1)
    path = save(tmp_path / "both.nii.gz", both).name
    one = FoundCase("p1", "p1", {name: ChannelFile(Path(path), i, 2) for i, name in enumerate(("T1", "T2"))}, None)
    assert np.array_equal(take_scan(one, tmp_path, TWO).image.voxels, both.transpose(3, 0, 1, 2))
    assert "holds 1 volume(s), got 2; " in refused(tmp_path, case(T1=path), Expected(("T1",)))
    save(tmp_path / "both.nii.gz", voxels(1))
    assert "holds the 2 channels of the model as volumes: T1, T2, got 1 volume; " in refused(tmp_path, one, TWO)


def test_channels_that_show_other_space_and_constant_ones_are_refused(tmp_path: Path) -> None:
    far = AFFINE.copy()
    far[0, 3] += 1000
    save(tmp_path / "t1.nii.gz", voxels(1))
    save(tmp_path / "t2.nii.gz", voxels(2), far)
    assert "all channels show the same part of space" in refused(tmp_path, case(T1="t1.nii.gz", T2="t2.nii.gz"), TWO)
    save(tmp_path / "t2.nii.gz", np.full(SHAPE, 7, np.float32))
    assert "voxels differ from each other, got 7 everywhere" in refused(
        tmp_path, case(T1="t1.nii.gz", T2="t2.nii.gz"), TWO
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("package"))


def test_python_gives_the_masks_of_the_command(tmp_path: Path, model: Path) -> None:
    affine = AFFINE @ np.diag([-1.0, 1, 1, 1])
    save(tmp_path / "scans" / "a0.nii.gz", voxels(1), affine)
    words = (f"model={model}", f"images={tmp_path / 'scans'}", f"out={tmp_path / 'out'}", "probabilities=true")
    assert segment(*words, "machine.threads=0")[0] == 0
    opened = medseg.load(model, device="cpu")
    assert opened.labels == {"tumour": 1}
    assert opened.channels == ("channel0",)
    assert opened.outputs == ("background", "tumour")
    volume = Volume(voxels(1)[None], affine)
    mask = opened.segment(volume)
    assert mask.voxels.dtype == np.uint8
    assert np.array_equal(mask.voxels[0], labels(tmp_path / "out" / "a0.nii.gz"))
    assert np.array_equal(mask.affine, affine)
    maps = opened.probabilities(volume)
    assert maps.voxels.dtype == np.float32
    written = labels(tmp_path / "out" / "a0.probabilities.nii.gz").transpose(3, 0, 1, 2)
    assert np.allclose(maps.voxels, written, atol=2e-5), "but for the steps of the file"


def test_python_refuses_other_channels_and_what_is_not_finite(model: Path, tmp_path: Path) -> None:
    opened = medseg.load(str(model), device="cpu")
    with pytest.raises(Refusal, match="has the 1 channels of the model: channel0, got 2 channels"):
        opened.segment(Volume(np.stack([voxels(1), voxels(2)]), AFFINE))
    spoilt = voxels(1)[None]
    spoilt[0, 0, 0, 0] = np.inf
    with pytest.raises(Refusal, match="voxels are finite numbers"):
        opened.probabilities(Volume(spoilt, AFFINE))
    with pytest.raises(Refusal, match=r"volume: is a medseg\.values\.volume\.Volume.*got ndarray; make one with"):
        opened.segment(voxels(1))  # type: ignore[arg-type]
    with pytest.raises(Refusal, match="voxels are real numbers, got complex64"):
        opened.segment(Volume(voxels(1)[None].astype(np.complex64), AFFINE))
    with pytest.raises(Refusal, match="voxels are finite numbers"):
        opened.segment(Volume(voxels(1)[None].astype(np.float64) * 1e300, AFFINE))
    with pytest.raises(Refusal, match="device: is auto, cpu, cuda or cuda:N, got gpu"):
        medseg.load(model, device="gpu")
    with pytest.raises(Refusal, match=r"a folder with card\.json, or of a run that holds model/"):
        medseg.load(tmp_path)
    with pytest.raises(Refusal, match="a model package is needed"):
        medseg.load([])


def test_importing_medseg_imports_no_library() -> None:
    program = "import sys, medseg; sys.exit(sorted({'torch', 'numpy', 'pydantic', 'hydra'} & set(sys.modules)) != [])"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def guarded_model(folder: Path) -> Path:
    """Make a model that has seen scans like those of `voxels`, and knows it."""
    plain = Segmenter(read_model([make_model(folder / "plain")]), Machine(device="cpu"), guarded=False)
    signatures = [signature(plain, number) for number in range(100, 112)]
    return make_model(folder / "guarded", familiar=familiar_of(signatures))


def signature(segmenter: Segmenter, number: int) -> Signature:
    image = Volume(voxels(number)[None], AFFINE)
    body, start, stop = crop_to_body(image, segmenter.model.card.prepare)
    box = tuple(slice(low, high) for low, high in zip(start, stop, strict=True))
    return signature_of(image, body, box, segmenter.model.names, (), orientation_of(AFFINE))


def test_the_guard_warns_of_unlike_scans_and_refuses_them_where_it_is_asked_to(tmp_path: Path) -> None:
    model = guarded_model(tmp_path)
    make_scans(tmp_path / "scans", 2)
    save(tmp_path / "scans" / "large.nii.gz", voxels(3), AFFINE @ np.diag([3.0, 3, 3, 1]))
    words = (f"model={model}", f"images={tmp_path / 'scans'}", f"out={tmp_path / 'out'}")
    code, _, errors = segment(*words)
    assert code == 0, errors
    found = listed(tmp_path / "out")
    assert found["review"][0] == "large"
    assert [one["severity"] for one in found["cases"]["large"]["guard"]].count("warn") >= 1
    assert "warning: 1 of them are unlike the training scans" in errors
    before = (tmp_path / "out" / "a0.nii.gz").stat().st_mtime_ns
    code, _, errors = segment(*words, "guard=refuse")
    assert code == 1
    assert "error: large: " in errors
    assert "guard=warn" in errors
    found = listed(tmp_path / "out")
    assert found["cases"]["large"]["status"] == "refused"
    assert found["cases"]["a0"]["status"] == "done"
    assert not (tmp_path / "out" / "large.nii.gz").exists(), "no mask is left beside the refusal"
    assert (tmp_path / "out" / "a0.nii.gz").stat().st_mtime_ns == before, "what is like the others is not made again"
    code, _, errors = segment(*words, "guard=off")
    assert code == 0, errors
    assert listed(tmp_path / "out")["cases"]["large"]["guard"] == []
