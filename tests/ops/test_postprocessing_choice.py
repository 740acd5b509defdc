"""A clean-up is chosen when validation cases gain from it, and only then."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medseg.ops.postprocessing import Postprocessing
from medseg.ops.postprocessing_choice import Choice, Judged, choose_postprocessing, region_dices
from medseg.ops.scoring.overlap import count, dice
from medseg.values.labels import IGNORED, LabelScheme
from medseg.values.volume import Array

EDGES_MM = (2.0, 2.0, 2.0)  # 8 mm3
SCHEME = LabelScheme({"tumour": 1}, {"tumour": (1,)}, "tumour")
NESTED = LabelScheme({"rim": 1, "core": 2}, {"core": (2,), "tumour": (1, 2)}, "tumour")


def ball(edge: int = 6) -> Array:
    classes = np.zeros((16, 16, 16), np.uint8)
    classes[2 : 2 + edge, 2 : 2 + edge, 2 : 2 + edge] = 1
    return classes


def speckled(classes: Array, voxels: int, seed: int = 0) -> Array:
    """Add single voxels far from the ball and from each other."""
    found = classes.copy()
    places = np.random.default_rng(seed).permutation(27)[:voxels]
    found[10 + 2 * (places // 9), 10 + 2 * (places // 3 % 3), 10 + 2 * (places % 3)] = 1
    return found


def cases(*pairs: tuple[Array, Array]) -> list[Callable[[], Judged]]:
    return [lambda pair=pair: Judged(pair[0], pair[1], EDGES_MM) for pair in pairs]  # type: ignore[misc]


def test_speckles_are_taken_out_by_the_mildest_rung() -> None:
    chosen = choose_postprocessing(cases(*[(speckled(ball(), 20, seed), ball()) for seed in range(4)]), SCHEME)
    assert chosen.taken == Postprocessing(minimum_mm3={"tumour": 10.0})
    assert chosen.dice == pytest.approx(2 * 216 / (2 * 216 + 20))
    first = chosen.trials[0]
    assert (first.postprocessing, first.dice, first.better, first.worse) == (chosen.taken, 1.0, 4, 0)


def test_a_hole_and_speckles_need_two_steps() -> None:
    holed = speckled(ball(), 20)
    holed[4:6, 4:6, 4:6] = 0
    chosen = choose_postprocessing(cases(*[(holed, ball())] * 4), SCHEME)
    assert chosen.taken == Postprocessing(minimum_mm3={"tumour": 10.0}, fill_holes=("tumour",))


def test_true_lesions_of_the_size_of_speckles_are_left_alone() -> None:
    two = speckled(ball(), 20)
    chosen = choose_postprocessing(cases(*[(two, two)] * 4), SCHEME)
    assert chosen.taken is None
    assert chosen.dice == 1
    assert {(trial.better, trial.worse) for trial in chosen.trials} == {(0, 4), (0, 0)}


def test_a_gain_for_few_is_not_taken_at_the_cost_of_many() -> None:
    gains = (speckled(ball(), 20), np.zeros_like(ball()))  # Dice from 0: the ball goes with 3000 mm3
    small = ball(3)
    loses = (speckled(small, 1), speckled(small, 1))
    chosen = choose_postprocessing(cases(gains, gains, *[loses] * 3), SCHEME)
    largest = next(trial for trial in chosen.trials if trial.postprocessing.minimum_mm3 == {"tumour": 3000.0})
    assert (largest.better, largest.worse) == (2, 3)
    assert chosen.taken is None


def test_a_rise_of_next_to_nothing_is_not_taken() -> None:
    chosen = choose_postprocessing(cases(*[(speckled(ball(), 1), ball())] * 3, *[(ball(), ball())] * 2), SCHEME)
    assert chosen.dice is not None
    assert chosen.dice < max(trial.dice for trial in chosen.trials) < chosen.dice + 0.002
    assert chosen.taken is None


def test_three_cases_teach_nothing_and_unknown_ones_do_not_count() -> None:
    pair = (speckled(ball(), 20), ball())
    assert choose_postprocessing(cases(*[pair] * 3), SCHEME) == Choice()

    def unknown() -> Judged:
        return Judged(*pair, EDGES_MM, annotated=())

    assert choose_postprocessing([*cases(*[pair] * 3), unknown, unknown], SCHEME) == Choice()


def test_healthy_scans_gain_from_an_empty_mask() -> None:
    healthy = np.zeros_like(ball())
    pairs = [(speckled(healthy, 3, seed), healthy) for seed in range(2)]
    chosen = choose_postprocessing(cases(*pairs, *[(ball(), ball())] * 2), SCHEME)
    assert chosen.taken == Postprocessing(minimum_mm3={"tumour": 10.0})
    assert chosen.dice == pytest.approx(0.5)


def test_many_regions_are_tried_all_at_once() -> None:
    names = [f"organ{number}" for number in range(1, 10)]
    scheme = LabelScheme(
        {name: place for place, name in enumerate(names, start=1)},
        {**{name: (place,) for place, name in enumerate(names, start=1)}, "again": (9,)},
        "organ1",
    )
    chosen = choose_postprocessing(cases(*[(speckled(ball(), 20), ball())] * 4), scheme)
    assert chosen.taken == Postprocessing(minimum_mm3=dict.fromkeys(names, 10.0))


@given(st.integers(0, 1 << 20))
def test_dice_of_regions_is_that_of_their_masks(seed: int) -> None:
    generator = np.random.default_rng(seed)
    truth, predicted = generator.integers(0, 3, (2, 3, 4, 5)).astype(np.uint8)
    if seed % 3 == 0:
        predicted[predicted == 2] = truth[truth == 2] = 0
    truth[0] = IGNORED
    found = region_dices(Judged(predicted, truth, EDGES_MM), predicted, NESTED)
    for name, members in (("core", [2]), ("tumour", [1, 2])):
        masks = np.isin(truth, members), np.isin(predicted, members) & (truth != IGNORED)
        assert found[name] == pytest.approx(dice(count(*masks), "undefined"))
    some = region_dices(Judged(predicted, truth, EDGES_MM, annotated=(2,)), predicted, NESTED)
    assert some == {"core": found["core"]}
