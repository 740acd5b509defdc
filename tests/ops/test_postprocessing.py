"""Clean-up of label maps: it takes out and fills what it should, and touches nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from medseg.ops.postprocessing import Postprocessing, postprocess
from medseg.values.error import Refusal
from medseg.values.labels import LabelScheme
from medseg.values.volume import Array

EDGES_MM = (1.0, 2.0, 1.5)  # 3 mm3
ORGAN = 7
SCHEME = LabelScheme(
    {"rim": 1, "core": 4, "organ": ORGAN}, {"core": (4,), "tumour": (1, 4), "organ": (ORGAN,)}, "tumour"
)
SINGLE = LabelScheme({"tumour": 3}, {"tumour": (3,)}, "tumour")
SHAPES = st.tuples(*[st.integers(1, 9)] * 3)
SEEDS = st.integers(0, 1 << 20)
DENSITIES = st.sampled_from([0.1, 0.3, 0.6, 0.8])
names = st.lists(st.sampled_from(["core", "tumour"]), unique=True).map(tuple)
CLEANINGS = st.builds(
    Postprocessing,
    minimum_mm3=st.dictionaries(st.sampled_from(["core", "tumour"]), st.sampled_from([3.5, 10.0, 40.0])),
    keep_largest=names,
    fill_holes=names,
)


def noise(shape: Any, density: float, seed: int, kinds: int = 3) -> Array:
    generator = np.random.default_rng(seed)
    labels = generator.integers(1, kinds + 1, shape, np.uint8)
    return np.where(generator.random(shape) < density, labels, np.uint8(0))


@given(SHAPES, DENSITIES, SEEDS, CLEANINGS)
def test_twice_is_once_and_the_input_stays_as_it_is(shape: Any, density: float, seed: int, wanted: Any) -> None:
    classes = noise(shape, density, seed)
    before = classes.copy()
    once = postprocess(classes, SCHEME, wanted, EDGES_MM)
    assert (classes == before).all()
    assert once.dtype == np.uint8
    again = postprocess(once, SCHEME, wanted, EDGES_MM)
    assert again is once


@given(SHAPES, DENSITIES, SEEDS, CLEANINGS)
def test_labels_are_taken_out_or_filled_in_but_never_changed(
    shape: Any, density: float, seed: int, wanted: Any
) -> None:
    classes = noise(shape, density, seed)
    cleaned = postprocess(classes, SCHEME, wanted, EDGES_MM)
    assert (cleaned == 3)[classes == 3].all()
    assert not (cleaned == 3)[classes != 3].any()
    changed = cleaned != classes
    removed, added = changed & (cleaned == 0), changed & (classes == 0)
    assert (changed == (removed | added)).all()
    if not wanted.fill_holes:
        assert not added.any()
    if not wanted.keep_largest and not wanted.minimum_mm3:
        assert not removed.any()
        enclosed = np.zeros(shape, np.bool_)
        for name in wanted.fill_holes:
            enclosed |= filled(np.isin(cleaned, [1, 2] if name == "tumour" else [2]))
        assert enclosed[added].all()


@given(SHAPES, DENSITIES, SEEDS, st.sampled_from([2.9, 3.0, 6.1, 9.0, 33.0]), st.booleans())
def test_parts_are_those_of_a_loop(shape: Any, density: float, seed: int, minimum: float, largest: bool) -> None:
    classes = noise(shape, density, seed, kinds=1)
    wanted = Postprocessing(minimum_mm3={"tumour": minimum}, keep_largest=("tumour",) if largest else ())
    parts, count = ndimage.label(classes, np.ones((3, 3, 3)))
    kept = [number for number in range(1, count + 1) if (parts == number).sum() * 3.0 >= minimum]
    if largest and kept:
        kept = [max(kept, key=lambda number: ((parts == number).sum(), -number))]
    expected = np.isin(parts, kept) & (parts > 0)
    assert (postprocess(classes, SINGLE, wanted, EDGES_MM) == expected).all()


@given(SHAPES, DENSITIES, SEEDS)
def test_holes_of_one_label_are_those_of_scipy(shape: Any, density: float, seed: int) -> None:
    classes = noise(shape, density, seed, kinds=1)
    cleaned = postprocess(classes, SINGLE, Postprocessing(fill_holes=("tumour",)), EDGES_MM)
    assert (cleaned == filled(classes > 0)).all()


def filled(mask: Array) -> Array:
    """Fill holes with scipy, within the axes that have an inside."""
    flat = mask.reshape([size for size in mask.shape if size > 1] or [1])
    return np.asarray(ndimage.binary_fill_holes(flat)).reshape(mask.shape)


def test_a_hole_gets_the_class_of_most_neighbours_in_the_region() -> None:
    classes = np.zeros((7, 7, 7), np.uint8)
    classes[1:6, 1:6, 1:6] = 1
    classes[2:5, 2:5, 2:5] = 2
    classes[3, 3, 3] = 0  # within the core
    classes[1, 1:6, 1:6] = 3
    classes[1, 3, 3] = 0  # on the surface: no hole
    tumour = postprocess(classes, SCHEME, Postprocessing(fill_holes=("tumour",)), EDGES_MM)
    assert tumour[3, 3, 3] == 2
    assert np.count_nonzero(tumour != classes) == 1
    classes[2, 2:5, 2:5] = classes[2:5, 2, 2:5] = classes[2:5, 2:5, 2] = classes[4, 3, 3] = 1
    assert postprocess(classes, SCHEME, Postprocessing(fill_holes=("tumour",)), EDGES_MM)[3, 3, 3] == 1


def test_what_a_region_encloses_with_another_label_in_between_is_not_its_hole() -> None:
    classes = np.full((5, 5, 5), 1, np.uint8)
    classes[1:4, 1:4, 1:4] = 3
    classes[2, 2, 2] = 0
    wanted = Postprocessing(fill_holes=("tumour",))
    assert postprocess(classes, SCHEME, wanted, EDGES_MM) is classes
    wanted = Postprocessing(fill_holes=("organ",))
    assert postprocess(classes, SCHEME, wanted, EDGES_MM)[2, 2, 2] == 3


def test_a_part_of_the_core_is_judged_before_the_tumour_that_it_is_in() -> None:
    classes = np.zeros((9, 5, 5), np.uint8)
    classes[0:4, 1:4, 1:4] = 1
    classes[1, 2, 2] = 2
    classes[7, 2, 2] = 2
    wanted = Postprocessing(minimum_mm3={"tumour": 4.0, "core": 4.0}, fill_holes=("tumour",))
    expected = np.zeros_like(classes)
    expected[0:4, 1:4, 1:4] = 1
    assert (postprocess(classes, SCHEME, wanted, EDGES_MM) == expected).all()


def test_nothing_to_do_gives_the_array_back() -> None:
    classes = np.zeros((3, 3, 3), np.uint8)
    wanted = Postprocessing(minimum_mm3={"core": 5.0}, keep_largest=("tumour",), fill_holes=("core",))
    assert postprocess(classes, SCHEME, wanted, EDGES_MM) is classes
    classes[1] = 1
    assert postprocess(classes, SCHEME, wanted, EDGES_MM) is classes
    assert postprocess(classes, SCHEME, Postprocessing(), EDGES_MM) is classes


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (
            Postprocessing(keep_largest=("tumor",)),
            r"inference\.postprocess\.keep_largest: names regions of \['core', 'tumour', 'organ'\], got tumor; "
            r"did you mean 'tumour'\?",
        ),
        (
            Postprocessing(minimum_mm3={"liver": 1.0}),
            r"inference\.postprocess\.minimum_mm3: names regions of .*, got liver; name one of them",
        ),
    ],
)
def test_unknown_regions_are_refused(wanted: Postprocessing, message: str) -> None:
    with pytest.raises(Refusal, match=f"^{message}$") as caught:
        postprocess(np.zeros((2, 2, 2), np.uint8), SCHEME, wanted, EDGES_MM)
    assert caught.value.exit_code == 2
