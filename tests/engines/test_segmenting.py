"""One prepared scan, segmented: places are kept, and what touches labels and what does not."""

from __future__ import annotations

import logging
from threading import Thread
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage
from scipy.spatial.transform import Rotation
from torch import Tensor

from medseg.engines.inference.frame import Room
from medseg.engines.inference.maps import Wanted
from medseg.engines.inference.segmenting import Segmented, segment_prepared
from medseg.engines.inference.settings import InferenceSettings
from medseg.engines.packages.package import Card
from medseg.files.records import SchemeRecord
from medseg.ops.body import BodySettings
from medseg.ops.calibration import Calibration
from medseg.ops.forecast import DiceForecast
from medseg.ops.orientation import to_canonical
from medseg.ops.placement import restore_mask, stored_grid
from medseg.ops.postprocessing import Postprocessing
from medseg.ops.preparing import PrepareSettings, prepare_case
from medseg.values.error import Refusal
from medseg.values.plan import Architecture, Plan
from medseg.values.volume import FloatArray, Volume
from tests.engines.slabs import placed
from tests.packages import card, preparation

LANDMARK_MM = np.array([3.0, -4.0, 6.0])
ROOM = Room(torch.device("cpu"), 100_000_000)
LARGEST = Postprocessing(keep_largest=("tumour",))


def brightness(level: float) -> Any:
    """Make a network whose foreground is what is brighter than `level`."""

    def forward(windows: Tensor) -> Tensor:
        return torch.cat((level - windows, windows - level), 1)

    return forward


def made(plane: int | None = None, **others: Any) -> Card:
    patch = tuple(1 if axis == plane else 12 for axis in range(3))
    axes = 3 if plane is None else 2
    architecture = Architecture(
        dimensions=axes, channels=1, outputs=2, features=(4,), strides=((1,) * axes,), kernels=((3,) * axes,)
    )
    plan = Plan.model_validate(
        {"spacing_mm": (1.3, 1.3, 1.3), "patch": patch, "batch": 1, "plane": plane, "architecture": architecture}
    )
    return card(plan, **others)


def scan(order: tuple[int, ...], signs: tuple[int, ...], shape: tuple[int, int, int]) -> Volume:
    """Make an oblique scan in any axis order: a ball of tissue around the origin with one bright landmark."""
    turn = np.zeros((3, 3))
    for world, (stored, sign) in enumerate(zip(order, signs, strict=True)):
        turn[world, stored] = sign
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", (12, -6, 12), degrees=True).as_matrix() @ turn * (1.0, 1.2, 2.0)
    affine[:3, 3] = -affine[:3, :3] @ (np.array(shape) - 1) / 2 + (1.0, 2.0, -1.5)
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    world = index @ affine[:3, :3].T + affine[:3, 3]
    ball = 100.0 * ((world**2).sum(axis=-1) < 15**2)
    landmark = 900 * np.exp(-((world - LANDMARK_MM) ** 2).sum(axis=-1) / (2 * 2.0**2))
    return Volume((ball + landmark * (landmark > 1)).astype(np.float32)[None], affine)


@pytest.mark.parametrize("plane", [None, 1])
@pytest.mark.parametrize(
    ("order", "signs"), [((0, 1, 2), (1, 1, 1)), ((2, 0, 1), (-1, 1, -1)), ((1, 2, 0), (1, -1, 1))]
)
def test_a_landmark_comes_back_within_half_a_voxel(
    order: tuple[int, ...], signs: tuple[int, ...], plane: int | None
) -> None:
    stored = scan(order, signs, (44, 40, 26))
    how = PrepareSettings(body=BodySettings(kind="nonzero"))
    wanted = preparation("T1", spacing_mm=(1.3, 1.3, 1.3))
    prepared = prepare_case(to_canonical(stored), None, stored_grid(stored), wanted, how)
    level = float(prepared.image.max()) / 2
    found = segment_prepared(
        [brightness(level)], made(plane), prepared.image, prepared.placement, InferenceSettings(), ROOM
    )
    mask = restore_mask(found.classes, prepared.placement)
    assert mask.shape == stored.shape
    assert np.array_equal(mask.affine, stored.affine)
    centre = np.array(ndimage.center_of_mass(mask.voxels[0]))
    landmark = np.linalg.inv(stored.affine) @ (*LANDMARK_MM, 1)
    assert np.abs(centre - landmark[:3]).max() < 0.5
    assert found.confidence.margin is not None
    assert found.confidence.margin > 0.1


def dots() -> FloatArray:
    """Make an image with one bright block of 27 voxels and one of a single voxel."""
    image = np.random.default_rng(0).normal(-2, 0.3, (1, 14, 15, 16)).astype(np.float32)
    image[0, 3:6, 3:6, 3:6] += 4
    image[0, 10, 10, 10] += 4
    return image


def segmented(made_card: Card, wanted: Wanted | None = None, **settings: Any) -> Segmented:
    chosen = InferenceSettings.model_validate(settings)
    placement = placed((14, 15, 16), (14, 15, 16))
    return segment_prepared([brightness(0.0)], made_card, dots(), placement, chosen, ROOM, wanted or Wanted())


def test_post_processing_is_the_cards_the_settings_or_none() -> None:
    plain, helped = made(), made(postprocessing=LARGEST)
    assert segmented(plain).classes.sum() == 28
    assert segmented(helped).classes.sum() == 27
    assert segmented(helped, postprocess="none").classes.sum() == 28
    assert segmented(plain, postprocess=LARGEST).classes.sum() == 27
    assert segmented(plain).confidence == segmented(helped).confidence


def test_the_temperature_touches_maps_alone() -> None:
    everything = Wanted(probabilities=True, uncertainty=True)
    fitted = Calibration(temperature=3.0, ece_before=0.1, ece_after=0.05, cases=2, voxels=9)
    plain, softened = segmented(made(), everything), segmented(made(calibration=fitted), everything)
    np.testing.assert_array_equal(plain.classes, softened.classes)
    assert plain.confidence == softened.confidence
    assert plain.probabilities is not None
    assert softened.probabilities is not None
    assert plain.uncertainty is not None
    assert softened.uncertainty is not None
    assert softened.probabilities.max() < plain.probabilities.max()
    assert (softened.uncertainty >= plain.uncertainty).all()
    np.testing.assert_array_equal(softened.probabilities.argmax(0), plain.classes)


def test_the_forecast_of_the_card_is_told() -> None:
    assert segmented(made()).confidence.forecast_dice is None
    line = DiceForecast(offset=0.1, weights={"margin": 0.5}, error=0.02, cases=9)
    found = segmented(made(forecast=line)).confidence
    assert found.margin is not None
    assert found.forecast_dice == pytest.approx(0.1 + 0.5 * found.margin)


def test_members_and_mirrors_are_told_apart_from_one() -> None:
    assert segmented(made(mirror_axes=(0, 1, 2))).confidence.agreement is None
    mirrored = segmented(made(mirror_axes=(0, 1, 2)), mirror=True).confidence
    assert mirrored.agreement == pytest.approx(1, abs=1e-5)


def test_regions_become_labels_by_their_order() -> None:
    scheme = SchemeRecord(labels={"core": 3, "oedema": 7}, regions={"whole": (3, 7), "core": (3,)}, tumour="whole")
    found = segmented(made(scheme=scheme, activation="sigmoid"))
    # Logits of the two outputs are opposite: dark voxels lie in `whole` alone, bright ones in `core` alone.
    assert set(np.unique(found.classes)) == {1, 2}
    assert (found.classes == 1).sum() == 28


def test_what_was_done_in_another_way_is_noted() -> None:
    def slow(windows: Tensor) -> Tensor:
        logging.getLogger("medseg.engines.packages").warning("only %d cores", 2)
        elsewhere = Thread(target=logging.getLogger("medseg.files").warning, args=("of another scan",))
        elsewhere.start()
        elsewhere.join()
        answer: Tensor = brightness(0.0)(windows)
        return answer

    placement = placed((14, 15, 16), (14, 15, 16))
    found = segment_prepared([slow], made(), dots(), placement, InferenceSettings(), ROOM)
    assert found.notes == ("only 2 cores",)
    assert segmented(made()).notes == ()


def test_an_image_of_other_channels_is_refused() -> None:
    placement = placed((4, 4, 4), (4, 4, 4))
    with pytest.raises(Refusal, match=r"image: the model reads 1 channels \('channel0',\), got 2; give the channels"):
        segment_prepared(
            [brightness(0.0)], made(), np.zeros((2, 4, 4, 4), np.float32), placement, InferenceSettings(), ROOM
        )
