"""Phantoms are repeatable heads, and no threshold finds their tumours."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import nibabel as nib
import numpy as np
import pytest
from nibabel.affines import apply_affine
from pydantic import ValidationError
from scipy import ndimage

from medseg.ops.phantom import LABELS, PhantomSettings, is_healthy, make_phantom, threshold_baseline
from medseg.ops.phantom_anatomy import Grid, draw_head, paint_head
from medseg.ops.phantom_lesions import paint_distractors
from medseg.ops.phantom_threshold import Scale
from medseg.values.error import Refusal
from medseg.values.streams import stream
from medseg.values.volume import Array, BoolArray, FloatArray, Volume

Phantom = tuple[Volume, Volume]
SETTINGS = PhantomSettings()
SCALES: tuple[Scale, ...] = ("zscore", "percentile")
SUBJECTS = range(1, 19)


@pytest.fixture(scope="module")
def phantoms() -> dict[int, Phantom]:
    """Half of the default set."""
    with ThreadPoolExecutor(2) as executor:
        return dict(zip(SUBJECTS, executor.map(lambda subject: make_phantom(SETTINGS, subject), SUBJECTS), strict=True))


def head_of(image: Volume) -> BoolArray:
    """Find the head as a user would: all that is well above the air, without holes."""
    flair = ndimage.gaussian_filter(image.voxels[0], 1)
    filled: BoolArray = ndimage.binary_fill_holes(flair > 0.15 * np.percentile(flair, 99))
    return filled


def brain_of(image: Volume) -> BoolArray:
    """Peel scalp and skull off the head."""
    peeled: BoolArray = ndimage.binary_erosion(head_of(image), iterations=6)
    return peeled


def same(one: Phantom, other: Phantom) -> bool:
    """Tell whether image, mask and affines agree to the last bit."""
    return all(
        a.voxels.tobytes() == b.voxels.tobytes() and a.affine.tobytes() == b.affine.tobytes()
        for a, b in zip(one, other, strict=True)
    )


def test_subject_depends_only_on_seed_and_number(phantoms: dict[int, Phantom]) -> None:
    assert same(make_phantom(SETTINGS, 7), phantoms[7])
    assert same(make_phantom(PhantomSettings(subjects=7), 7), phantoms[7])
    assert not same(make_phantom(PhantomSettings(seed=1), 7), phantoms[7])
    assert not same(phantoms[8], phantoms[7])


def test_types_shapes_and_whole_numbers(phantoms: dict[int, Phantom]) -> None:
    for image, mask in phantoms.values():
        assert image.voxels.dtype == np.float32
        assert image.voxels.shape[0] == 2
        assert mask.voxels.dtype == np.uint8
        assert mask.voxels.shape == (1, *image.shape)
        assert np.array_equal(mask.affine, image.affine)
        assert np.array_equal(image.voxels, image.voxels.astype(np.int16))
        assert all(52 <= size <= 72 for size in image.shape)
        assert all(2.6 - 1e-6 <= edge <= 3.4 + 1e-6 for edge in image.spacing_mm)


def test_default_set_has_twelve_healthy_of_thirty_six(phantoms: dict[int, Phantom]) -> None:
    assert sum(is_healthy(SETTINGS, subject) for subject in range(1, 37)) == 12
    for subject, (_, mask) in phantoms.items():
        expected = {0} if is_healthy(SETTINGS, subject) else {0, *LABELS.values()}
        assert set(np.unique(mask.voxels).tolist()) == expected


@pytest.mark.parametrize(("share", "subjects", "healthy"), [(0.0, 20, 0), (1.0, 20, 20), (0.5, 20, 10), (0.25, 36, 9)])
def test_healthy_share_is_exact(share: float, subjects: int, healthy: int) -> None:
    settings = PhantomSettings(healthy_share=share, subjects=subjects)
    assert sum(is_healthy(settings, subject) for subject in range(1, subjects + 1)) == healthy


def test_tumours_are_one_to_three_solid_pieces(phantoms: dict[int, Phantom]) -> None:
    sizes: list[int] = []
    for subject, (_, mask) in phantoms.items():
        parts, count = ndimage.label(mask.voxels[0])
        assert count <= (0 if is_healthy(SETTINGS, subject) else 3)
        sizes += np.bincount(parts.ravel())[1:].tolist()
    assert min(sizes) >= 60
    assert np.mean(np.asarray(sizes) >= 150) > 0.8


def test_tumours_lie_in_the_brain_and_cores_in_oedema(phantoms: dict[int, Phantom]) -> None:
    for image, mask in phantoms.values():
        labels = mask.voxels[0]
        inside = ndimage.binary_erosion(head_of(image), iterations=2)
        assert (inside | (labels == 0)).all()
        around_core = ndimage.binary_dilation(labels == LABELS["core"]) & (labels != LABELS["core"])
        assert not around_core.any() or (labels[around_core] == LABELS["oedema"]).mean() > 0.5


def test_head_keeps_its_place_in_the_world_in_any_orientation(phantoms: dict[int, Phantom]) -> None:
    orientations = set()
    for image, _ in phantoms.values():
        orientations.add("".join(nib.aff2axcodes(image.affine)))
        head = np.argwhere(head_of(image))
        world = apply_affine(image.affine, head)
        assert np.linalg.norm(world.mean(0)) < 25
        right, forward, up = np.ptp(world, axis=0)
        assert 120 < right < 190
        assert 140 < forward < 205
        assert 115 < up < 190
    assert len(orientations) >= 6


def test_tilt_is_the_head_s_or_the_affine_s() -> None:
    def tilt(share: float) -> float:
        affine = make_phantom(PhantomSettings(oblique_share=share), 2)[0].affine[:3, :3]
        return float(np.sort(np.abs(affine / np.linalg.norm(affine, axis=0)), axis=0)[1].max())

    assert tilt(0.0) == 0
    assert tilt(1.0) > 0.02


def test_storage_orientation_moves_no_voxel_in_the_world(phantoms: dict[int, Phantom]) -> None:
    for image, _ in list(phantoms.values())[:6]:
        placed = nib.as_closest_canonical(nib.Nifti1Image(image.voxels[0], image.affine))
        assert nib.aff2axcodes(placed.affine) == ("R", "A", "S")
        centre = apply_affine(placed.affine, (np.asarray(placed.shape) - 1) / 2)
        assert np.abs(centre).max() < SETTINGS.shift_mm * 2


def test_lesions_are_bright_in_flair_and_dark_in_t1(phantoms: dict[int, Phantom]) -> None:
    for image, mask in phantoms.values():
        labels = mask.voxels[0]
        if not labels.any():
            continue
        flair, t1 = image.voxels
        brain = brain_of(image) & (labels == 0)
        assert np.median(flair[labels == LABELS["oedema"]]) > 1.2 * np.median(flair[brain])
        assert np.median(t1[labels == LABELS["oedema"]]) < 0.9 * np.median(t1[brain])
        assert np.median(t1[labels == LABELS["core"]]) < np.median(t1[labels == LABELS["oedema"]])


def test_healthy_brains_hold_spots_as_bright_as_oedema_but_not_dark_in_t1(phantoms: dict[int, Phantom]) -> None:
    for subject, (image, _) in phantoms.items():
        if not is_healthy(SETTINGS, subject):
            continue
        flair, t1 = image.voxels
        brain = brain_of(image)
        bright = brain & (flair > 1.4 * np.median(flair[brain]))
        assert bright.sum() > 100
        assert np.median(t1[bright]) > 0.8 * np.median(t1[brain])


def test_distractors_change_what_they_report_and_leave_t1_alone_or_lit() -> None:
    points = (np.indices((50, 60, 50), np.float32) - np.float32(27.0)) * np.float32(3.0)
    grid = Grid(points, (3.0, 3.0, 3.0))
    head = draw_head(grid, 1.0, stream(3, "head"))
    before = paint_head(grid, head, stream(3, "tissue"))
    after = before.copy()
    found = paint_distractors(after, grid, head, stream(3, "distractors"))
    assert 100 < found.sum() < 0.1 * (head.cavity < 0).sum()
    flair, t1 = after - before
    assert (flair[found] > 0.1).mean() > 0.95
    assert np.quantile(t1[found], 0.05) > -0.15
    assert not (after - before)[:, head.cavity > grid.voxel_mm].any()
    assert np.abs(flair[~found]).mean() < 0.05 * flair[found].mean()


def cases_of(
    phantoms: dict[int, Phantom], subjects: Sequence[int], brain: bool
) -> list[tuple[Array, BoolArray, BoolArray]]:
    """Lay out the baseline's cases: FLAIR, where to look, where the tumour is."""
    return [
        (image.voxels[0], (brain_of if brain else head_of)(image), mask.voxels[0] > 0)
        for image, mask in (phantoms[subject] for subject in subjects)
    ]


@pytest.mark.parametrize("brain", [False, True])
def test_the_best_threshold_fails_even_when_it_knows_the_truth(phantoms: dict[int, Phantom], brain: bool) -> None:
    cases = cases_of(phantoms, list(SUBJECTS), brain)
    for largest, steps in ((False, 40), (True, 16)):
        for scale in SCALES:
            _, dice = threshold_baseline(cases, cases, scale, largest, steps)
            assert len(dice) == 12
            assert np.mean(dice) < 0.55


def test_the_held_out_cases_get_the_threshold_of_the_training_cases(phantoms: dict[int, Phantom]) -> None:
    train, held_out = cases_of(phantoms, (1, 2, 3, 4), True), cases_of(phantoms, (5, 6, 7), True)
    threshold, dice = threshold_baseline(train, held_out)
    expected = []
    for image, body, tumour in held_out:
        if tumour.any():
            found = ((image - image[body].mean()) / image[body].std() > threshold) & body
            expected.append(2 * (found & tumour).sum() / (found.sum() + tumour.sum()))
    assert dice == pytest.approx(expected)
    assert threshold_baseline(train, [])[1] == []


def separable(generator: np.random.Generator) -> tuple[FloatArray, BoolArray, BoolArray]:
    """Make a case that a threshold does solve: a bright cube, and a smaller one beside it that is not tumour."""
    image = generator.uniform(0, 1, (20, 20, 20))
    tumour = np.zeros(image.shape, np.bool_)
    tumour[3:9, 3:9, 3:9] = True
    image[tumour] += 5
    image[14:17, 14:17, 14:17] += 5
    return image, np.ones(image.shape, np.bool_), tumour


@pytest.mark.parametrize(("largest", "expected"), [(False, 2 * 216 / (216 + 27 + 216)), (True, 1.0)])
def test_the_baseline_finds_what_a_threshold_can_find(largest: bool, expected: float) -> None:
    generator = np.random.default_rng(1)
    _, dice = threshold_baseline([separable(generator)], [separable(generator)] * 2, largest=largest)
    assert dice == pytest.approx([expected] * 2)


def test_the_baseline_does_not_mind_gain_and_leaves_its_input_alone() -> None:
    image, body, tumour = separable(np.random.default_rng(2))
    kept = image.copy()
    for scale in SCALES:
        _, dice = threshold_baseline([(image, body, tumour)], [(700 * image + 40, body, tumour)], scale, largest=True)
        assert dice == pytest.approx([1.0])
    assert np.array_equal(image, kept)


def test_the_baseline_refuses_a_training_set_without_tumour() -> None:
    image, body, tumour = separable(np.random.default_rng(3))
    with pytest.raises(Refusal, match=r"threshold baseline: at least one training case has a tumour, got 0"):
        threshold_baseline([(image, body, tumour & False)], [(image, body, tumour)])


def test_lesions_that_find_no_room_shrink_instead_of_vanishing() -> None:
    settings = PhantomSettings(core_radius_mm=(40.0, 40.0), oedema_mm=(20.0, 20.0), lesions=(3, 3))
    labels = make_phantom(settings, 1)[1].voxels
    assert set(np.unique(labels).tolist()) == {0, 1, 2}


@pytest.mark.parametrize("subject", [0, 37])
def test_subjects_outside_the_set_are_refused(subject: int) -> None:
    with pytest.raises(Refusal, match=rf"phantom: subjects are 1\.\.36, got {subject}; ask for one of them"):
        make_phantom(SETTINGS, subject)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"subjects": 0}, "greater than or equal to 1"),
        ({"healthy_share": 1.5}, "less than or equal to 1"),
        ({"spacing_mm": (3.4, 2.6)}, r"a range goes from low to high, got \(3.4, 2.6\); swap its two numbers"),
        ({"lesions": (3, 1)}, "a range goes from low to high"),
        ({"core_radius_mm": (0.0, 4.0)}, "greater than 0"),
        ({"rotation_degrees": 80.0}, "less than or equal to 30"),
        ({"subjects": "36"}, "valid integer"),
        ({"subject": 36}, "Extra inputs are not permitted"),
        ({"seed": -1}, "greater than or equal to 0"),
    ],
)
def test_wrong_settings_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        PhantomSettings(**change)  # type: ignore[arg-type]


def test_neighbouring_seeds_share_no_head() -> None:
    heads = [make_phantom(PhantomSettings(seed=seed), 3) for seed in range(3)]
    assert not any(same(one, other) for one, other in pairwise(heads))
