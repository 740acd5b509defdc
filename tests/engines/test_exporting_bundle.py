"""MONAI bundles: its transforms give our numbers, its workflow gives our mask, and cards cannot smuggle code in."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from medseg.engines.exporting.bundle import INFERENCE, METADATA, check_bundle, inference, metadata, write_bundle
from medseg.engines.exporting.bundle_scans import decoding, normalisation, plain_name
from medseg.engines.exporting.making import Exported, make_export
from medseg.engines.inference.decoding import class_regions, decode, paint_order
from medseg.engines.packages.package import Card, load_model
from medseg.files.nifti.writing import write_image
from medseg.files.records import SchemeRecord
from medseg.files.scans import read_image, read_mask
from medseg.ops.body import BodySettings, body_mask
from medseg.ops.intensity import ChannelNormalisation, normalise
from medseg.ops.orientation import from_canonical, orientation_of, to_canonical
from medseg.ops.placement import stored_grid
from medseg.ops.preparing import Preparation, PrepareSettings, prepare_case
from medseg.values.error import Refusal
from medseg.values.machine import Machine
from medseg.values.volume import Volume
from tests.engines.test_exporting import SLICES
from tests.packages import card as card_of
from tests.packages import package, preparation

THREE = SchemeRecord(labels={"core": 1, "rim": 4}, regions={"all": (1, 4), "core": (1,)}, tumour="all")
CT = ChannelNormalisation(kind="ct", low=-1.5, high=2.25, mean=0.125, sd=0.75)
KINDS = [CT, *(ChannelNormalisation(kind=kind) for kind in ("zscore", "percentile", "log_zscore", "none"))]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Exported]:
    """A package whose only label is 7, and its bundle."""
    scheme = SchemeRecord(labels={"x": 7}, regions={"x": (7,)}, tumour="x")
    folder = package(tmp_path_factory.mktemp("package"), 3, scheme=scheme)
    return folder, make_export(folder, "monai", Machine())


def evaluated(expression: str, x: Any) -> Any:
    """Evaluate an expression as MONAI does: with the imports of the configuration."""
    return eval(f"lambda x: {expression}", {"numpy": np, "torch": torch})(x)  # noqa: S307


@pytest.mark.parametrize("body", ["all", "nonzero"])
def test_the_expression_normalises_as_training_did(body: Any) -> None:
    settings = PrepareSettings(body=BodySettings(kind=body))
    names = [how.kind for how in KINDS]
    prepared = Preparation(spacing_mm=(1.0, 1.0, 1.0), normalisations=dict(zip(names, KINDS, strict=True)))
    card = card_of(SLICES, prepare=settings, preparation=prepared)
    image = np.random.default_rng(0).normal(size=(5, 6, 7, 8)).astype(np.float32)
    image[:, :3] = 0
    found = evaluated(normalisation(card), torch.from_numpy(image))
    wanted = normalise(image, body_mask(image, settings.body), KINDS)
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-6, atol=1e-6)
    assert found.dtype == torch.float32


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_the_expression_decodes_as_inference_does(activation: Any) -> None:
    card = card_of(SLICES, scheme=THREE, activation=activation)
    scores = torch.rand(3 if activation == "softmax" else 2, 5, 6, 7, generator=torch.Generator().manual_seed(1))
    scheme = THREE.scheme
    order = paint_order(class_regions(scheme)) if activation == "sigmoid" else ()
    wanted = scheme.to_labels(decode(scores.numpy(), activation, order))
    found = evaluated(decoding(card), scores)
    assert set(np.unique(wanted)) == {0, 1, 4}
    np.testing.assert_array_equal(found.numpy()[0], wanted)


NASTY = ("$__import__('os').system('true')", "@device", "%metadata.json", "a'] + [open('x')", "T1 post+c")


def texts(tree: Any) -> list[str]:
    if isinstance(tree, dict):
        return [text for name, value in tree.items() for text in (name, *texts(value))]
    return [text for value in tree for text in texts(value)] if isinstance(tree, list) else [str(tree)]


def test_names_of_a_card_are_never_evaluated(made: tuple[Path, Exported]) -> None:
    scheme = SchemeRecord(labels={NASTY[0]: 1, NASTY[1]: 2}, regions={NASTY[2]: (1,)}, tumour=NASTY[2])
    card = card_of(SLICES, channel_names=NASTY[:2], scheme=scheme)
    plain = card_of(SLICES, scheme=SchemeRecord(labels={"a": 1, "b": 2}, regions={"c": (1,)}, tumour="c"))
    assert plain_name(NASTY[0]) == "___import____os__.system__true__"
    assert [plain_name(name) for name in NASTY[1:]] == ["_device", "_metadata.json", "a__ + _open__x__", "T1 post+c"]
    code = {text for text in texts(inference(plain)) if text[:1] in "$@%"}
    assert {text for text in texts(inference(card)) if text[:1] in "$@%"} == code
    strange = made[1].card.model_copy(update={"channel_names": NASTY[:1], "scheme": scheme})
    kept = metadata(Exported(b"", made[1].record, strange))
    assert not [text for text in texts(kept) if text[:1] in "$@%"]


def test_what_monai_cannot_prepare_and_foreign_folders_are_refused(tmp_path: Path) -> None:
    for settings, told in (
        (PrepareSettings(n4=True), "prepare.n4=true"),
        (PrepareSettings(body=BodySettings(kind="otsu")), "prepare.body.kind=otsu"),
    ):
        with pytest.raises(Refusal, match=f"can prepare scans as training did, got {told}; take format=torch"):
            check_bundle(tmp_path / "new", card_of(SLICES, prepare=settings))
    (tmp_path / "file").touch()
    for place, told in ((tmp_path, "a new folder or an older bundle"), (tmp_path / "file", "Not a directory")):
        with pytest.raises(Refusal, match=told) as caught:
            check_bundle(place, card_of(SLICES))
        assert caught.value.exit_code == 2


def oblique(folder: Path, name: str, seed: int) -> Path:
    """Write a small scan whose axes are neither in the order nor in the direction of RAS+."""
    voxels = np.random.default_rng(seed).normal(100, 20, (1, 7, 8, 6)).astype(np.float32)
    affine = np.array([[0, 0, -1.0, 9], [1.0, 0, 0, -4], [0, -1.0, 0, 3], [0, 0, 0, 1]])
    folder.mkdir(parents=True, exist_ok=True)
    write_image(folder / name, Volume(voxels, affine))
    return folder / name


def mask_of(scans: list[Path], package_folder: Path, card: Card) -> np.ndarray[Any, Any]:
    """Segment a scan that fits into one window, by hand."""
    network, _ = load_model(package_folder)
    volumes = [read_image(path) for path in scans]
    image = to_canonical(Volume(np.concatenate([volume.voxels for volume in volumes]), volumes[0].affine)).voxels
    hows = list(card.preparation.normalisations.values())
    normal = torch.from_numpy(normalise(image, np.ones(image.shape[1:], np.bool_), hows))
    margins = [max(0, size - length) // 2 for size, length in zip(card.plan.patch, normal.shape[1:], strict=True)]
    inside = tuple(slice(m, m + n) for m, n in zip(margins, normal.shape[1:], strict=True))
    padded = torch.zeros(card.channels, *map(max, card.plan.patch, normal.shape[1:]))
    padded[(slice(None), *inside)] = normal
    if card.plan.plane is None:
        logits = network(padded[None])[0]
    else:
        slices = [network(one[None])[0] for one in padded.unbind(card.plan.plane + 1)]
        logits = torch.stack(slices, card.plan.plane + 1)
    classes = logits[(slice(None), *inside)].argmax(0).numpy()
    labels = card.scheme.scheme.to_labels(classes)
    return from_canonical(labels, orientation_of(volumes[0].affine))


def run_with_monai(folder: Path, exported: Exported) -> None:
    """Write a bundle of `exported` into `folder` and run it on what lies in scans/."""
    pytest.importorskip("ignite", reason="MONAI's evaluators need pytorch-ignite")
    from monai.bundle import run

    bundle = folder / "bundle"
    write_bundle(bundle, exported)
    places = {"bundle_root": bundle, "dataset_dir": folder / "scans", "output_dir": folder / "masks"}
    run(
        config_file=str(bundle / INFERENCE),
        meta_file=str(bundle / METADATA),
        **{name: str(place) for name, place in places.items()},
    )


def test_monai_runs_a_bundle_and_gives_our_mask(made: tuple[Path, Exported], tmp_path: Path) -> None:
    scan = oblique(tmp_path / "scans", "case.nii.gz", 0)
    run_with_monai(tmp_path, made[1])
    found = read_mask(tmp_path / "masks" / "case_seg.nii.gz")
    wanted = mask_of([scan], made[0], made[1].card)
    assert 0.05 < float((wanted == 7).mean()) < 0.95
    np.testing.assert_array_equal(found.voxels[0], wanted)
    np.testing.assert_allclose(found.affine, read_image(scan).affine, atol=1e-6)


def test_monai_runs_a_bundle_of_slices_and_several_channels(tmp_path: Path) -> None:
    plan = SLICES.model_copy(update={"patch": (8, 1, 8)})
    folder = package(tmp_path / "package", 6, plan=plan, scheme=THREE, channel_names=("T1", "T2 fat"))
    scans = [oblique(tmp_path / "scans" / "case", f"{name}.nii.gz", seed) for seed, name in enumerate(("T1", "T2 fat"))]
    made = make_export(folder, "monai", Machine())
    run_with_monai(tmp_path, made)
    found = read_mask(tmp_path / "masks" / "case" / "T1_seg.nii.gz")
    wanted = mask_of(scans, folder, made.card)
    assert len(np.unique(wanted)) > 1
    np.testing.assert_array_equal(found.voxels[0], wanted)


@pytest.mark.parametrize(("edge", "apart"), [(1.0, 1e-5), (1.5, 0.02)])
def test_monai_prepares_scans_as_we_do_but_for_the_splines(tmp_path: Path, edge: float, apart: float) -> None:
    from monai.bundle import ConfigParser

    settings = PrepareSettings(body=BodySettings(kind="nonzero"))
    card = card_of(SLICES, channels=1, prepare=settings, preparation=preparation("T1"))
    axes = np.meshgrid(*(np.linspace(-1, 1, size) for size in (21, 24, 18)), indexing="ij")
    blob = np.maximum(np.exp(-3 * sum(axis**2 for axis in axes)) - 0.3, 0).astype(np.float32)[None]
    affine = np.diag([-edge, -edge, edge, 1.0])
    write_image(tmp_path / "scan.nii.gz", Volume(blob, affine))
    volume = read_image(tmp_path / "scan.nii.gz")
    wanted = prepare_case(to_canonical(volume), None, stored_grid(volume), card.preparation, settings).image
    parser = ConfigParser({"imports": ["$import torch"], "preprocessing": inference(card)["preprocessing"]})
    parser.get_parsed_content("imports")
    found = parser.get_parsed_content("preprocessing")({"image": str(tmp_path / "scan.nii.gz")})["image"].numpy()
    assert found.shape == wanted.shape != blob.shape
    assert float(np.abs(found - wanted).mean()) <= apart
    assert float(wanted.max() - wanted.min()) > 3


def test_a_bundle_is_written_again_over_itself_with_the_same_bytes(made: tuple[Path, Exported], tmp_path: Path) -> None:
    write_bundle(tmp_path / "bundle", made[1])
    check_bundle(tmp_path / "bundle", made[1].card)
    before = {path.name: path.read_bytes() for path in (tmp_path / "bundle").rglob("*") if path.is_file()}
    write_bundle(tmp_path / "bundle", made[1])
    assert {path.name: path.read_bytes() for path in (tmp_path / "bundle").rglob("*") if path.is_file()} == before
    assert set(before) == {"model.pt2", "export.json", "inference.json", "metadata.json"}
    told = json.loads(before["metadata.json"])
    assert told["network_data_format"]["outputs"]["pred"]["channel_def"] == {"0": "background", "1": "x"}
    assert math.prod(told["network_data_format"]["inputs"]["image"]["spatial_shape"]) == 512
