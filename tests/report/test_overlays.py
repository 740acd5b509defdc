from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from medseg.report.overlays import Panel, best_slice, cut, draw_case, join, main_plane, window
from medseg.report.painting import paint
from medseg.report.pixels import COLOURS, FILL, GAP, Frame, bar_mm, frame
from medseg.values.volume import Array, BoolArray


def masks(shape: tuple[int, int, int]) -> tuple[BoolArray, BoolArray]:
    return np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)


def rgb(panel: Panel) -> Array:
    return np.asarray(panel.picture.convert("RGB"), np.int32)


def tinted(colour: tuple[int, int, int], grey: int) -> Array:
    return np.asarray(colour) * FILL + grey * (1 - FILL)


def test_right_missed_and_false_voxels_have_their_colours() -> None:
    """A black scan of 10 x 10 x 10 mm: one block of each kind, far apart, in known places of the axial panel."""
    image = np.zeros((10, 10, 10), np.float32)
    image[:, :, 0] = 1
    truth, prediction = masks((10, 10, 10))
    truth[1:4, 1:4, 5] = prediction[1:4, 1:4, 5] = True
    truth[6:9, 1:4, 5] = True
    prediction[6:9, 6:9, 5] = True
    panel = draw_case(image, truth, prediction, (1, 1, 1), side=300)[3]
    assert (panel.kind, panel.plane, panel.slice, panel.slices) == ("agreement", "axial", 6, 10)
    pixels = rgb(panel)
    size = 300 / 10
    for (x, y), colour in {(2, 2): COLOURS[0], (7, 2): COLOURS[1], (7, 7): COLOURS[2]}.items():
        column, row = round((9 - x + 0.5) * size), round((9 - y + 0.5) * size)
        assert np.abs(pixels[row, column] - tinted(colour, 0)).max() <= 3
    assert pixels[round(2.5 * size), round(7.5 * size)].tolist() == [0, 0, 0]


def test_missed_and_false_colours_reach_the_edge_of_their_voxels() -> None:
    truth, prediction = masks((2, 2, 1))
    prediction[0, 0, 0] = True
    _, colour = paint(np.zeros((2, 2), np.uint8), truth[..., 0].T, prediction[..., 0].T, "agreement", (40, 40))
    assert (colour[:20, :20] == 3).all()
    assert (colour[20:] == 0).all()
    assert (colour[:, 20:] == 0).all()


@settings(deadline=None, max_examples=30)
@given(st.tuples(*[st.floats(0.3, 6)] * 3), st.tuples(*[st.integers(4, 30)] * 3))
def test_pictures_keep_millimetres(spacing_mm: tuple[float, float, float], shape: tuple[int, int, int]) -> None:
    """A bright box fills every panel exactly as wide and as high as it is in mm, whatever the voxels."""
    box = np.full(shape, 100.0)
    box[0, 0, 0] = 0
    truth, prediction = masks(shape)
    extent = [n * mm for n, mm in zip(shape, spacing_mm, strict=True)]
    scale = 200 / max(extent)
    for panel in draw_case(box, truth, prediction, spacing_mm, side=200):
        axis = ("sagittal", "coronal", "axial").index(panel.plane)
        wide, high = (extent[a] * scale for a in range(3) if a != axis)
        bright = (rgb(panel) == 255).all(axis=2)
        columns, rows = np.flatnonzero(bright.any(axis=0)), np.flatnonzero(bright.any(axis=1))
        assert abs(np.ptp(columns) + 1 - max(1, wide)) <= 2 + scale * max(spacing_mm)
        assert abs(np.ptp(rows) + 1 - max(1, high)) <= 2 + scale * max(spacing_mm)


def test_anisotropic_voxels_are_drawn_with_their_aspect_ratio() -> None:
    image = np.full((20, 10, 5), 50.0)
    truth, prediction = masks(image.shape)
    truth[2:18, 2:8, 1:4] = True
    panels = draw_case(image, truth, prediction, (1.0, 1.0, 3.0), side=400)
    sizes = {}
    for panel in (one for one in panels if one.kind == "agreement"):
        yellow = (np.abs(rgb(panel) - tinted(COLOURS[1], 0)).max(axis=2) <= 3) | (rgb(panel) == 255).all(axis=2)
        sizes[panel.plane] = (
            np.ptp(np.flatnonzero(yellow.any(axis=0))) + 1,
            np.ptp(np.flatnonzero(yellow.any(axis=1))) + 1,
        )
    scale = 400 / 18  # the picture is cut to the 16 mm of the block and a margin of one voxel on each side
    assert sizes["axial"] == pytest.approx((16 * scale, 6 * scale), abs=1.5)
    assert sizes["coronal"] == pytest.approx((16 * scale, 9 * scale), abs=1.5)
    assert sizes["sagittal"] == pytest.approx((6 * scale, 9 * scale), abs=1.5)


def test_slices_are_seen_the_radiological_way() -> None:
    """The corner voxel that is right-most, front-most and top-most ends up top left in every plane."""
    array = np.zeros((3, 4, 5))
    array[2, 3, 4] = 1
    for axis, last in enumerate((2, 3, 4)):
        flat = cut(array, axis, last)
        assert flat[0, 0] == 1
        assert flat.shape == ((5, 4), (5, 3), (4, 3))[axis]


def test_the_letters_say_which_side_is_which() -> None:
    def inked(picture: Image.Image) -> set[str]:
        pixels = np.asarray(picture.convert("L")) > 100
        halves = {"left": pixels[:, :40], "right": pixels[:, -40:], "top": pixels[:40], "bottom": pixels[-40:]}
        return {side for side, half in halves.items() if half.any()}

    black = np.zeros((100, 100), np.uint8)
    assert inked(frame(black, black, Frame(("R", "", "", ""), 300))) == {"left"}
    assert inked(frame(black, black, Frame(("", "L", "", ""), 300))) == {"right"}
    assert inked(frame(black, black, Frame(("", "", "A", ""), 300))) == {"top"}
    assert inked(frame(black, black, Frame(("", "", "", "P"), 300))) == {"bottom"}


def test_the_slice_is_the_one_with_the_most_to_see_and_mistakes_count_twice() -> None:
    truth, prediction = masks((6, 6, 6))
    assert best_slice(truth, prediction, 2) == 3
    prediction[0:2, 0, 4] = True
    assert best_slice(truth, prediction, 2) == 4
    truth[0:3, 0, 1] = prediction[0:3, 0, 1] = True
    assert best_slice(truth, prediction, 2) == 4, "three right voxels weigh less than two false ones"
    truth[3:5, 0, 1] = prediction[3:5, 0, 1] = True
    assert best_slice(truth, prediction, 2) == 1, "five weigh more"


def test_each_of_three_planes_shows_image_truth_prediction_and_agreement() -> None:
    image, (truth, prediction) = np.zeros((6, 6, 6)), masks((6, 6, 6))
    panels = draw_case(image, truth, prediction, (1, 1, 4), side=64)
    kinds = ["image", "truth", "prediction", "agreement"]
    assert [panel.kind for panel in panels] == kinds * 3
    assert [panel.plane for panel in panels[::4]] == ["axial", "coronal", "sagittal"]
    assert draw_case(image, truth, prediction, (4, 1, 1), side=64)[0].plane == "sagittal"
    for own in (panels[:4], panels[4:8], panels[8:]):
        assert len({panel.slice for panel in own}) == 1


def test_what_nobody_looked_for_is_not_drawn_and_masks_are_drawn_alone() -> None:
    image, (truth, prediction) = np.ones((6, 6, 6)), masks((6, 6, 6))
    prediction[2, 2, 2] = True
    unknown = draw_case(image, None, prediction, (1, 1, 1), side=64)
    assert [panel.kind for panel in unknown] == ["image", "prediction"] * 3
    alone = draw_case(None, truth, prediction, (1, 1, 1), side=64)
    assert [panel.kind for panel in alone] == ["truth", "prediction", "agreement"] * 3
    assert (alone[0].slice, alone[0].slices) == (3, 6)


def test_masks_alone_lie_where_they_are_in_the_scan() -> None:
    """Without a body to cut to, the whole grid is the picture: the false block is in its tenth."""
    truth, prediction = masks((10, 10, 10))
    prediction[4, 4, 4] = True
    pixels = rgb(draw_case(None, truth, prediction, (1, 1, 1), side=200)[2])
    red = np.abs(pixels - tinted(COLOURS[2], 0)).max(axis=2) <= 3
    assert np.flatnonzero(red.any(axis=0)).tolist() == list(range(100, 120))
    assert np.flatnonzero(red.any(axis=1)).tolist() == list(range(100, 120))


@pytest.mark.parametrize(("pixels_per_mm", "expected"), [(1.0, 50), (3.0, 20), (0.4, 200), (60.0, 1), (120.0, None)])
def test_the_bar_is_the_longest_round_length_that_fits(pixels_per_mm: float, expected: int | None) -> None:
    assert bar_mm(300, pixels_per_mm) == expected


def test_the_bar_is_as_long_as_it_says() -> None:
    black = np.zeros((100, 100), np.uint8)
    pixels = np.asarray(frame(black, black, Frame(("", "", "", ""), 300, 2.5)).convert("L"))
    assert bar_mm(300, 2.5) == 20
    assert np.count_nonzero(pixels[300 - 9] > 200) == 20 * 2.5


def test_only_the_first_panel_of_a_plane_has_a_bar() -> None:
    image, (truth, prediction) = np.zeros((30, 30, 30)), masks((30, 30, 30))
    corners = [
        np.asarray(p.picture.convert("L"))[-12:, :40] > 200 for p in draw_case(image, truth, prediction, (1, 1, 1))
    ]
    assert [bool(corner.any()) for corner in corners] == [True, False, False, False] * 3


@pytest.mark.parametrize(
    ("spacing_mm", "plane"),
    [((1, 1, 1), "axial"), ((1, 1, 5), "axial"), ((4, 1, 1), "sagittal"), ((1, 3, 1), "coronal")],
)
def test_the_main_plane_is_the_one_that_was_scanned(spacing_mm: tuple[float, float, float], plane: str) -> None:
    assert main_plane(spacing_mm).name == plane


def test_windows_clip_outliers_and_bear_flat_and_broken_images() -> None:
    image = np.linspace(0, 100, 1000).reshape(10, 10, 10)
    image[0, 0, 0] = 1e9
    grey = window(image)
    assert int(grey[5, 5, 5]) == pytest.approx(139, abs=3)
    assert grey[0, 0, 0] == 255
    assert not window(np.full((3, 3, 3), 7.0)).any()
    assert window(np.where(np.arange(27).reshape(3, 3, 3) == 0, np.nan, 1.0)).dtype == np.uint8


def test_drawing_changes_no_input_and_repeats_its_bytes() -> None:
    generator = np.random.default_rng(0)
    image, truth = generator.normal(size=(9, 8, 7)), generator.random((9, 8, 7)) > 0.7
    prediction = np.roll(truth, 1, axis=0)
    before = image.copy(), truth.copy(), prediction.copy()
    first, second = (join(draw_case(image, truth, prediction, (1, 1, 1), side=64)) for _ in range(2))
    assert first == second
    for kept, now in zip(before, (image, truth, prediction), strict=True):
        np.testing.assert_array_equal(kept, now)
    with Image.open(BytesIO(first)) as picture:
        assert (picture.format, picture.size) == ("PNG", (4 * 64 + 3 * GAP, 3 * 64 + 2 * GAP))
